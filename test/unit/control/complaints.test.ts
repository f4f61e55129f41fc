/** Complaints: each thing that runs out has a line of its own, and not one for each time. */
import { expect, test } from 'vitest'
import { Complaints } from '../../../src/control/complaints.ts'
import type { Log } from '../../../src/control/log.ts'
import { Rarely } from '../../../src/control/rarely.ts'

function rig() {
  const told: string[] = []
  const log = new Proxy({}, { get: (_target, event: string) => (what: { reason?: string } | string) =>
    told.push(`${event}: ${typeof what === 'string' ? what : what.reason}`) })
  let nowMs = 0
  const complaints = new Complaints(log as Log, new Rarely(() => nowMs))
  return { complaints, told, wait: (ms: number) => { nowMs += ms } }
}
const FACTS = { hostNqn: 'nqn.host', address: '192.0.2.7:1', subsystem: 'nqn.disks' }

test('what runs out, once a minute', () => {
  const { complaints, told, wait } = rig()
  for (let round = 0; round < 3; round++) {
    complaints.noSlots(0)
    complaints.lost(0, -1, '192.0.2.7:1', 'all 8 connections of reactor 0 are in use')
    complaints.noController(FACTS, 'all 4 controllers are in use')
  }
  complaints.noSlots(1)
  wait(60_000)
  complaints.noSlots(0)
  expect(told).toEqual([
    'warning: Reactor 0 has no command slot left: commands end with Command Interrupted.',
    'connectionError: all 8 connections of reactor 0 are in use',
    'refused: all 4 controllers are in use',
    'warning: Reactor 1 has no command slot left: commands end with Command Interrupted.',
    'warning: Reactor 0 has no command slot left: commands end with Command Interrupted '
      + '(and 2 more like it since it was said last).',
  ])
})

test('a connection that there was room for, each time', () => {
  const { complaints, told } = rig()
  for (let round = 0; round < 2; round++) complaints.lost(0, 5, '192.0.2.7:1', 'no ICReq came in time')
  expect(told).toEqual(['connectionError: no ICReq came in time', 'connectionError: no ICReq came in time'])
})
