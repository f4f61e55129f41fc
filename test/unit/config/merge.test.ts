/** merge: an edited file and what was changed over the control interface. */
import { expect, test } from 'vitest'
import { merge } from '../../../src/config/merge.ts'

const disk = (nqn: string, fields: object = {}) => ({ nqn, namespaces: [{ nsid: 1, memory: '1G' }], ...fields })

test('what only one has changed is as he made it', () => {
  const base = { reactors: 1, listeners: [{ address: '::' }], subsystems: [disk('a'), disk('b')] }
  const edited = { reactors: 2, listeners: [{ address: '::' }], subsystems: [disk('a', { model: 'm' }), disk('b')] }
  const served = {
    reactors: 1, listeners: [{ address: '::' }], devices: { d: { null: '1G' } },
    subsystems: [disk('a', { hosts: ['h'] }), disk('c')],
  }
  expect(merge(base, edited, served)).toEqual({
    conflicts: [],
    value: {
      reactors: 2, listeners: [{ address: '::' }], devices: { d: { null: '1G' } },
      subsystems: [disk('a', { hosts: ['h'], model: 'm' }), disk('c')],
    },
  })
})

test('members that each has added are all there, in a list that there was and in one that is new', () => {
  expect(merge({ hosts: ['a'] }, { hosts: ['a', 'b'] }, { hosts: ['c', 'a'] })).toEqual({
    value: { hosts: ['c', 'a', 'b'] }, conflicts: [],
  })
  const place = (port: number) => ({ address: '::', port })
  expect(merge({}, { listeners: [place(1)] }, { listeners: [place(2)] }).value)
    .toEqual({ listeners: [place(2), place(1)] })
})

test('where both have changed the same, the file counts, and that is told', () => {
  const base = { subsystems: [disk('a', { hosts: ['x'], serial: '1' })], announce: false }
  const edited = { subsystems: [disk('a', { hosts: 'any', serial: '2' })], announce: false }
  const served = { subsystems: [disk('a', { hosts: ['y'], serial: '3' })], announce: true }
  expect(merge(base, edited, served)).toEqual({
    value: { ...edited, announce: true },
    conflicts: ['subsystems.a.hosts', 'subsystems.a.serial'],
  })
})

test('what one has removed and the other has changed is the file\'s', () => {
  const base = { subsystems: [disk('a'), disk('b')] }
  const changed = disk('a', { model: 'm' })
  expect(merge(base, { subsystems: [changed, disk('b')] }, { subsystems: [disk('b')] }))
    .toEqual({ value: { subsystems: [disk('b'), changed] }, conflicts: ['subsystems.a'] })
  expect(merge(base, { subsystems: [disk('b')] }, { subsystems: [changed, disk('b')] }))
    .toEqual({ value: { subsystems: [disk('b')] }, conflicts: ['subsystems.a'] })
})
