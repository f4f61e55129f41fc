/**
 * The table of commands against the admin executor (io.test.ts has the same for the other): every opcode is sent,
 * and what is refused as unknown is exactly what has no row.
 */
import { expect, test } from 'vitest'
import { ADMIN_COMMANDS, announcedBy, hasAdminCommand, IO_COMMANDS } from '../../../src/controller/commands.ts'
import { sqe } from '../../command-bytes.ts'
import { adminRig } from './admin-rig.ts'
import { subsystemSnapshot } from './association.ts'

const INVALID_OPCODE = 0x4001
const FABRICS = 0x7f
const OPCODES = Array.from({ length: 256 }, (_, opcode) => opcode)

test.each(['nvm', 'discovery'] as const)('executed exactly when it has a row: admin queue, %s', (kind) => {
  const subsystem = subsystemSnapshot({ kind })
  const executed = OPCODES.filter((opcode) => adminRig({ kind }).start(sqe(opcode, 1)).outcome !== INVALID_OPCODE)
  const listed = OPCODES.filter((opcode) => hasAdminCommand(subsystem, opcode))
  // Fabrics commands have an executor of their own, on every queue.
  expect(executed).toEqual(listed.filter((opcode) => opcode !== FABRICS))
})

test('no opcode has two rows', () => {
  for (const table of [ADMIN_COMMANDS, IO_COMMANDS]) {
    expect(new Set(table.map((each) => each.opcode)).size).toBe(table.length)
  }
})

test('every command has CSUPP, and what changes blocks says so', () => {
  for (const { effects } of [...ADMIN_COMMANDS, ...IO_COMMANDS]) expect(effects & 1).toBe(1)
  const changing = IO_COMMANDS.filter(({ effects }) => (effects & 2) !== 0).map(({ opcode }) => opcode)
  for (const opcode of [0x01, 0x08, 0x09]) expect(changing).toContain(opcode)
  for (const opcode of [0x00, 0x02, 0x05]) expect(changing).not.toContain(opcode)
})

test('bits are announced together', () => {
  expect(announcedBy([])).toBe(0)
  expect(announcedBy(IO_COMMANDS) & 0x0d, 'compare, DSM, write zeroes').toBe(0x0d)
})
