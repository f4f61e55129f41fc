/**
 * An update: in which order things open, change, are told and close; what a failure gives back; and what
 * happens to storage that commands still use.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { readConfig } from '../../src/config/read.ts'
import { StartError } from '../../src/config/start-error.ts'
import type { Log } from '../../src/control/log.ts'
import type { Backings, OpenBacking } from '../../src/device/backing.ts'
import { limitsOf } from '../../src/limits.ts'
import { Stock } from '../../src/stock.ts'
import type { Change } from '../../src/reactor/messages.ts'
import type { SubsystemSnapshot, TargetSnapshot } from '../../src/subsystem/subsystem.ts'
import type { Listener } from '../../src/tcp/listener.ts'
import { Update, type UpdateParts } from '../../src/update.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const OTHER = 'nqn.2026-01.com.example:other'
const AROUND = { machineId: 'm', cpuCount: 4, folder: '/srv', state: '/var/lib/weft' }
const GIB = 2 ** 30

const config = (subsystems: object[], more: object = {}): Config =>
  readConfig({ discovery: false, subsystems, ...more }, 'weft.json', AROUND)
const disks = (namespaces: object[], more: object = {}): object => ({ nqn: NQN, namespaces, ...more })
const memory = (size: string, nsid = 1): object => ({ nsid, memory: size })
const file = (name: string, nsid = 1, size = '1G'): object => ({ nsid, file: name, size })

afterEach(() => { vi.useRealTimers() })

function rig(before: Config) {
  const happened: string[] = []
  const refused = new Set<string>()
  const backings = {
    open: ({ backing, blockBytes }: Config['subsystems'][0]['namespaces'][0]) => {
      const path = 'path' in backing ? backing.path : backing.kind
      happened.push(`open ${path}`)
      if (refused.has(path)) throw new StartError(`${path} does not exist.`)
      const bytes = 'bytes' in backing ? backing.bytes! : GIB
      return {
        device: { kind: 'null', path }, blockBytes: blockBytes!, blockCount: bytes / blockBytes!, readOnly: false, note: '',
      } as unknown as OpenBacking
    },
    release: ({ device }: OpenBacking) => happened.push(`release ${(device as { path?: string }).path}`),
    resize: (open: OpenBacking, bytes: number | null) => {
      happened.push(`resize ${bytes}`)
      return { ...open, blockCount: (bytes ?? GIB) / open.blockBytes }
    },
    cut: (_open: OpenBacking, bytes: number) => happened.push(`cut ${bytes}`),
  }
  const stock = new Stock(backings as unknown as Backings, { namespaces: 8, namespaceIndices: 16 }, (_nqn, { blockBytes }) => blockBytes)
  for (const { nqn, namespaces } of before.subsystems) for (const each of namespaces) stock.put(stock.open(nqn, each))
  happened.length = 0
  let retired: Promise<void> = Promise.resolve()
  const all: Listener[] = before.listeners.map((wanted, socket) => ({ socket, wanted, endpoint: wanted, discoveryOnly: false }))
  const lines: string[] = []
  const say = (what: unknown): void => { lines.push(typeof what === 'string' ? what : 'listening') }
  let target: TargetSnapshot = {
    generation: 1, firmware: '', discovery: { referrals: [], registered: [], ports: [] },
    subsystems: before.subsystems.map(({ nqn, hosts }) => ({ nqn, hosts, namespaces: [] }) as unknown as SubsystemSnapshot),
  }
  const parts = {
    stock, backings, firmware: '', limits: limitsOf({ ...before.limits, engine: 0 }),
    check: (nqn: string) => {
      if (refused.has(nqn)) throw new StartError(`What is kept of ${nqn} cannot be read.`)
    },
    configure: () => {}, concerns: () => true,
    log: { notice: say, warning: say, failure: say, listening: say } as unknown as Log,
    model: {
      get target() { return target },
      apply: (next: (before: TargetSnapshot) => TargetSnapshot) => {
        target = next(target)
        const shown = target.subsystems.filter(({ kind }) => kind !== 'discovery')
          .map(({ nqn, hosts, namespaces }) => `${nqn.split(':')[1]}${hosts?.length === 0 ? ' closed' : ''} ${namespaces.map(({ nsid }) => nsid)}`)
        happened.push(`model ${shown.join('; ')}`)
        return Promise.resolve()
      },
    },
    plane: {
      change: (change: Change) => {
        happened.push(change.kind)
        return change.kind === 'retire' ? retired : Promise.resolve()
      },
      raise: (event: string, _concerned: unknown, nsid: number) => happened.push(`${event} ${nsid}`),
      end: (_concerned: unknown, reason: string) => {
        happened.push(`end: ${reason}`)
        return Promise.resolve()
      },
      listen: (listeners: Listener[]) => { if (listeners.length !== 0) happened.push('listen') },
    },
    nvme: { prepare: () => Promise.resolve(), tidy: () => Promise.resolve() },
    listeners: {
      all,
      listen: (wanted: Listener['wanted'], discoveryOnly: boolean) => {
        if (refused.has(String(wanted.port))) throw new StartError('Another program listens there.')
        happened.push(`bind ${wanted.port}`)
        const listener = { socket: 90 + all.length, wanted, endpoint: wanted, discoveryOnly }
        all.push(listener)
        return listener
      },
      remove: (listener: Listener) => {
        happened.push(`unbind ${listener.wanted.port}`)
        all.splice(all.indexOf(listener), 1)
      },
    },
  } as unknown as UpdateParts
  const update = (after: Config): Promise<Config> => new Update(parts, before, after).apply()
  return { update, happened, lines, refused, stock, hold: (promise: Promise<void>) => { retired = promise } }
}

describe('in this order', () => {
  test('a namespace in place of another, which is closed when it is used no more', async () => {
    const { update, happened, lines } = rig(config([disks([file('a'), memory('1G', 2)])]))
    await update(config([disks([memory('1G', 2), file('b', 3)])]))
    expect(happened).toEqual([
      'open /srv/b', 'model disks 2,3', 'NAMESPACE_ATTRIBUTES 1', 'NAMESPACE_ATTRIBUTES 3',
      'end: the host may not connect any more', 'retire', 'release /srv/a',
    ])
    expect(lines).toEqual([`Namespace 1 of ${NQN} was removed.`, `Namespace 3 of ${NQN} was added: /srv/b, 1 GiB.`])
  })

  test('the same file for another namespace is opened when it was closed', async () => {
    const { update, happened } = rig(config([disks([file('a')])]))
    await update(config([disks([file('a', 5)])]))
    expect(happened).toEqual([
      'model disks ', 'NAMESPACE_ATTRIBUTES 1', 'end: the host may not connect any more', 'retire', 'release /srv/a',
      'open /srv/a', 'model disks 5', 'NAMESPACE_ATTRIBUTES 5',
    ])
  })

  test('another one with its NSID comes when hosts have seen it go', async () => {
    vi.useFakeTimers()
    const { update, happened } = rig(config([disks([file('a'), memory('1G', 2)])]))
    const updated = update(config([disks([file('b'), memory('1G', 2)])]))
    await vi.advanceTimersByTimeAsync(999)
    expect(happened).toEqual([
      'open /srv/b', 'model disks 2', 'NAMESPACE_ATTRIBUTES 1', 'end: the host may not connect any more', 'retire',
      'release /srv/a',
    ])
    await vi.advanceTimersByTimeAsync(1)
    await updated
    expect(happened.slice(6)).toEqual(['model disks 1,2', 'NAMESPACE_ATTRIBUTES 1'])
  })

  test('a larger size before it is told, a smaller one after it is used no more', async () => {
    const { update, happened, lines } = rig(config([disks([memory('1G'), memory('4G', 2)])]))
    await update(config([disks([memory('2G'), memory('2G', 2)])]))
    expect(happened).toEqual([
      `resize ${2 * GIB}`, `resize ${2 * GIB}`, 'model disks 1,2', 'NAMESPACE_ATTRIBUTES 1', 'NAMESPACE_ATTRIBUTES 2',
      'end: the host may not connect any more', 'retire', `cut ${2 * GIB}`,
    ])
    expect(lines).toEqual([
      `Namespace 1 of ${NQN} has 2 GiB now (1 GiB before).`, `Namespace 2 of ${NQN} has 2 GiB now (4 GiB before).`,
    ])
  })

  test('a subsystem that goes is closed to hosts before its namespaces are', async () => {
    const other = { nqn: OTHER, namespaces: [memory('1G')] }
    const { update, happened } = rig(config([disks([memory('1G')]), other]))
    await update(config([disks([memory('1G')])]))
    expect(happened.slice(0, 3)).toEqual(['model disks ; other closed ', 'end: the subsystem was removed', 'model disks 1'])
    expect(happened.at(-1)).toBe('release memory')
  })

  test('listeners: bound first, accepting when there is something to find; closed when nobody accepts', async () => {
    const listening = (...ports: number[]): object => ({ listeners: ports.map((port) => ({ address: '127.0.0.1', port })) })
    const { update, happened, lines } = rig(config([disks([])], listening(1111, 2222)))
    await update(config([disks([])], listening(2222, 3333)))
    expect(happened).toEqual([
      'bind 3333', 'model disks ', 'listen', 'end: the host may not connect any more', 'unlisten', 'unbind 1111',
    ])
    expect(lines).toEqual(['listening', 'No longer listening on 127.0.0.1:1111.'])
  })
})

describe('a failure', () => {
  test.each([
    ['a file', '/srv/missing'], ['a port', '4444'], ['what is kept of a subsystem', OTHER],
  ])('of %s gives everything back and changes nothing', async (_name, what) => {
    const { update, happened, refused, stock } = rig(config([disks([memory('1G'), memory('1G', 7)])]))
    refused.add(what)
    const after = config([
      disks([memory('2G'), file('new', 2), file('other', 7), file('missing', 3)]), { nqn: OTHER, namespaces: [] },
    ], { listeners: [{ address: '127.0.0.1', port: 3333 }, { address: '127.0.0.1', port: 4444 }] })
    await expect(update(after)).rejects.toThrow(StartError)
    const opened = happened.filter((each) => /^(?:open|bind)/.test(each) && !each.includes(what))
    const given = happened.filter((each) => /^(?:release|unbind)/.test(each))
    expect(given.map((each) => each.split(' ')[1])).toEqual(opened.map((each) => each.split(' ')[1]))
    expect(happened.includes(`resize ${2 * GIB}`)).toBe(happened.includes(`cut ${GIB}`))
    expect(happened.some((each) => each.startsWith('model'))).toBe(false)
    expect(stock.items.map(({ config: { nsid }, index }) => [nsid, index])).toEqual([[1, 0], [7, 1]])
  })

  test('of what can be opened late only is told, and is not in the configuration', async () => {
    const { update, lines, refused } = rig(config([disks([file('a'), memory('1G', 2)])]))
    refused.add('/srv/a')
    const left = await update(config([disks([memory('1G', 2), file('a', 3)])]))
    expect(left.subsystems[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([2])
    expect(lines.at(-1)).toBe(`Namespace 3 of ${NQN} cannot be added: /srv/a does not exist.`)
  })
})

describe('commands that do not end', () => {
  test('are waited for, but not for ever; what they use is closed when they do', async () => {
    vi.useFakeTimers()
    const { update, happened, lines, hold, stock } = rig(config([disks([file('a'), memory('4G', 2)])]))
    let end = (): void => {}
    hold(new Promise((resolve) => { end = resolve }))
    const updated = update(config([disks([memory('2G', 2)])]))
    await vi.advanceTimersByTimeAsync(4999)
    expect(lines.some((line) => line.includes('have not finished'))).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await updated
    expect(lines.at(-1)).toMatch(/have not finished their commands on Namespace 1 .*, Namespace 2 /)
    expect(happened.at(-1)).toBe('retire')
    const numbers = stock.open(NQN, config([disks([memory('1G', 7)])]).subsystems[0]!.namespaces[0]!)
    expect([numbers.index, numbers.counter], 'theirs are not free yet').toEqual([3, 2])
    end()
    await vi.advanceTimersByTimeAsync(0)
    expect(happened.slice(-2)).toEqual(['release /srv/a', `cut ${2 * GIB}`])
  })
})
