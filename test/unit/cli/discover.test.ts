/** discover beyond the plain list: extended entries, following, staying. */
import { describe, expect, test } from 'vitest'
import {
  changeText, discover, discoveryText, follow, followText, watch,
} from '../../../src/cli/discover.ts'
import type { DiscoveryLog } from '../../../src/cli/discovery-log.ts'
import { HostError } from '../../../src/host/error.ts'
import { controller, hex, scripted, type Script } from '../host/scripted-target.ts'

const WELL_KNOWN = 'nqn.2014-08.org.nvmexpress.discovery'
const HERE = '127.0.0.1'

type Entry = { subtype: number; nqn: string; address?: string; port?: number; tail?: string }

/** Entries at the offsets of the specification; tail: hexadecimal, makes the log extended. */
function log(generation: number, entries: Entry[], flags = 0): Buffer {
  const parts = entries.map(({ subtype, nqn, address = '192.0.2.1', port = 4420, tail = '' }) => {
    const entry = Buffer.alloc(1024)
    entry.set([3, 1, subtype], 0)
    entry.write(String(port).padEnd(32), 32)
    entry.write(`${nqn}\0`, 256)
    entry.write(address.padEnd(256), 512)
    return Buffer.concat([entry, hex(tail)])
  })
  const header = Buffer.alloc(1024)
  header.writeUInt32LE(generation, 0)
  header.writeUInt32LE(entries.length, 8)
  header.writeUInt8(flags, 18)
  header.writeUInt32LE(1024 + Buffer.concat(parts).length, 20)
  return Buffer.concat([header, ...parts])
}

const reading = (sqe: Buffer, page: Buffer): Buffer => {
  const offset = sqe.readUInt32LE(48)
  return page.subarray(offset, offset + (sqe.readUInt16LE(42) + 1) * 4)
}

/** Answers Get Log Page with what `page` says, and other commands with success. */
const telling = (page: (sqe: Buffer) => Buffer): Script => controller((sqe) =>
  sqe[0] === 0x02 ? { data: reading(sqe, page(sqe)) } : {})

/** TEL 1052, one attribute: type 2, 14 bytes "name with gap " and two to fill it up. */
const LABELLED = '1c040000 0100 0000 0200 0e00 6e616d65 20 77697468 20 676170 20 0000'

describe('extended entries', () => {
  const page = log(7, [
    { subtype: 2, nqn: 'nqn.a', tail: '0804000000000000' },
    { subtype: 2, nqn: 'nqn.b', tail: LABELLED },
  ], 1)

  test('are asked for in every reading, and their attributes put into words', async () => {
    const lsp = new Set<number>()
    const port = await scripted(telling((sqe) => {
      lsp.add(sqe[41]! & 0x7f)
      return page
    }))
    const found = await discover(HERE, port, { extended: true, portLocal: true })
    expect([...lsp]).toEqual([3])
    expect(found.records.map(({ subnqn, attributes }) => [subnqn, attributes])).toEqual([
      ['nqn.a', []], ['nqn.b', ['name name with gap']],
    ])
    expect(discoveryText(found)).toContain('sectype: none\nattr:    name name with gap\n')
  })

  test.each<[string, Buffer, string]>([
    ['a target without them', log(1, [{ subtype: 2, nqn: 'nqn.a' }]), 'leave --extended out'],
    ['an entry that ends behind the log', log(1, [
      { subtype: 2, nqn: 'nqn.a', tail: '0908000000000000' },
    ], 1), 'Entry 0 of the discovery log claims 2057 bytes'],
    ['an entry shorter than itself', log(1, [
      { subtype: 2, nqn: 'nqn.a', tail: '0704000000000000' },
    ], 1), 'claims 1031 bytes'],
  ])('%s is one sentence', async (_what, wrong, sentence) => {
    const port = await scripted(telling(() => wrong))
    const asked = discover(HERE, port, { extended: true, portLocal: false })
    await expect(asked).rejects.toThrow(HostError)
    await expect(asked).rejects.toThrow(sentence)
  })
})

describe('following', () => {
  const refer = (port: number): Entry =>
    ({ subtype: 1, nqn: WELL_KNOWN, address: HERE, port })

  test('asks each service once, though they refer to each other', async () => {
    const ports: number[] = []
    const asked: number[] = []
    const serve = (index: number): Promise<number> => scripted(telling((sqe) => {
      if (sqe.readUInt32LE(48) === 1024) asked.push(index)
      return log(1, [{ subtype: 2, nqn: `nqn.${index}` }, ...ports.map(refer)])
    }))
    ports.push(await serve(0), await serve(1))
    const found = await follow({ address: HERE, port: ports[0]!, nqn: WELL_KNOWN })
    expect(asked).toEqual([0, 1])
    expect(found.map((one) => one.log?.records[0]?.subnqn)).toEqual(['nqn.0', 'nqn.1'])
    expect(followText(found)).toContain(`${HERE}:${ports[1]} ${WELL_KNOWN}\nDiscovery Log Number`)
  })

  test('goes on when one does not answer; the first one has to', async () => {
    const port = await scripted(telling(() => log(1, [refer(1)])))
    const found = await follow({ address: HERE, port, nqn: WELL_KNOWN })
    expect(found[1]).toMatchObject({ log: null, failure: `Nothing listens on ${HERE}:1.` })
    await expect(follow({ address: HERE, port: 1, nqn: WELL_KNOWN })).rejects.toThrow(HostError)
  })

  test('ends after 64 services', async () => {
    const names = Array.from({ length: 100 }, (_, at) => `${WELL_KNOWN}.${at}`)
    const port = await scripted(telling(() => log(1, names.map((nqn) => ({ ...refer(1), nqn })))))
    expect(await follow({ address: HERE, port, nqn: WELL_KNOWN })).toHaveLength(64)
  })
})

test('staying: an event that comes beside a Keep Alive leads to the new log', async () => {
  const commands: Buffer[] = []
  const one = { subtype: 2, nqn: 'nqn.one' }
  let page = log(1, [one, { subtype: 2, nqn: 'nqn.old' }])
  let eventCid = -1
  const port = await scripted(controller((sqe) => {
    if (sqe[0] === 0x02) return { data: reading(sqe, page) }
    if (sqe[0] === 0x0c) {
      eventCid = sqe.readUInt16LE(2)
      return { raw: Buffer.alloc(0) }
    }
    if (sqe[0] !== 0x18 || eventCid < 0) return {}
    page = log(2, [one, { subtype: 2, nqn: 'nqn.new' }])
    const event = hex('0500180018000000 02f07000 00000000 0000 0000 0000 0000')
    event.writeUInt16LE(eventCid, 20)
    eventCid = -1
    const alive = Buffer.from(hex('0500180018000000'.padEnd(48, '0')))
    sqe.copy(alive, 20, 2, 4)
    return { raw: Buffer.concat([event, alive]) }
  }, commands))
  const logs: (DiscoveryLog | null)[] = []
  await new Promise<void>((resolve, reject) => {
    let stop: () => void = () => {}
    const enough = new Promise<void>((done) => { stop = done })
    watch({ address: HERE, port, nqn: WELL_KNOWN }, { extended: false, portLocal: false }, {
      enough, keepAliveMs: 60,
      changed: (before, after) => {
        logs.push(after)
        if (before !== null) stop()
      },
    }).then(resolve, reject)
  })
  expect(changeText(logs[0]!, logs[1]!)).toBe('Generation counter 2\n'
    + '- nvme subsystem nqn.old at tcp 192.0.2.1:4420\n'
    + '+ nvme subsystem nqn.new at tcp 192.0.2.1:4420\n')
  expect(commands[0]!.readUInt32LE(48), 'KATO').toBe(60)
  const events = commands.find((sqe) => sqe[0] === 0x09)!
  expect([events[40], events.readUInt32LE(44)]).toEqual([0x0b, 0x80000000])
  const kept = commands.filter((sqe) => sqe[0] === 0x02).map((sqe) => sqe[41]! >> 7)
  expect(kept, 'RAE of all readings but the last of each round').toEqual([1, 1, 0, 1, 1, 0])
  expect(commands.at(-1)!.readUInt32LE(48), 'shut down').toBe(0x464001)
})
