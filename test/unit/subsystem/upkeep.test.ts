/**
 * Upkeep: what is done in which order, one task after the other.
 */
import { expect, test } from 'vitest'
import type { Protections } from '../../../src/subsystem/protection.ts'
import type { TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import { Upkeep } from '../../../src/subsystem/upkeep.ts'
import { namespaceSnapshot, subsystemSnapshot } from '../controller/association.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const INVALID_NAMESPACE = 0x400b

function rig(says = 0) {
  const done: string[] = []
  const target = {
    subsystems: [subsystemSnapshot({ nqn: NQN, namespaces: [namespaceSnapshot(3, { index: 8, blockCount: 77 })] })],
  } as unknown as TargetSnapshot
  const note = async (what: string): Promise<void> => {
    done.push(`${what} …`)
    await Promise.resolve()
    done.push(what)
  }
  const upkeep = new Upkeep({
    target: () => target, apply: () => note('apply'),
    protections: {
      set: async (nqn: string, { nsid }: { nsid: number }, state: number) => {
        await note(`set ${nqn} ${nsid} ${state}`)
        return says
      },
    } as unknown as Protections,
    defects: {
      mark: async (nqn, { nsid }, lba, blockCount) => {
        await note(`mark ${nqn} ${nsid} ${lba}+${blockCount}`)
        return says
      },
      heal: async (nqn, { nsid }, lba, blockCount) => {
        await note(`heal ${nqn} ${nsid} ${lba}+${blockCount}`)
        return says
      },
    },
    changed: (nqn, nsid) => done.push(`changed ${nqn} ${nsid}`),
    take: async ({ namespace, lba, blockCount }) => {
      await note(`take ${namespace} ${lba}+${blockCount}`)
      return () => done.push('let go')
    },
    told: (sentence) => done.push(sentence),
  })
  return { upkeep, done }
}

test('protected: kept, everywhere, writes over, then hosts are told', async () => {
  const { upkeep, done } = rig()
  expect(await upkeep.perform(NQN, { kind: 'protect', nsid: 3, state: 1 })).toBe(0)
  expect(done.filter((each) => !each.endsWith('…'))).toEqual([
    `set ${NQN} 3 1`, 'apply', 'take 8 0+77', 'let go', `changed ${NQN} 3`, 'A host made a namespace read-only.',
  ])
})

test('refused: nothing else happens', async () => {
  const { upkeep, done } = rig(0x410e)
  expect(await upkeep.perform(NQN, { kind: 'protect', nsid: 3, state: 1 })).toBe(0x410e)
  expect(done.length).toBe(2)
})

test.each([[NQN, 4], [NQN, 0], [NQN, 0xffff_ffff], ['', 3]])('no namespace: %s %i', async (nqn, nsid) => {
  const { upkeep, done } = rig()
  expect([await upkeep.perform(nqn, { kind: 'protect', nsid, state: 1 }), done]).toEqual([INVALID_NAMESPACE, []])
})

test('one after the other', async () => {
  const { upkeep, done } = rig()
  await Promise.all([1, 0].map((state) => upkeep.perform(NQN, { kind: 'protect', nsid: 3, state })))
  const order = done.filter((each) => /^(set|changed)/.test(each) && !each.endsWith('…'))
  expect(order).toEqual([`set ${NQN} 3 1`, `changed ${NQN} 3`, `set ${NQN} 3 0`, `changed ${NQN} 3`])
})

test('marked: nothing is under way in the blocks meanwhile', async () => {
  const { upkeep, done } = rig()
  expect(await upkeep.perform(NQN, { kind: 'mark', nsid: 3, lba: 5, blockCount: 2 })).toBe(0)
  expect(done.filter((each) => !each.endsWith('…'))).toEqual(['take 8 5+2', `mark ${NQN} 3 5+2`, 'apply', 'let go'])
})

test('a block that was written is good again while others wait for their turn', async () => {
  const { upkeep, done } = rig()
  const mark = upkeep.perform(NQN, { kind: 'mark', nsid: 3, lba: 5, blockCount: 2 })
  const heal = upkeep.perform(NQN, { kind: 'heal', nsid: 3, lba: 5, blockCount: 1 })
  expect(await Promise.all([mark, heal])).toEqual([0, 0])
  expect(done[0]).toBe(`heal ${NQN} 3 5+1 …`)
})
