/**
 * Listeners and adoption: how a client of a port becomes a connection. Real sockets over loopback, on
 * every engine.
 */
import { closeSync, openSync } from 'node:fs'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ERRNO } from '../../../src/shim/errno.ts'
import { ENGINES, Rig, shim } from './rig.ts'

const { ENOSPC, ENOTSOCK, EADDRINUSE } = ERRNO

/** One that spins serves a few connections by calls of their own. */
const MODES = ENGINES.flatMap((each) => [0, 30].map((spinUs) => ({ ...each, spinUs })))

describe.each(MODES)('$name, spinning $spinUs µs', ({ engine, spinUs }) => {
  let rig: Rig
  beforeEach(() => { rig = new Rig({ engine }, spinUs) })
  afterEach(() => rig.close())

  test('accepts over IPv4 and IPv6 and tells both addresses', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const { listener, port } = rig.listen(host)
      expect(shim.address(listener, false)).toBe(`${host} ${port}`)
      const client = net.connect({ port, host })
      client.on('error', () => {})
      const socket = await rig.result(0x40000000 + listener)
      expect(shim.address(socket, false)).toBe(`${host} ${port}`)
      await rig.until('connected', () => client.localPort !== undefined)
      expect(shim.address(socket, true)).toBe(`${host} ${client.localPort}`)
      client.destroy()
      expect(shim.socketClose(socket)).toBe(0)
    }
  })

  test('the IPv6 wildcard leaves the port to IPv4', async () => {
    const { port } = rig.listen('::')
    const second = shim.listen('0.0.0.0', port, 16)
    expect(second).toBeGreaterThanOrEqual(0)
    expect(shim.listen('0.0.0.0', port, 16)).toBe(-EADDRINUSE)
    expect(shim.socketClose(second)).toBe(0)
  })

  test('several clients at once are several completions of one token', async () => {
    const { listener, port } = rig.listen()
    const clients = Array.from({ length: 10 }, () => net.connect(port, '127.0.0.1'))
    const sockets = new Set<number>()
    for (let i = 0; i < clients.length; i++) sockets.add(await rig.result(0x40000000 + listener))
    expect(sockets.size).toBe(10)
    for (const socket of sockets) shim.socketClose(socket)
    for (const client of clients) client.destroy()
  })

  test('after acceptStop nothing is accepted and the port is free once closed', async () => {
    const { listener, port } = rig.listen()
    await rig.turns(2)
    expect(shim.acceptStop(listener)).toBe(0)
    expect(shim.acceptStop(listener)).toBeLessThan(0)
    expect(shim.socketClose(listener)).toBe(0)
    const client = net.connect(port, '127.0.0.1')
    const refused = new Promise<NodeJS.ErrnoException>((resolve) => client.on('error', resolve))
    await rig.turns(5)
    expect((await refused).code).toBe('ECONNREFUSED')
    const again = shim.listen('127.0.0.1', port, 16)
    expect(again).toBeGreaterThanOrEqual(0)
    shim.socketClose(again)
  })

  test('connections_max adoptions, then ENOSPC and the socket is still the caller\'s', async () => {
    const { listener, port } = rig.listen()
    const clients: net.Socket[] = []
    for (let i = 0; i <= rig.limits.connectionsMax; i++) {
      clients.push(net.connect(port, '127.0.0.1'))
      const socket = await rig.result(0x40000000 + listener)
      if (i < rig.limits.connectionsMax) expect(shim.adopt(socket)).toBe(i)
      else {
        expect(shim.adopt(socket)).toBe(-ENOSPC)
        expect(shim.socketClose(socket)).toBe(0)
      }
    }
    for (const client of clients) client.destroy()
  })

  test('a descriptor that is no socket is refused', () => {
    expect(shim.adopt(1_000_000)).toBeLessThan(0)
    expect(shim.socketClose(1_000_000)).toBeLessThan(0)
    const file = openSync('/dev/null', 'r')
    expect(shim.adopt(file)).toBe(-ENOTSOCK)
    expect(shim.socketClose(file)).toBe(-ENOTSOCK)
    closeSync(file)
  })
})
