/**
 * The virtual machine: boots the kernel, runs commands in it, and ends it.
 * run → vm → qemu-system-x86_64 (software emulation) → the agent of initramfs.ts.
 *
 *   share/n.command ──▶ guest ──▶ share/n.stdout, n.stderr
 *   port: RUN n ▶  ◀ END n STATUS
 *
 * Invariant: every command ends within its time, by itself or killed; stop() ends qemu, by pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Outcome } from './command.ts'
import { agentScript } from './initramfs.ts'
import type { Kernel } from './kernel.ts'

/** The machine's loopback address as the guest sees it. */
export const MACHINE_ADDRESS = '10.0.2.2'

export const STEP_TIMEOUT_MS = 300_000
const BOOT_TIMEOUT_MS = 240_000
const EXIT_TIMEOUT_MS = 10_000
const MEMORY_MIB = 2048
const CORES = 2

export type BootOptions = {
  readonly kernel: Kernel
  readonly initramfs: string
  /** A short path: the agent's socket is in it. Removed by its owner. */
  readonly directory: string
  readonly counterKhz: number | null
  /** More words for the kernel's command line. */
  readonly kernelWords?: readonly string[]
  /** More of the machine: the words after '-machine q35', and further parameters. */
  readonly machine?: string
  readonly devices?: readonly string[]
}

type Pending = {
  readonly number: number
  readonly timer: NodeJS.Timeout
  resolve(outcome: Outcome): void
  reject(error: Error): void
}

export class VirtualMachine {
  readonly #directory: string
  readonly #child: ChildProcess
  readonly #socket: Socket
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #text = ''
  #ended = false
  #ready: () => void = () => {}

  private constructor(directory: string, child: ChildProcess, socket: Socket) {
    this.#directory = directory
    this.#child = child
    this.#socket = socket
    socket.setEncoding('utf8').on('data', (text: string) => this.#receive(text))
    socket.on('error', () => {})
    child.on('exit', () => this.#end('the virtual machine ended'))
  }

  static async boot(options: BootOptions): Promise<VirtualMachine> {
    const share = join(options.directory, 'share')
    mkdirSync(share, { recursive: true })
    writeFileSync(join(share, 'agent'), agentScript())
    const port = join(options.directory, 'port')
    const log = openSync(join(options.directory, 'qemu.log'), 'w')
    const child = spawn('qemu-system-x86_64', qemuParameters(options, share, port),
      { stdio: ['ignore', log, log] })
    const failure = new Promise<never>((_, reject) => {
      child.once('error', (error) => reject(new Error(`qemu cannot be started: ${error.message}`)))
      child.once('exit', () => reject(new Error('qemu ended at once: ' +
        readFileSync(join(options.directory, 'qemu.log'), 'utf8').trim())))
    })
    // Once booted nobody awaits it: the exit at the end of the suite is no failure.
    failure.catch(() => {})
    try {
      const socket = await Promise.race([connectPort(port), failure])
      const machine = new VirtualMachine(options.directory, child, socket)
      await Promise.race([machine.#booted(), failure])
      return machine
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  #booted(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`the guest was not up after ${BOOT_TIMEOUT_MS / 1000} s; ` +
          `its last words: ${this.consoleTail()}`))
      }, BOOT_TIMEOUT_MS)
      this.#ready = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Runs a shell script in the guest. Rejects when it outlives its time or the guest ends. */
  run(script: string, timeoutMs: number = STEP_TIMEOUT_MS): Promise<Outcome> {
    const number = this.#next
    this.#next += 1
    if (this.#ended) return Promise.reject(new Error('the virtual machine has ended'))
    writeFileSync(join(this.#directory, 'share', `${number}.command`), `${script}\n`)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(number)
        this.#socket.write(`KILL ${number}\n`)
        reject(new Error(`no end after ${timeoutMs / 1000} s: ${script.trim().split('\n')[0]}`))
      }, timeoutMs)
      this.#pending.set(number, { number, timer, resolve, reject })
      this.#socket.write(`RUN ${number}\n`)
    })
  }

  /** Runs a script that must end with status 0; resolves with its standard output. */
  async require(script: string, timeoutMs: number = STEP_TIMEOUT_MS): Promise<string> {
    const outcome = await this.run(script, timeoutMs)
    if (outcome.status === 0) return outcome.stdout
    const words = `${outcome.stderr}\n${outcome.stdout}`.trim().split('\n').slice(0, 6).join(' / ')
    throw new Error(`${script.trim().split('\n')[0]}: status ${outcome.status}: ${words}`)
  }

  /** The end of what the guest's kernel said on its serial console. */
  consoleTail(): string {
    const path = join(this.#directory, 'console.log')
    if (!existsSync(path)) return '(nothing)'
    return readFileSync(path, 'latin1').trim().split('\n').slice(-8).join(' / ') || '(nothing)'
  }

  /** Ends qemu without waiting for it. May be called at any time. */
  destroy(): void {
    this.#child.kill('SIGKILL')
  }

  /** Ends qemu. What the guest had in memory is lost, which nobody needs any more. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = new Promise((resolve) => this.#child.once('exit', resolve))
      this.#child.kill('SIGKILL')
      await Promise.race([exit, new Promise((wake) => setTimeout(wake, EXIT_TIMEOUT_MS).unref())])
    }
    this.#end('the virtual machine was stopped')
    this.#socket.destroy()
  }

  #receive(text: string): void {
    this.#text += text
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      const [word, number, status] = line.trim().split(' ')
      if (word === 'READY') this.#ready()
      if (word === 'END') this.#complete(Number(number), Number(status))
    }
  }

  #complete(number: number, status: number): void {
    const pending = this.#pending.get(number)
    if (pending === undefined) return
    this.#pending.delete(number)
    clearTimeout(pending.timer)
    const stem = join(this.#directory, 'share', String(number))
    const stdout = readFileSync(`${stem}.stdout`, 'utf8')
    const stderr = readFileSync(`${stem}.stderr`, 'utf8')
    for (const end of ['command', 'stdout', 'stderr']) rmSync(`${stem}.${end}`, { force: true })
    pending.resolve({ status, stdout, stderr })
  }

  #end(reason: string): void {
    this.#ended = true
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer)
      pending.reject(new Error(reason))
    }
    this.#pending.clear()
  }
}

function qemuParameters(options: BootOptions, share: string, port: string): readonly string[] {
  const counter = options.counterKhz === null ? [] : [`tsc_early_khz=${options.counterKhz}`]
  const words = [
    'console=ttyS0', 'quiet', 'panic=-1', 'no_timer_check', 'tsc=reliable', ...counter,
    'mitigations=off', 'nokaslr', 'random.trust_cpu=on', 'net.ifnames=0',
    ...options.kernelWords ?? [],
  ]
  return [
    '-machine', `q35${options.machine ?? ''}`, '-accel', 'tcg,thread=multi', '-cpu', 'max',
    '-smp', String(CORES), '-m', `${MEMORY_MIB}M`,
    '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
    '-kernel', options.kernel.image, '-initrd', options.initramfs, '-append', words.join(' '),
    '-serial', `file:${join(options.directory, 'console.log')}`,
    '-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net',
    '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci',
    '-chardev', `socket,id=port,path=${port},server=on,wait=off`,
    '-device', 'virtserialport,chardev=port,name=weft',
    '-virtfs', 'local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap',
    '-virtfs', `local,path=${share},mount_tag=share,security_model=none,multidevs=remap`,
    ...options.devices ?? [],
  ]
}

/** qemu makes the socket a moment after it starts. */
async function connectPort(path: string): Promise<Socket> {
  const until = Date.now() + BOOT_TIMEOUT_MS
  for (;;) {
    const socket = connect(path)
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (connected) return socket
    if (Date.now() > until) throw new Error('qemu opened no port for the agent')
    await new Promise((wake) => setTimeout(wake, 50))
  }
}
