/** identify and discover against a scripted target. */
import { expect, test } from 'vitest'
import { discover, discoveryText } from '../../../src/cli/discover.ts'
import { identify } from '../../../src/cli/identify.ts'
import { HostError } from '../../../src/host/error.ts'
import { controller, hex, scripted, type Script } from '../host/scripted-target.ts'

const NQN = 'nqn.2026-01.com.example:disks'

test('Connect, enable and shut down are the bytes that the specification wants', async () => {
  const commands: Buffer[] = []
  const port = await scripted(controller(() => ({ data: Buffer.alloc(4096) }), commands))
  await identify({ address: '127.0.0.1', port, nqn: NQN, nsid: null, json: true })
  const [connect, enable, csts] = commands
  expect(connect!.length).toBe(64 + 1024)
  expect([connect![0], connect![4], connect![39]]).toEqual([0x7f, 0x01, 0x01])
  expect(connect!.readUInt32LE(32)).toBe(1024)
  // RECFMT 0, QID 0, SQSIZE 31, CATTR 0, KATO 0.
  expect(connect!.subarray(40, 52)).toEqual(hex('0000 0000 1f00 0000 00000000'))
  const data = connect!.subarray(64)
  expect(data.subarray(0, 16)).not.toEqual(Buffer.alloc(16))
  expect(data.readUInt16LE(16)).toBe(0xffff)
  expect(data.toString('latin1', 256, 256 + NQN.length + 1)).toBe(`${NQN}\0`)
  expect(data.toString('latin1', 512, 544)).toMatch(/^nqn\.2014-08\.org\.nvmexpress:uuid:/)
  // Property Set: FCTYPE 0, 4 bytes, offset 14h, EN 1, IOSQES 6, IOCQES 4.
  expect([enable![4], enable![40]]).toEqual([0, 0])
  expect([enable!.readUInt32LE(44), enable!.readUInt32LE(48)]).toEqual([0x14, 0x460001])
  expect([csts![4], csts!.readUInt32LE(44)]).toEqual([4, 0x1c])
  // Identify, CNS 01h, then at the end SHN 01b.
  expect([commands[3]![0], commands[3]![40]]).toEqual([0x06, 0x01])
  expect(commands.at(-1)!.readUInt32LE(48)).toBe(0x464001)
})

test('a controller is decoded field by field', async () => {
  const page = Buffer.alloc(4096)
  page.write('S1'.padEnd(20), 4)
  page.write('a model'.padEnd(40), 24)
  page.set([8], 77)
  page.writeUInt32LE(0x0001_0400, 80)
  page.set([1], 111)
  page.writeUInt16LE(0x000c, 520)
  page.writeUInt32LE(260, 1792)
  page.write(`${NQN}\0`, 768)
  const list = Buffer.alloc(4096)
  list.writeUInt32LE(1, 0)
  list.writeUInt32LE(7, 4)
  const script = controller((sqe) => ({ data: sqe[40] === 2 ? list : page, success: true }))
  const port = await scripted(script)
  const request = { address: '127.0.0.1', port, nqn: NQN, nsid: null }
  const text = await identify({ ...request, json: false })
  for (const line of ['sn        : S1', 'mn        : a model', 'mdts      : 8',
    '  at most 1 MiB of data a command', 'ver       : 0x10400', '  NVMe 1.4.0', 'oncs      : 0xc',
    '  [2] dsm: 1', '  [0] compare: 0', '  writes of up to 4 KiB go in the capsule',
    `subnqn    : ${NQN}`, 'namespaces: 1, 7']) {
    expect(text.split('\n')).toContain(line)
  }
  const json = JSON.parse(await identify({ ...request, json: true }))
  expect(json).toMatchObject({ sn: 'S1', mdts: 8, ver: 0x10400, namespaces: [1, 7] })
})

test('a namespace is decoded, with its UUID and format', async () => {
  const page = Buffer.alloc(4096)
  page.writeUInt32LE(0x40000, 0)
  page.set(hex('000102030405060708090a0b0c0d0e0f'), 104)
  page.set([0, 0, 9, 0, 0, 0, 12, 1], 128)
  page.set([1], 25)
  page.set([1], 26)
  const descriptors = Buffer.alloc(4096)
  descriptors.set(hex('0210 0000 000102030405060708090a0b0c0d0e0f'), 0)
  descriptors.set(hex('0310 0000 6c1e7c2e4f4b8a6b9d3e0f5a7b1c2d3e'), 20)
  const port = await scripted(controller((sqe) => {
    expect(sqe.readUInt32LE(4)).toBe(3)
    return { data: sqe[40] === 3 ? descriptors : page }
  }))
  const text = await identify({ address: '127.0.0.1', port, nqn: NQN, nsid: 3, json: false })
  for (const line of ['NVME Identify Namespace 3: 1 GiB, 262144 blocks of 4096 bytes',
    'nsze    : 0x40000', 'nguid   : 000102030405060708090a0b0c0d0e0f',
    'uuid    : 6c1e7c2e-4f4b-8a6b-9d3e-0f5a7b1c2d3e', 'lbaf  0 : ms:0   lbads:9  rp:0',
    'lbaf  1 : ms:0   lbads:12 rp:1 (in use)']) {
    expect(text.split('\n')).toContain(line)
  }
})

/** Five entries: more than one piece of 4096 bytes. */
function discoveryLog(generation: number): Buffer {
  const log = Buffer.alloc(1024 * 6)
  log.writeUInt32LE(generation, 0)
  log.writeUInt32LE(5, 8)
  for (let index = 0; index < 5; index += 1) {
    const entry = log.subarray(1024 * (index + 1))
    entry.set([3, 1, index === 0 ? 3 : 2, 0x04], 0)
    entry.writeUInt16LE(7, 4)
    entry.writeUInt16LE(index === 0 ? 3 : 0, 10)
    entry.write('4420'.padEnd(32), 32)
    entry.write(`${NQN}${index}\0`, 256)
    entry.write('192.0.2.1'.padEnd(256), 512)
  }
  return log
}

test('a discovery log is read in pieces, and again when it changed', async () => {
  const reads: [offset: number, bytes: number][] = []
  const port = await scripted(controller((sqe) => {
    expect([sqe[0], sqe[40]]).toEqual([0x02, 0x70])
    const offset = sqe.readUInt32LE(48)
    const bytes = (sqe.readUInt16LE(42) + 1) * 4
    reads.push([offset, bytes])
    // The generation goes up once, between the two looks at the head of the first round.
    return { data: discoveryLog(reads.length < 4 ? 1 : 2).subarray(offset, offset + bytes) }
  }))
  const found = await discover('127.0.0.1', port)
  const round = [[0, 20], [1024, 4096], [5120, 1024], [0, 20]]
  expect(reads).toEqual([...round, ...round])
  expect(found.generation).toBe(2)
  expect(found.records).toHaveLength(5)
  expect(found.records[0]).toEqual({
    trtype: 'tcp', adrfam: 'ipv4', subtype: 'current discovery subsystem',
    treq: 'not specified, sq flow control disable supported', portid: 7, trsvcid: '4420',
    subnqn: `${NQN}0`, traddr: '192.0.2.1',
    eflags: 'duplicate discovery information, explicit discovery connections', sectype: 'none',
  })
  expect(discoveryText(found)).toContain(
    '=====Discovery Log Entry 4======\ntrtype:  tcp\nadrfam:  ipv4\nsubtype: nvme subsystem\n')
})

const DATA_BEYOND = Buffer.from(hex('0704181818100000').toString('hex').padEnd(48, '0'), 'hex')

test.each<[string, Script, string]>([
  ['an unknown subsystem', () => ({ status: 0x182, dw0: 1 << 16 | 256 }),
    `Connect to ${NQN} was refused: there is no subsystem of that name. `],
  ['a host that may not', () => ({ status: 0x4184 }), 'Connect Invalid Host (1/84h)'],
  ['C2HTermReq', () => ({ raw: hex(`0300180018000000 0100 02000000 ${'00'.repeat(10)}`) }),
    'terminated the connection: Invalid PDU Header Field.'],
  ['C2HTermReq without its fields', () => ({ raw: hex('0308080008000000') }),
    'does not speak NVMe/TCP'],
  ['data that nobody asked for', () => ({ raw: Buffer.concat([DATA_BEYOND, Buffer.alloc(4096)]) }),
    'sent data that nobody asked for'],
  ['a PDU that is no answer', () => ({ raw: hex(`0900180018000000${'00'.repeat(16)}`) }),
    'with a PDU that does not belong there'],
  ['something else', () => ({ raw: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }),
    'does not speak NVMe/TCP'],
])('%s is one sentence', async (_what, script, sentence) => {
  const port = await scripted(script)
  const asked = identify({ address: '127.0.0.1', port, nqn: NQN, nsid: null, json: false })
  await expect(asked).rejects.toThrow(HostError)
  await expect(asked).rejects.toThrow(sentence)
})

test('a namespace that is not there names those that are', async () => {
  const list = Buffer.alloc(4096)
  list.writeUInt32LE(4, 0)
  const script = controller((sqe) => ({ data: sqe[40] === 2 ? list : Buffer.alloc(4096) }))
  const port = await scripted(script)
  const asked = identify({ address: '127.0.0.1', port, nqn: NQN, nsid: 9, json: false })
  await expect(asked).rejects.toThrow('The subsystem has no namespace 9. Those it has: 4.')
})
