/** Identifiers: the same at every start, different for everything that differs. */
import { expect, test } from 'vitest'
import {
  defaultNqn, hostIdentity, machineId, namespaceNguid, namespaceUuid, serialOf,
} from '../../../src/config/identity.ts'
import { isNqn } from '../../../src/config/nqn.ts'

const MACHINE = '0123456789abcdef0123456789abcdef'
const NQN = 'nqn.2026-01.com.example:disks'
const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('identifiers never change: what hosts remember must be found again after an update', () => {
  expect(namespaceUuid(MACHINE, NQN, 1, 'memory')).toBe('60f8e90c-5790-886e-8c98-a697cd7adea8')
  expect(namespaceNguid(MACHINE, NQN, 1, 'memory')).toBe('539610599ec1f7793c43a3543ce1872b')
  expect(serialOf(MACHINE, NQN)).toBe('WEFT3053DB3103A8254D')
  expect(defaultNqn(MACHINE)).toBe('nqn.2014-08.org.nvmexpress:uuid:8e28971f-9d3a-838e-a536-abf370177bab')
})

test('they have the form that the specifications want', () => {
  expect(namespaceUuid(MACHINE, NQN, 1, 'memory')).toMatch(UUID_V8)
  expect(namespaceNguid(MACHINE, NQN, 1, 'memory')).toMatch(/^[0-9a-f]{32}$/)
  expect(serialOf(MACHINE, NQN)).toMatch(/^[\x21-\x7e]{20}$/)
  expect(isNqn(defaultNqn(MACHINE))).toBe(true)
  expect(isNqn(hostIdentity(MACHINE).nqn)).toBe(true)
  expect(hostIdentity(MACHINE).id).toMatch(/^[0-9a-f]{32}$/)
})

test('machine, subsystem, nsid and medium each make a difference', () => {
  const all = [
    namespaceUuid(MACHINE, NQN, 1, 'memory'), namespaceUuid('other', NQN, 1, 'memory'),
    namespaceUuid(MACHINE, `${NQN}2`, 1, 'memory'), namespaceUuid(MACHINE, NQN, 2, 'memory'),
    namespaceUuid(MACHINE, NQN, 1, 'file /srv/disk.img'),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test('the machine has an id', () => {
  expect(machineId()).not.toBe('')
  expect(machineId()).toBe(machineId())
})
