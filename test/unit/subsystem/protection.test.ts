/**
 * Write protection: which states follow which, what is kept, and what is put into a snapshot.
 */
import { describe, expect, test } from 'vitest'
import { type KeptProtection, protectionOf, Protections } from '../../../src/subsystem/protection.ts'
import type { NamespaceSnapshot, TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, subsystemSnapshot } from '../controller/association.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const [INVALID_FIELD, NOT_CHANGEABLE, INTERNAL] = [0x4002, 0x410e, 0x06]

function rig(kept: Record<string, KeptProtection> = {}) {
  const files = { ...kept }
  const broken = { disk: false }
  const keeper = {
    load: (nqn: string) => files[nqn] ?? null,
    save: async (nqn: string, value: KeptProtection) => {
      if (broken.disk) throw new Error('no space')
      files[nqn] = value
    },
  }
  const present = (protections: Protections, more: Partial<NamespaceSnapshot> = {}): NamespaceSnapshot => {
    const namespaces = [namespaceSnapshot(1, { uuid: 'a', ...more }), namespaceSnapshot(2, { uuid: 'b' })]
    const target: TargetSnapshot = {
      generation: 1, firmware: '', subsystems: [subsystemSnapshot({ nqn: NQN, namespaces })],
      discovery: { registered: [], referrals: [], ports: [] },
    } as unknown as TargetSnapshot
    return protections.complete(target).subsystems[0]!.namespaces[0]!
  }
  return { files, broken, keeper, present }
}

test.each([[0, {}], [1, { [NQN]: { a: 1 } }], [2, { [NQN]: {} }], [3, { [NQN]: { a: 3 } }]])(
  'state %i is in force at once, and outlives the target if it should', async (state, files) => {
    const all = rig()
    const protections = new Protections(all.keeper)
    expect(await protections.set(NQN, all.present(protections), state)).toBe(0)
    expect([protectionOf(all.present(protections)), all.files]).toEqual([state, files])
    const next = new Protections(all.keeper)
    expect(protectionOf(all.present(next))).toBe(state === 2 ? 0 : state)
  },
)

describe('which may follow which', () => {
  test.each([[1, 0, 0], [1, 2, 0], [1, 3, 0], [1, 1, 0], [2, 0, NOT_CHANGEABLE], [2, 1, NOT_CHANGEABLE],
    [2, 2, 0], [3, 0, NOT_CHANGEABLE], [3, 1, NOT_CHANGEABLE], [0, 4, INVALID_FIELD], [0, 7, INVALID_FIELD],
  ])('%i, then %i', async (first, then, status) => {
    const { keeper, present } = rig()
    const protections = new Protections(keeper)
    await protections.set(NQN, present(protections), first)
    expect(await protections.set(NQN, present(protections), then)).toBe(status)
    expect(protectionOf(present(protections))).toBe(status === 0 ? then : first)
  })

  test('what is configured as read-only stays so', async () => {
    const { keeper, present } = rig()
    const protections = new Protections(keeper)
    const namespace = present(protections, { readOnly: true })
    expect(protectionOf(namespace)).toBe(1)
    expect([await protections.set(NQN, namespace, 0), await protections.set(NQN, namespace, 1)]).toEqual([
      NOT_CHANGEABLE, 0,
    ])
  })
})

test('what cannot be kept is not set', async () => {
  const { keeper, broken, present } = rig()
  const protections = new Protections(keeper)
  broken.disk = true
  expect(await protections.set(NQN, present(protections), 1)).toBe(INTERNAL)
  expect(protectionOf(present(protections))).toBe(0)
})

test('other namespaces keep theirs', async () => {
  const { keeper, files, present } = rig({ [NQN]: { b: 3 } })
  const protections = new Protections(keeper)
  await protections.set(NQN, present(protections), 1)
  expect(files[NQN]).toEqual({ a: 1, b: 3 })
})
