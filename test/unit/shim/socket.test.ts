/**
 * Connections: bytes in, bytes out, how they begin and end. Real sockets over loopback, on every
 * engine.
 */
import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { C, COUNTER, FLAG, H, STATE, TX } from '../../../src/shim/abi.ts'
import { ERRNO } from '../../../src/shim/errno.ts'
import { collect, ENGINES, isClosed, pattern, Rig, shim } from './rig.ts'

const { ECONNRESET, EPIPE, EBUSY } = ERRNO

/** One that spins serves a few connections by calls of their own. */
const MODES = ENGINES.flatMap((each) => [0, 30].map((spinUs) => ({ ...each, spinUs })))

describe.each(MODES)('$name, spinning $spinUs µs', ({ engine, spinUs }) => {
  let rig: Rig
  beforeEach(() => { rig = new Rig({ engine }, spinUs) })
  afterEach(() => rig.close())

  /** Sends back what arrives on `connection` until `total` bytes went through. */
  async function echo(connection: number, total: number): Promise<void> {
    let seen = 0
    let out = 0
    await rig.until(`${total} bytes echoed`, () => {
      // An echoed run stays in the ring until it was sent: its bytes are the payload.
      if (rig.queued(connection) === 0 && out > 0) {
        rig.consume(connection, out)
        seen += out
        out = 0
      }
      const available = rig.available(connection)
      if (out === 0 && available > 0) {
        rig.send(connection, { at: rig.ringAt(connection), bytes: available })
        out = available
      }
      return seen === total
    })
  }

  test('echoes bytes that arrive in odd splits', async () => {
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    const bytes = pattern(100_003)
    for (let at = 0, length = 1; at < bytes.length; length = (length * 7 + 3) % 4099) {
      client.write(bytes.subarray(at, at + length))
      at += length
    }
    await echo(connection, bytes.length)
    await rig.until('all is back', () => collected.bytes().length === bytes.length)
    expect(collected.bytes().equals(bytes)).toBe(true)
  })

  test('a run across the end of the ring is contiguous', async () => {
    const { client, connection } = await rig.connect()
    const bytes = pattern(3 * rig.limits.rxBytes)
    client.write(bytes)
    const parts: Buffer[] = []
    let wrapped = 0
    await rig.until('all arrived', () => {
      // One byte always stays, so the ring never empties and never begins again at 0.
      while (rig.available(connection) > 1) {
        const at = rig.ringAt(connection) - rig.word(H.RX_AT) - connection * 2 * rig.limits.rxBytes
        if (at + rig.available(connection) - 1 > rig.limits.rxBytes) wrapped++
        parts.push(rig.consume(connection, rig.available(connection) - 1))
      }
      const total = parts.reduce((sum, part) => sum + part.length, 0)
      return total === bytes.length - 1
    })
    parts.push(rig.consume(connection))
    expect(wrapped).toBeGreaterThan(0)
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  })

  test('an empty ring begins again at its start', async () => {
    const { client, connection } = await rig.connect()
    for (let i = 0; i < 3; i++) {
      client.write(Buffer.alloc(1000, i))
      await rig.until('1000 bytes', () => rig.available(connection) === 1000)
      expect(rig.word(rig.block(connection) + C.RX_HEAD)).toBe(0)
      rig.consume(connection)
    }
  })

  test('a full ring stops receiving until bytes were consumed', async () => {
    const { client, connection } = await rig.connect()
    const bytes = pattern(rig.limits.rxBytes + 5000)
    client.write(bytes)
    await rig.until('the ring is full', () => rig.available(connection) === rig.limits.rxBytes)
    await rig.turns(5)
    expect(rig.available(connection)).toBe(rig.limits.rxBytes)
    const parts = [rig.consume(connection, 100)]
    await rig.until('100 more', () => rig.available(connection) === rig.limits.rxBytes)
    parts.push(rig.consume(connection))
    await rig.until('the rest', () => rig.available(connection) === 4900)
    parts.push(rig.consume(connection))
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  })

  test('placement: the payload lands in the region and the tail in the ring', async () => {
    const { client, connection } = await rig.connect()
    const region = shim.regionCreate(1 << 20, false)
    const view = new Uint8Array(shim.regionView(region, 1 << 20))
    await rig.turns(2)
    const payload = pattern(200_000, 5)
    const tail = pattern(777, 6)
    client.write(Buffer.concat([Buffer.from('head'), Buffer.alloc(0)]))
    await rig.until('the head', () => rig.available(connection) === 4)
    rig.consume(connection)
    rig.place(connection, region, 4097, payload.length)
    client.write(payload)
    client.write(tail)
    await rig.until('payload and tail', () => rig.available(connection) === tail.length)
    expect(rig.word(rig.block(connection) + C.PLACE_BYTES)).toBe(0)
    expect(rig.word(rig.block(connection) + C.PLACE_LO)).toBe(4097 + payload.length)
    expect(Buffer.from(view.subarray(4097, 4097 + payload.length)).equals(payload)).toBe(true)
    expect(view[4096]).toBe(0)
    expect(view[4097 + payload.length]).toBe(0)
    expect(rig.consume(connection).equals(tail)).toBe(true)
    expect(shim.regionRelease(region)).toBe(0)
  })

  test('placement asked for while a receive is in flight holds all the same', async () => {
    const { client, connection } = await rig.connect()
    await rig.turns(3)
    rig.place(connection, 0, rig.buffer(0), 1000)
    await rig.turns(2)
    const bytes = pattern(1500, 9)
    client.write(bytes)
    await rig.until('the tail', () => rig.available(connection) === 500)
    const placed = rig.bytes.subarray(rig.buffer(0), rig.buffer(1000))
    expect(Buffer.from(placed).equals(bytes.subarray(0, 1000))).toBe(true)
    expect(rig.consume(connection).equals(bytes.subarray(1000))).toBe(true)
  })

  test('a placement that is taken back stays taken back when the receive ends', async () => {
    const { client, connection } = await rig.connect()
    await rig.turns(2)
    client.write('x')
    await rig.until('a byte', () => rig.available(connection) === 1)
    rig.consume(connection)
    rig.place(connection, 0, rig.buffer(0), 1000)
    await rig.turns(2)
    rig.place(connection, 0, rig.buffer(0), 0)
    client.write(Buffer.alloc(1001, 7))
    await rig.until('what follows', () => rig.available(connection) > 0)
    expect(rig.word(rig.block(connection) + C.PLACE_BYTES)).toBe(0)
    expect(rig.turn()).toBe(0)
  })

  test('PAUSE keeps bytes in the kernel until it is taken back', async () => {
    const { client, connection } = await rig.connect()
    rig.flag(connection, FLAG.PAUSE)
    client.write('one')
    await rig.turns(20)
    expect(rig.available(connection)).toBe(0)
    rig.flag(connection, 0)
    await rig.until('three bytes', () => rig.available(connection) === 3)
  })

  test('gathers header, header digest, padding, payload and data digest', async () => {
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    const header = Buffer.from('050118001c000000' + '0000000000000000' + '0100' + '0000' +
      '3412' + '0000', 'hex')
    rig.bytes.fill(0xff, rig.buffer(0), rig.buffer(32))
    rig.send(connection, {
      flags: TX.HEADER_DIGEST | TX.DATA_DIGEST, header, padBytes: 100, at: rig.buffer(0), bytes: 32,
    })
    rig.send(connection, { header: Buffer.alloc(32, 0xaa) })
    rig.send(connection, {})
    rig.send(connection, { flags: TX.DATA_DIGEST, at: rig.buffer(0), bytes: 9 })
    rig.bytes.set(Buffer.from('123456789'), rig.buffer(4096))
    rig.send(connection, { flags: TX.DATA_DIGEST, at: rig.buffer(4096), bytes: 9 })
    await rig.until('all is sent', () => rig.queued(connection) === 0)
    const expected = Buffer.concat([
      header, Buffer.from('7ed491ba', 'hex'), Buffer.alloc(100), Buffer.alloc(32, 0xff),
      Buffer.from('43aba862', 'hex'), Buffer.alloc(32, 0xaa),
    ])
    await rig.until('all arrived', () => collected.bytes().length === expected.length + 2 * 13)
    expect(collected.bytes().subarray(0, expected.length).toString('hex'))
      .toBe(expected.toString('hex'))
    expect(collected.bytes().subarray(-13).toString('hex'))
      .toBe(Buffer.from('123456789').toString('hex') + '839206e3')
  })

  test('sends much to a slow reader, in order, and goes on without a touch', async () => {
    const { client, connection } = await rig.connect()
    const payload = pattern(1 << 20, 3)
    rig.bytes.set(payload, rig.buffer(0))
    client.pause()
    for (let i = 0; i < 40; i++) {
      rig.send(connection, { header: Buffer.from([i, 1, 2, 3]), at: rig.buffer(0), bytes: 1 << 20 })
    }
    await rig.turns(50)
    expect(rig.queued(connection)).toBeGreaterThan(0)
    const collected = collect(client)
    client.resume()
    await rig.until('all is sent', () => rig.queued(connection) === 0)
    await rig.until('all arrived', () => collected.bytes().length === 40 * ((1 << 20) + 4))
    for (let i = 0; i < 40; i++) {
      const at = i * ((1 << 20) + 4)
      expect(collected.bytes().readUInt8(at)).toBe(i)
      expect(collected.bytes().subarray(at + 4, at + 4 + (1 << 20)).equals(payload)).toBe(true)
    }
  })

  test('a ring full of entries with four pieces each goes out in several sends', async () => {
    const many = 1024
    rig.close()
    rig = new Rig({ engine, txEntries: many }, spinUs)
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    for (let i = 0; i < many; i++) {
      rig.send(connection, {
        flags: TX.HEADER_DIGEST | TX.DATA_DIGEST, header: Buffer.alloc(8, i), padBytes: 4,
        at: rig.buffer(0), bytes: 16,
      })
    }
    const sends = rig.counter(COUNTER.SENDS)
    await rig.until('all is sent', () => rig.queued(connection) === 0)
    await rig.until('all arrived', () => collected.bytes().length === many * (8 + 4 + 4 + 16 + 4))
    for (let i = 0; i < many; i++) expect(collected.bytes()[i * 36]).toBe(i & 255)
    expect(rig.counter(COUNTER.SENDS) - sends).toBe(many / 256)
  })

  test('a send ring that is empty may begin again at 0', async () => {
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    const block = rig.block(connection)
    for (let i = 0; i < 3; i++) {
      rig.send(connection, { header: Buffer.from([2 * i]) })
      rig.send(connection, { header: Buffer.from([2 * i + 1]) })
      await rig.until('all is sent', () => rig.queued(connection) === 0)
      rig.words[block + C.TX_HEAD] = 0
      rig.words[block + C.TX_TAIL] = 0
    }
    await rig.until('all arrived', () => collected.bytes().length === 6)
    expect([...collected.bytes()]).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('FINISH ends the sending side once all is sent', async () => {
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    rig.bytes.fill(7, rig.buffer(0), rig.buffer(1 << 20))
    for (let i = 0; i < 4; i++) rig.send(connection, { at: rig.buffer(0), bytes: 1 << 20 })
    rig.flag(connection, FLAG.FINISH)
    await rig.until('the client saw the end', () => collected.ended)
    expect(collected.bytes().length).toBe(4 << 20)
    // allowHalfOpen is off: the client now ends its side too.
    await rig.until('the end of the other side', () => rig.state(connection) === STATE.ENDED)
    expect(rig.word(rig.block(connection) + C.ERROR)).toBe(0)
  })

  test('the end of the stream leaves the bytes before it readable', async () => {
    const { client, connection } = await rig.connect()
    client.end('last words')
    await rig.until('the end', () => rig.state(connection) === STATE.ENDED)
    expect(rig.word(rig.block(connection) + C.ERROR)).toBe(0)
    expect(rig.consume(connection).toString()).toBe('last words')
    rig.flag(connection, FLAG.CLOSE)
    await rig.until('closed', () => isClosed(rig, connection))
    expect(shim.release(connection)).toBe(0)
    expect(rig.state(connection)).toBe(STATE.FREE)
  })

  test('CLOSE with a receive and a send in flight ends in CLOSED', async () => {
    const { client, connection } = await rig.connect()
    client.pause()
    for (let i = 0; i < 20; i++) rig.send(connection, { at: rig.buffer(0), bytes: 1 << 20 })
    await rig.turns(20)
    expect(rig.queued(connection)).toBeGreaterThan(0)
    expect(shim.release(connection)).toBe(-EBUSY)
    rig.flag(connection, FLAG.CLOSE)
    let told = false
    await rig.until('closed', () => {
      told ||= rig.ready.includes(connection) && isClosed(rig, connection)
      return isClosed(rig, connection)
    })
    expect(told || rig.ready.includes(connection)).toBe(true)
    expect(shim.release(connection)).toBe(0)
  })

  test('CLOSE with nothing in flight is CLOSED in the same turn', async () => {
    const { connection } = await rig.connect()
    rig.flag(connection, FLAG.PAUSE | FLAG.CLOSE)
    rig.turn()
    expect(isClosed(rig, connection)).toBe(true)
    expect(rig.ready).toEqual([connection])
  })

  test('a reset by the peer is told with its errno', async () => {
    const { client, connection } = await rig.connect()
    await rig.turns(2)
    client.resetAndDestroy()
    await rig.until('the end', () => rig.state(connection) === STATE.ENDED)
    expect([ECONNRESET, EPIPE]).toContain(rig.word(rig.block(connection) + C.ERROR))
  })

  test('many busy ones, quiet ones, and busy ones that become quiet', async () => {
    const all: Awaited<ReturnType<Rig['connect']>>[] = []
    for (let i = 0; i < 9; i++) all.push(await rig.connect())
    const received = all.map(({ client }) => collect(client))
    for (const round of [9, 2, 7, 9]) {
      for (const { client } of all.slice(0, round)) client.write('ping')
      for (const { connection } of all.slice(0, round)) await echo(connection, 4)
      // A client that is heard only now: nobody is tried any more, and the wait is woken.
      await rig.turns(20)
    }
    const rounds = [4, 4, 3, 3, 3, 3, 3, 2, 2]
    for (const [i, times] of rounds.entries()) {
      await rig.until(`all of ${i}`, () => received[i]!.bytes().length === 4 * times)
    }
  })

  test('a connection is ready at most once a turn', async () => {
    const { client, connection } = await rig.connect()
    const collected = collect(client)
    client.write('x')
    await rig.until('a byte', () => rig.available(connection) === 1)
    for (let i = 0; i < 50; i++) {
      client.write('y')
      rig.send(connection, { header: Buffer.from('z') })
      rig.touch(connection)
      rig.turn()
      expect(rig.ready.length).toBe(new Set(rig.ready).size)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await rig.until('all sent', () => collected.bytes().length === 50)
  })

  test('the last entries of a broken connection do not reach the next on its index', async () => {
    const listening = rig.listen()
    const first = await rig.connect(listening)
    first.client.write('old')
    await rig.until('three bytes', () => rig.available(first.connection) === 3)
    rig.flag(first.connection, FLAG.CLOSE)
    await rig.until('closed', () => isClosed(rig, first.connection))
    shim.release(first.connection)
    const second = await rig.connect(listening)
    expect(second.connection).toBe(first.connection)
    const ring = rig.ringAt(second.connection)
    expect(Buffer.from(rig.bytes.subarray(ring, ring + 3)).toString('hex')).toBe('000000')
    second.client.write('new')
    await rig.until('three bytes', () => rig.available(second.connection) === 3)
    expect(rig.consume(second.connection).toString()).toBe('new')
  })

  test('one index reused 1000 times leaves no descriptor behind', async () => {
    const listening = rig.listen()
    const once = async (): Promise<void> => {
      const { client, connection } = await rig.connect(listening)
      expect(connection).toBe(0)
      client.write('x')
      await rig.until('a byte', () => rig.available(connection) === 1)
      rig.flag(connection, FLAG.CLOSE)
      await rig.until('closed', () => isClosed(rig, connection))
      expect(shim.release(connection)).toBe(0)
      client.destroy()
      await new Promise((resolve) => client.destroyed && setImmediate(resolve))
    }
    for (let i = 0; i < 20; i++) await once()
    // What Wine has in /proc is not this process's alone.
    const descriptors = (): number => process.platform === 'win32' ? 0 : readdirSync('/proc/self/fd').length
    const before = descriptors()
    for (let i = 0; i < 1000; i++) await once()
    expect(descriptors()).toBeLessThanOrEqual(before + 2)
  }, 60_000)
})
