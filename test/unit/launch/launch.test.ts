/**
 * The set-up and start of launch.mjs, in a package of its own with an npm, a cc and a make that
 * only write down that they were called (and do what the test says they do).
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync,
  symlinkSync, utimesSync, writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../../../src', import.meta.url))
const LOCK = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' } } }

/** What npm leaves. */
const INSTALL = 'mkdir -p node_modules && cp hidden-lock.json node_modules/.package-lock.json'
/** The last word of make's command line is BUILD=folder. */
const COMPILE = 'for word; do eval last=$word; done; touch ${last#BUILD=}/shim.so'

let root: string
let bin: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weft-launch-'))
  bin = join(root, 'stubs')
  for (const folder of ['src', 'native', 'stubs']) mkdirSync(join(root, folder))
  for (const file of ['launch.mjs', 'set-up.mjs', 'set-up-lock.mjs', 'strip-types.mjs']) {
    cpSync(join(SRC, file), join(root, 'src', file))
  }
  write('package.json', '{"type": "module", "version": "0.0.0"}')
  write('package-lock.json', JSON.stringify(LOCK))
  write('hidden-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }))
  write('native/a.c', 'int a;')
  write('native/Makefile', 'all:')
  write('src/main.ts', 'const words: string[] = process.argv.slice(2)\nconsole.log(words.join(" "))\n')
  stub('npm', INSTALL)
  stub('make', COMPILE)
  stub('cc', 'true')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function write(path: string, text: string): void {
  writeFileSync(join(root, path), text)
}

/** A program that appends its name and first word to calls. */
function stub(name: string, script: string): void {
  write(`stubs/${name}`, `#!/bin/sh\necho "${name} $1" >> '${root}/calls'\n${script}\n`)
  chmodSync(join(bin, name), 0o755)
}

/** Without cc --version, which only asks whether there is one. */
function calls(): string[] {
  if (!existsSync(join(root, 'calls'))) return []
  return readFileSync(join(root, 'calls'), 'utf8').trim().split('\n')
    .map((line) => line.split(' ')[0]!).filter((name) => name !== 'cc')
}

function environment() {
  // Only what the stubs need; an npm of the machine must not be found.
  const tools = join(root, 'tools')
  if (!existsSync(tools)) {
    mkdirSync(tools)
    for (const tool of ['sh', 'mkdir', 'cp', 'touch', 'sleep', 'rm']) {
      symlinkSync(`/bin/${tool}`, join(tools, tool))
    }
  }
  return { PATH: `${bin}:${tools}`, HOME: root }
}

function launch(...words: string[]) {
  return spawnSync(process.execPath, [join(root, 'src/launch.mjs'), ...words], {
    encoding: 'utf8', env: environment(), cwd: root, timeout: 20_000,
  })
}

describe('a start', () => {
  test('sets up once, says so on stderr, and passes the words on', () => {
    const first = launch('serve', '--memory', '1G')
    expect(first.stdout).toBe('serve --memory 1G\n')
    expect(first.stderr).toBe(
      'Installing dependencies (once) …\nCompiling the native part (once) …\n')
    expect(calls()).toEqual(['npm', 'make'])
    const second = launch('x')
    expect([second.stdout, second.stderr, second.status]).toEqual(['x\n', '', 0])
    expect(calls()).toEqual(['npm', 'make'])
  })

  test('takes dependencies that somebody installed as the lock file says', () => {
    mkdirSync(join(root, 'node_modules'))
    cpSync(join(root, 'hidden-lock.json'), join(root, 'node_modules/.package-lock.json'))
    launch()
    expect(calls()).toEqual(['make'])
  })

  test('installs again when the lock file changes', () => {
    launch()
    const packages = { '': {}, 'node_modules/a': { version: '2.0.0' } }
    write('package-lock.json', JSON.stringify({ packages }))
    write('hidden-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '2.0.0' } } }))
    launch()
    expect(calls()).toEqual(['npm', 'make', 'npm'])
  })

  test('optional packages of other systems may be absent, others not', () => {
    launch()
    const optional = { ...LOCK.packages, 'node_modules/b': { version: '1.0.0', optional: true } }
    write('package-lock.json', JSON.stringify({ packages: optional }))
    expect(launch().status).toBe(0)
    expect(calls()).toEqual(['npm', 'make'])
    const needed = { ...LOCK.packages, 'node_modules/b': { version: '1.0.0' } }
    write('package-lock.json', JSON.stringify({ packages: needed }))
    const short = launch()
    expect([short.status, calls().length]).toEqual([1, 3])
    expect(short.stderr).toContain('node_modules is not what package-lock.json says')
  })

  test('compiles again when a source changes', () => {
    launch()
    write('native/a.c', 'int b;')
    launch()
    expect(calls()).toEqual(['npm', 'make', 'make'])
  })

  test('works through a link, from anywhere', () => {
    symlinkSync(join(root, 'src/launch.mjs'), join(root, 'weft'))
    const { stdout } = spawnSync(process.execPath, [join(root, 'weft'), 'a', 'b'], {
      encoding: 'utf8', env: environment(), cwd: '/',
    })
    expect(stdout).toBe('a b\n')
  })

  test('runs where Node strips no types: installed below node_modules', () => {
    const home = join(root, 'lib/node_modules/weft')
    mkdirSync(home, { recursive: true })
    for (const part of ['src', 'native', 'package.json']) {
      cpSync(join(root, part), join(home, part), { recursive: true })
    }
    write('lib/node_modules/weft/src/main.ts', `
      import { Worker, isMainThread } from 'node:worker_threads'
      const text: string = isMainThread ? 'main' : 'worker'
      console.log(text)
      if (isMainThread) new Worker(new URL(import.meta.url))
    `)
    const { stdout, stderr } = spawnSync(process.execPath, [join(home, 'src/launch.mjs')], {
      encoding: 'utf8', env: environment(),
    })
    expect([stdout, stderr]).toEqual(['main\nworker\n', 'Compiling the native part (once) …\n'])
  })

  test('--run runs another file, with its Node first in PATH', () => {
    write('other.ts', 'console.log(process.argv[2] as string, process.env.PATH!.split(":")[0])\n')
    const { stdout } = launch('--run', 'other.ts', 'a')
    expect(stdout).toBe(`a ${join(process.execPath, '..')}\n`)
  })
})

describe('the end', () => {
  test.each([0, 1, 2, 77])('exit status %d is passed on', (status) => {
    write('src/main.ts', `process.exit(${status})\n`)
    expect(launch().status).toBe(status)
  })

  test('so is a signal that ends the program', () => {
    write('src/main.ts', "process.kill(process.pid, 'SIGKILL')\nsetTimeout(() => {}, 5000)\n")
    expect(launch().signal).toBe('SIGKILL')
  })

  test('and one that is sent to the launcher', async () => {
    launch()
    write('src/main.ts', `
      process.on('SIGTERM', () => process.exit(42))
      setInterval(() => {}, 1000)
      console.log('up')
    `)
    // Without execve, as on older versions of Node: launch.mjs stays the parent.
    write('no-execve.mjs', 'process.execve = undefined\n')
    const words = ['--import', join(root, 'no-execve.mjs'), join(root, 'src/launch.mjs')]
    const child = spawn(process.execPath, words, { env: environment(), stdio: ['ignore', 'pipe', 2] })
    child.stdout!.once('data', () => child.kill('SIGTERM'))
    const status = await new Promise((resolve) => { child.once('exit', resolve) })
    expect(status).toBe(42)
  })
})

describe('what is missing on the machine is one sentence', () => {
  test.each([
    ['npm', 'npm was not found'],
    ['cc', 'No C compiler found: weft compiles a small native part once.'],
    ['make', 'No make found: weft compiles a small native part once.'],
  ])('%s', (name, sentence) => {
    rmSync(join(bin, name))
    const { status, stderr } = launch()
    expect(status).toBe(1)
    const lines = stderr.trim().split('\n').filter((line) => !line.endsWith('…'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(sentence)
    expect(lines[0]).toMatch(/ and start again\.$/)
  })

  test('the network', () => {
    stub('npm', 'echo "npm error code ENOTFOUND" >&2; exit 1')
    expect(launch().stderr).toContain('the npm registry cannot be reached')
  })

  test('kernel headers', () => {
    stub('make', 'echo "ring.c:1: fatal error: linux/io_uring.h: No such file or directory"; exit 2')
    expect(launch().stderr).toContain('install linux-libc-dev (Debian, Ubuntu)')
  })

  test('anything else shows the end of the output', () => {
    stub('make', 'echo "a.c:1: error: expected expression"; exit 2')
    const { status, stderr } = launch()
    expect(status).toBe(1)
    expect(stderr).toContain('Compiling the native part failed:\na.c:1: error: expected expression')
  })

  test('a failed step is tried again by the next start', () => {
    stub('make', 'exit 2')
    launch()
    stub('make', COMPILE)
    expect(launch('ok').stdout).toBe('ok\n')
    expect(calls()).toEqual(['npm', 'make', 'make'])
  })
})

describe('several starts at a time', () => {
  test('set up once', async () => {
    stub('npm', `sleep 0.3; ${INSTALL}`)
    stub('make', `sleep 0.3; ${COMPILE}`)
    const ends = await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve) => {
      const child = spawn(process.execPath, [join(root, 'src/launch.mjs')], {
        env: environment(), stdio: 'ignore',
      })
      child.once('exit', resolve)
    })))
    expect(ends).toEqual([0, 0, 0, 0])
    expect(calls()).toEqual(['npm', 'make'])
    expect(leftovers()).toEqual([])
  })

  test.each([
    ['of a process that is no more', { pid: 2 ** 22 + 1, host: hostname() }, 0],
    ['that nobody touched for long, of another machine', { pid: 1, host: 'elsewhere' }, 60],
  ])('a lock %s is set aside', (_what, owner, ageSeconds) => {
    mkdirSync(join(root, '.weft/lock'), { recursive: true })
    write('.weft/lock/owner', JSON.stringify({ id: 'dead', ...owner }))
    const then = Date.now() / 1000 - ageSeconds
    utimesSync(join(root, '.weft/lock/owner'), then, then)
    expect(launch('ok').stdout).toBe('ok\n')
    expect(leftovers()).toEqual(['stale-dead'])
  })

  test('a signal during the set-up ends it and gives the lock back', async () => {
    stub('npm', `echo $$ > '${root}/pid'; exec sleep 30`)
    const child = spawn(process.execPath, [join(root, 'src/launch.mjs')], {
      env: environment(), stdio: 'ignore',
    })
    while (!existsSync(join(root, 'pid')) || readFileSync(join(root, 'pid')).length === 0) {
      await new Promise((resolve) => { setTimeout(resolve, 20) })
    }
    child.kill('SIGTERM')
    expect(await new Promise((resolve) => { child.once('exit', resolve) })).toBe(143)
    expect(leftovers()).toEqual([])
    const npm = Number(readFileSync(join(root, 'pid'), 'utf8'))
    await expect.poll(() => runs(npm)).toBe(false)
  })

  /** Ended but not waited for, as init may leave it for a moment, counts as ended. */
  function runs(pid: number): boolean {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return false
    }
  }

  function leftovers(): string[] {
    return readdirSync(join(root, '.weft')).filter((name) => /lock|stale/.test(name))
  }
})
