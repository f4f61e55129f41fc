/**
 * The guest's kernel as an NVMe host: connects, finds block devices, disconnects.
 * checks/* → host → vm → nvme-cli.
 *
 * Invariant: a connection is closed by whoever opened it, also when its check fails; the one that checks share is
 * closed before any other check.
 */
import { HOST_ID, HOST_NQN, type Subsystem, type Target } from './target.ts'
import type { VirtualMachine } from './vm.ts'

/** A starved guest sees round trips of seconds, and its kernel complains at half of this. */
export const KEEP_ALIVE_S = 30

const NAMESPACES_WAIT_S = 60
const STATE_WAIT_S = 120

export type ConnectOptions = {
  readonly port?: number
  readonly hostNqn?: string
  readonly hostId?: string
  readonly headerDigest?: boolean
  readonly dataDigest?: boolean
  /** Queues for writes beside the two that are then for reads. */
  readonly writeQueues?: number
  readonly keepAliveS?: number
  /** A second connection to what is connected already. */
  readonly duplicate?: boolean
  /** DHHC-1 secrets: the host's own, and the controller's. */
  readonly key?: string
  readonly controllerKey?: string
}

/** controller is such as nvme0; devices maps a nsid to such as /dev/nvme0n1. */
export type Connection = {
  readonly controller: string
  readonly devices: ReadonlyMap<number, string>
}

export class Host {
  readonly vm: VirtualMachine
  readonly target: Target
  #shared: { readonly key: string; readonly subsystem: Subsystem; readonly connection: Connection } | null = null

  constructor(vm: VirtualMachine, target: Target) {
    this.vm = vm
    this.target = target
  }

  /** The nvme connect command line for a subsystem, without waiting for anything. */
  connectCommand(nqn: string, options: ConnectOptions = {}): string {
    const words = [
      'nvme connect --transport=tcp', `--traddr=${this.target.address}`,
      `--trsvcid=${options.port ?? this.target.port}`, `--nqn=${nqn}`,
      `--hostnqn=${options.hostNqn ?? HOST_NQN}`, `--hostid=${options.hostId ?? HOST_ID}`,
      '--nr-io-queues=2', `--nr-write-queues=${options.writeQueues ?? 0}`,
      `--keep-alive-tmo=${options.keepAliveS ?? KEEP_ALIVE_S}`,
      '--ctrl-loss-tmo=240', '--reconnect-delay=1',
    ]
    if (options.key !== undefined) words.push(`--dhchap-secret=${options.key}`)
    if (options.controllerKey !== undefined) {
      words.push(`--dhchap-ctrl-secret=${options.controllerKey}`)
    }
    if (options.duplicate === true) words.push('--duplicate-connect')
    if (options.headerDigest === true) words.push('--hdr-digest')
    if (options.dataDigest === true) words.push('--data-digest')
    return words.join(' ')
  }

  /** Connects and waits until the kernel shows every namespace of the subsystem. */
  async connect(subsystem: Subsystem, options: ConnectOptions = {}): Promise<Connection> {
    const count = subsystem.namespaces.length
    const script = `${this.connectCommand(subsystem.nqn, options)} > /dev/null || exit 1
found() {
  for at in /sys/block/nvme*; do
    case $at in *nvme*c*n*|*'*') continue ;; esac
    [ "$(cat "$at/device/subsysnqn")" = '${subsystem.nqn}' ] || continue
    # A disk of no sectors is still being looked at.
    [ "$(cat "$at/size")" -gt 0 ] && echo "$(cat "$at/nsid") /dev/$(basename "$at")"
  done
}
for tenth in $(seq ${NAMESPACES_WAIT_S * 5}); do
  [ "$(found | wc -l)" -ge ${count} ] && break
  sleep 0.2
done
for at in /sys/class/nvme/nvme*; do
  [ "$(cat "$at/subsysnqn")" = '${subsystem.nqn}' ] && echo "controller $(basename "$at")"
done
found`
    const words = (await this.vm.require(script)).trim().split('\n').map((at) => at.split(' '))
    const controller = words.filter(([word]) => word === 'controller').at(-1)?.[1]
    if (controller === undefined) throw new Error(`${subsystem.nqn} has no controller in sysfs`)
    const devices = new Map<number, string>()
    for (const [word, device] of words) {
      if (word !== 'controller' && device !== undefined) devices.set(Number(word), device)
    }
    if (devices.size !== count) {
      await this.disconnect(subsystem)
      throw new Error(`${subsystem.nqn} has ${count} namespaces, but after ` +
        `${NAMESPACES_WAIT_S} s the host shows ${devices.size}`)
    }
    return { controller, devices }
  }

  async disconnect(subsystem: Subsystem): Promise<void> {
    const said = await this.vm.require(`nvme disconnect --nqn=${subsystem.nqn}`)
    if (!/disconnected 1 controller/.test(said)) {
      throw new Error(`nvme disconnect said: ${said.trim()}`)
    }
  }

  /**
   * Runs work with a connection that stays for the next one that wants the same; whoever wants it otherwise calls
   * release() first. For checks that leave everything as it was: connecting takes longer than most of them.
   */
  async shared(
    subsystem: Subsystem, options: ConnectOptions, work: (at: Connection) => Promise<void>,
  ): Promise<void> {
    const key = JSON.stringify([subsystem.nqn, options])
    if (this.#shared?.key !== key) {
      await this.release()
      this.#shared = { key, subsystem, connection: await this.connect(subsystem, options) }
    }
    await work(this.#shared.connection)
  }

  /** Closes the connection that is shared, if there is one. */
  async release(): Promise<void> {
    const shared = this.#shared
    this.#shared = null
    if (shared !== null) await this.disconnect(shared.subsystem)
  }

  /** Everything was disconnected. */
  forget(): void {
    this.#shared = null
  }

  /** Runs work with a connection, which is closed afterwards in any case. */
  async within(
    subsystem: Subsystem, options: ConnectOptions, work: (at: Connection) => Promise<void>,
  ): Promise<void> {
    const connection = await this.connect(subsystem, options)
    try {
      await work(connection)
    } catch (error) {
      await this.vm.run(`nvme disconnect --nqn=${subsystem.nqn}`).catch(() => {})
      throw error
    }
    await this.disconnect(subsystem)
  }

  /** Waits until the controller is connected (again). */
  async awaitLive(controller: string): Promise<void> {
    await this.vm.require(`for fifth in $(seq ${STATE_WAIT_S * 5}); do
  [ "$(cat /sys/class/nvme/${controller}/state)" = live ] && exit 0
  sleep 0.2
done
echo "${controller} is $(cat /sys/class/nvme/${controller}/state)" >&2
exit 1`)
  }
}

/** The device of a namespace; a check that asks for one that is not there is wrong itself. */
export function deviceOf(connection: Connection, nsid: number): string {
  const device = connection.devices.get(nsid)
  if (device === undefined) throw new Error(`no device for namespace ${nsid}`)
  return device
}
