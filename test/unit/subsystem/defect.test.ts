/**
 * Defects: how ranges grow, melt and end, and what is kept of them.
 */
import { expect, test } from 'vitest'
import { Defects, DEFECTS_MAX, type KeptDefects } from '../../../src/subsystem/defect.ts'
import { hasDefect } from '../../../src/namespace/namespace.ts'
import type { NamespaceSnapshot, TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, subsystemSnapshot } from '../controller/association.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const [CAPACITY_EXCEEDED, INTERNAL_ERROR] = [0x4081, 0x06]
const FILE = namespaceSnapshot(1, { uuid: 'of a file', device: { kind: 'file' } as NamespaceSnapshot['device'] })
const MEMORY = namespaceSnapshot(2, { uuid: 'of memory', device: { kind: 'memory', region: 1 } })

function rig(before: KeptDefects | null = null) {
  const saved: KeptDefects[] = []
  let fails = false
  const defects = new Defects({
    load: () => before,
    save: async (_nqn, kept) => {
      if (fails) throw new Error('the disk is full')
      saved.push(kept)
    },
  })
  const rangesOf = (...namespaces: NamespaceSnapshot[]) => {
    const target = { subsystems: [subsystemSnapshot({ nqn: NQN, namespaces })] } as unknown as TargetSnapshot
    return defects.complete(target).subsystems[0]!.namespaces.map((each) => each.defects)
  }
  return { defects, saved, rangesOf, fail: () => { fails = true } }
}

test('ranges that touch are one', async () => {
  const { defects, rangesOf, saved } = rig()
  for (const [lba, count] of [[20, 2], [10, 5], [15, 5], [30, 1], [12, 1]] as const) {
    expect(await defects.mark(NQN, FILE, lba, count)).toBe(0)
  }
  expect(rangesOf(FILE)).toEqual([[10, 22, 30, 31]])
  expect(saved.at(-1)).toEqual({ 'of a file': [10, 22, 30, 31] })
})

test('what is written is cut out, at the ends, within, and altogether', async () => {
  const { defects, rangesOf, saved } = rig({ 'of a file': [10, 20, 30, 40] })
  await defects.heal(NQN, FILE, 14, 2)
  expect(rangesOf(FILE)).toEqual([[10, 14, 16, 20, 30, 40]])
  await defects.heal(NQN, FILE, 18, 14)
  expect(rangesOf(FILE)).toEqual([[10, 14, 16, 18, 32, 40]])
  await defects.heal(NQN, FILE, 0, 1000)
  expect([rangesOf(FILE), saved.at(-1)]).toEqual([[undefined], {}])
})

test.each([[9, 1, false], [9, 2, true], [10, 1, true], [19, 1, true], [20, 10, false], [0, 100, true], [35, 1, true]])(
  'blocks from %i on, %i of them: %s', (lba, count, found) => {
    expect(hasDefect([10, 20, 30, 40], lba, count)).toBe(found)
  })

test('there are only so many', async () => {
  const full = Array.from({ length: 2 * DEFECTS_MAX }, (_, at) => at * 10)
  const { defects, rangesOf } = rig({ 'of a file': full })
  expect(await defects.mark(NQN, FILE, 1_000_000, 1)).toBe(CAPACITY_EXCEEDED)
  expect(await defects.heal(NQN, FILE, 3, 1), 'within one').toBe(CAPACITY_EXCEEDED)
  expect(rangesOf(FILE)).toEqual([full])
})

test('memory is not kept, and forgets when its namespace goes', async () => {
  const { defects, rangesOf, saved } = rig()
  await defects.mark(NQN, MEMORY, 5, 1)
  expect([rangesOf(FILE, MEMORY), saved]).toEqual([[undefined, [5, 6]], []])
  rangesOf(FILE)
  expect(rangesOf(MEMORY)).toEqual([undefined])
})

test('what cannot be kept did not happen', async () => {
  const { defects, rangesOf, fail } = rig({ 'of a file': [10, 20] })
  fail()
  expect(await defects.mark(NQN, FILE, 5, 1)).toBe(INTERNAL_ERROR)
  expect(await defects.heal(NQN, FILE, 10, 10)).toBe(INTERNAL_ERROR)
  expect(rangesOf(FILE)).toEqual([[10, 20]])
})

test('they are the same bytes where a namespace has other blocks later', async () => {
  const { defects, rangesOf, saved } = rig({ 'of a file': [10, 12, 14, 15, 24, 32] })
  const large = { ...FILE, blockBytes: 4096 }
  expect(rangesOf(large)).toEqual([[1, 2, 3, 4]])
  expect(await defects.mark(NQN, large, 4, 1)).toBe(0)
  expect(rangesOf(large)).toEqual([[1, 2, 3, 5]])
  expect(saved.at(-1)).toEqual({ 'of a file': [10, 12, 14, 15, 24, 40] })
  await defects.heal(NQN, large, 1, 1)
  expect(rangesOf(FILE)).toEqual([[24, 40]])
})
