/** Who has which namespace: the decisions, against a model that knows of each controller what it has. */
import { describe, expect, test } from 'vitest'
import { attachedIn } from '../../../src/subsystem/attachment.ts'
import { type Attached, Attachments, OWNERS_MAX } from '../../../src/subsystem/attachments.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from '../../../src/subsystem/subsystem.ts'
import { Random } from '../../random.ts'

const UUID = '00000000-0000-4000-8000-000000000002'
const [ALREADY, PRIVATE, NOT, LIST, LIMIT] = [0x4118, 0x4119, 0x411a, 0x411c, 0x4127]

const subsystemOf = (kind: 'dynamic' | 'static' = 'dynamic', more: Partial<NamespaceSnapshot> = {}): SubsystemSnapshot => ({
  nqn: 'nqn.2026-01.example:pool', kind: 'nvm', serial: '', model: '', hosts: null, endpoints: [],
  controllers: { kind, first: 1, last: 8 }, mdtsBytes: 0, inCapsuleBytes: 0, queueDepthMax: 0, ioQueuesMax: 0,
  paths: [{ listener: 'a 1', changeCount: 1, groups: [{ group: 1, state: 'optimized', changeCount: 1, nsids: [1, 2] }] }],
  namespaces: [1, 2].map((nsid) => ({
    nsid, index: nsid, counter: nsid, blockBytes: 512, blockCount: 8, uuid: UUID.replace(/2$/, String(nsid)), nguid: '',
    readOnly: false, anaGroup: 1, device: { kind: 'null' }, ...(nsid === 2 ? more : {}),
  })),
})

function rig(subsystem = subsystemOf()) {
  const attachments = new Attachments({})
  attachments.create(UUID)
  const live: Attached[] = []
  const come = (cntlid: number, hostNqn: string): Attached => {
    const controller = { cntlid, hostNqn, subsystem }
    live.push(controller)
    attachments.join(controller, live)
    return controller
  }
  const go = (controller: Attached): void => {
    live.splice(live.indexOf(controller), 1)
    attachments.leave(controller)
  }
  const change = (attach: boolean, ...cntlids: number[]): number => {
    const before = attachments.state
    const status = attachments.change(subsystem.namespaces[1]!, subsystem, { cntlids, attach, live })
    if (status !== 0) attachments.restore(before)
    return status
  }
  const having = (): number[] => live.filter((each) => attachments.has({ uuid: UUID }, each)).map(({ cntlid }) => cntlid)
  return { attachments, live, come, go, change, having, subsystem }
}

describe('the dynamic model', () => {
  test('a controller is attached and detached; what is wrong changes nothing', () => {
    const { come, change, having } = rig()
    come(1, 'a')
    come(2, 'b')
    expect([change(true, 1), having()]).toEqual([0, [1]])
    expect([change(true, 1, 2), change(false, 1, 2), change(true, 9), having()]).toEqual([ALREADY, NOT, LIST, [1]])
    expect([change(false, 1), having()]).toEqual([0, []])
  })

  test('another controller of the host has it when it comes, one that was there before does not get it', () => {
    const { come, go, change, having } = rig()
    const first = come(1, 'a')
    come(2, 'a')
    change(true, 1)
    expect(having()).toEqual([1])
    come(3, 'a')
    come(4, 'b')
    expect(having()).toEqual([1, 3])
    change(false, 1, 3)
    expect(having()).toEqual([])
    change(true, 2)
    go(first)
    come(1, 'a')
    expect(having(), 'a CNTLID that is used again says nothing').toEqual([2, 1])
  })

  test('a private one is with one controller, whatever comes', () => {
    const { come, go, change, having } = rig(subsystemOf('dynamic', { isPrivate: true }))
    const first = come(1, 'a')
    come(2, 'b')
    expect([change(true, 1, 2), change(true, 1), change(true, 2)]).toEqual([PRIVATE, 0, PRIVATE])
    come(3, 'a')
    expect(having()).toEqual([1])
    go(first)
    come(4, 'a')
    expect(having()).toEqual([4])
    change(false, 4)
    expect([change(true, 2), having()]).toEqual([0, [2]])
    come(5, 'a')
    expect(having(), 'the host that had it before has it no more').toEqual([2])
  })

  test('agrees with a model through random changes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed)
      const { come, go, change, having, live } = rig()
      const has = new Map<number, boolean>()
      const owns = new Map<string, boolean>()
      for (let step = 0; step < 200; step++) {
        const deed = random.below(4)
        const one = live.length === 0 ? undefined : random.pick(live)
        if (one === undefined || (deed === 0 && live.length < 8)) {
          const cntlid = 1 + Array.from({ length: 9 }, (_, k) => k).findIndex((k) => !has.has(k + 1))
          const { hostNqn } = come(cntlid, random.pick(['a', 'b', 'c']))
          has.set(cntlid, owns.get(hostNqn) ?? false)
        } else if (deed === 1) {
          go(one)
          has.delete(one.cntlid)
        } else {
          const attach = deed === 2
          expect(change(attach, one.cntlid)).toBe(has.get(one.cntlid) !== attach ? 0 : attach ? ALREADY : NOT)
          if (has.get(one.cntlid) !== attach) {
            has.set(one.cntlid, attach)
            owns.set(one.hostNqn, live.some(({ hostNqn, cntlid }) => hostNqn === one.hostNqn && has.get(cntlid) === true))
          }
        }
        expect(having().sort()).toEqual([...has].filter(([, each]) => each).map(([cntlid]) => cntlid).sort())
      }
    }
  })

  test('owners are as many as can be remembered', () => {
    const { come, go, change, having } = rig()
    for (let k = 0; k < OWNERS_MAX; k++) {
      const one = come(1, `host ${k}`)
      expect(change(true, 1)).toBe(0)
      go(one)
    }
    come(1, 'one more')
    expect([change(true, 1), having()]).toEqual([LIMIT, []])
  })
})

test('the static model: a controller keeps what it has, also one that nobody uses', () => {
  const { come, go, change, having } = rig(subsystemOf('static'))
  const one = come(3, 'a')
  expect([change(true, 3, 5), change(true, 9), having()]).toEqual([0, LIST, [3]])
  go(one)
  come(5, 'b')
  come(3, 'c')
  come(4, 'a')
  expect(having()).toEqual([5, 3])
})

test('what is kept says the same after a restart', () => {
  const { attachments, come, change } = rig()
  come(1, 'a')
  change(true, 1)
  const again = new Attachments(JSON.parse(JSON.stringify(attachments.kept)))
  const has = (hostNqn: string): boolean => again.has({ uuid: UUID }, { cntlid: 7, hostNqn, subsystem: subsystemOf() })
  expect([has('a'), has('b')]).toEqual([true, false])
})

test('a controller sees what it has: its namespaces, its groups, and all that are allocated', () => {
  const { attachments, come, change, subsystem } = rig()
  const one = come(1, 'a')
  const other = come(2, 'b')
  expect(attachments.complete(subsystem).namespaces.map(({ attachment }) => attachment === undefined)).toEqual([true, false])
  change(true, 1)
  const completed = attachments.complete(subsystem)
  expect(attachedIn(completed, attachments.partyOf(one))).toBe(completed)
  const view = attachedIn(completed, attachments.partyOf(other))
  expect([view.namespaces, view.allocated!].map((list) => list.map(({ nsid }) => nsid))).toEqual([[1], [1, 2]])
  expect(view.paths[0]!.groups[0]!.nsids).toEqual([1])
})
