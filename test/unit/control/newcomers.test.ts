/** Newcomers: one address cannot have all connections before anybody knows who it is. */
import { describe, expect, test } from 'vitest'
import { Newcomers } from '../../../src/control/newcomers.ts'

const told: string[] = []
const rig = (connections: number): Newcomers =>
  new Newcomers(connections, { connectionError: ({ reason }) => { told.push(reason) } })

describe('an address has half of all connections at most', () => {
  test('and another one still gets in', () => {
    const newcomers = rig(8)
    const answers = [1, 2, 3, 4, 5].map((port) => newcomers.arrive('192.0.2.7', `192.0.2.7:${port}`))
    expect(answers).toEqual([true, true, true, true, false])
    expect(newcomers.arrive('192.0.2.8', '192.0.2.8:1')).toBe(true)
    newcomers.arrive('192.0.2.7', '192.0.2.7:6')
    expect(told, 'said once').toEqual(['4 connections from there have not connected a queue yet'])
  })

  test('until one of them settles, once', () => {
    const newcomers = rig(2)
    expect(newcomers.arrive('192.0.2.7', 'a')).toBe(true)
    expect(newcomers.arrive('192.0.2.7', 'b')).toBe(false)
    newcomers.settle('b')
    expect(newcomers.arrive('192.0.2.7', 'b')).toBe(false)
    newcomers.settle('a')
    newcomers.settle('a')
    expect(newcomers.arrive('192.0.2.7', 'c')).toBe(true)
    expect(newcomers.arrive('192.0.2.7', 'd')).toBe(false)
  })

  test('with one connection in all, it gets that', () => {
    expect(rig(1).arrive('192.0.2.7', 'a')).toBe(true)
  })
})

test.each([
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', false],
  ['2001:db8::1', '2001:db8::ffff', false],
  ['fe80::1%eth0', 'fe80::2%eth0', false],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', true],
  ['::1', '2001:db8::1', true],
])('of IPv6 the network counts: %s, %s', (one, other, admitted) => {
  const newcomers = rig(2)
  expect(newcomers.arrive(one, 'a')).toBe(true)
  expect(newcomers.arrive(other, 'b')).toBe(admitted)
})
