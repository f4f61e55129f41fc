/**
 * The constants of src/shim/abi.ts are those of native/shim.h: a C program prints every one.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import * as abi from '../../../src/shim/abi.ts'

const NATIVE = fileURLToPath(new URL('../../../native', import.meta.url))

/** Tables of abi.ts whose C names are a prefix and the key. */
const PREFIXES = {
  SHIM_H_: abi.H, SHIM_N_: abi.COUNTER, SHIM_C_: abi.C, SHIM_STATE_: abi.STATE, SHIM_F_: abi.FLAG,
  SHIM_T_: abi.T, SHIM_TX_: abi.TX, SHIM_O_: abi.O, SHIM_OP_: abi.OP, SHIM_ENGINE_: abi.ENGINE,
  SHIM_FILE_: abi.FILE, SHIM_ERASE_: abi.ERASE, SHIM_Q_: abi.Q, SHIM_RING_: abi.RING, SHIM_PCI_: abi.PCI,
} as const

/** Tables whose keys are members of a structure, in words. */
const STRUCTS = {
  shim_limits: abi.LIMITS, shim_file_facts: abi.FACTS, shim_pci_facts: abi.PCI_FACTS,
} as const

function evaluate(expressions: readonly string[]): number[] {
  const directory = mkdtempSync(join(tmpdir(), 'weft-abi-'))
  const source = join(directory, 'abi.c')
  const program = join(directory, 'abi')
  const prints = expressions.map((text) => `printf("%d\\n", (int)(${text}));`)
  writeFileSync(source, `#include <stddef.h>\n#include <stdio.h>\n#include "shim.h"\n` +
    `int main(void) {\n${prints.join('\n')}\nreturn 0; }\n`)
  try {
    execFileSync(process.env['CC'] ?? 'cc', ['-I', NATIVE, '-o', program, source])
    return execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map(Number)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('every constant has the value that the C compiler gives it', () => {
  const expected: Record<string, number> = { SHIM_VERSION: abi.SHIM_VERSION }
  for (const [prefix, table] of Object.entries(PREFIXES)) {
    for (const [key, value] of Object.entries(table)) expected[prefix + key] = value
  }
  for (const [name, table] of Object.entries(STRUCTS)) {
    for (const [key, value] of Object.entries(table)) {
      expected[`offsetof(struct ${name}, ${key.toLowerCase()}) / 4`] = value
    }
    expected[`sizeof(struct ${name}) / 4`] = 16
  }
  const names = Object.keys(expected)
  const values = evaluate(names)
  expect(Object.fromEntries(names.map((name, i) => [name, values[i]]))).toEqual(expected)
})

test('every constant of shim.h is in a table', () => {
  const header = readFileSync(join(NATIVE, 'shim.h'), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const missing = []
  for (const [, name] of header.matchAll(/\b(SHIM_[A-Z_]+)\s*=\s*\d+/g)) {
    const known = Object.entries(PREFIXES).some(([prefix, table]) =>
      name!.startsWith(prefix) && name!.slice(prefix.length) in table)
    if (!known) missing.push(name)
  }
  expect(missing).toEqual([])
})
