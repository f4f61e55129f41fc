/** The model: a change reaches every copy before anybody is told of it. */
import { expect, test } from 'vitest'
import { Model } from '../../src/model.ts'
import type { ControllerRecord } from '../../src/subsystem/access.ts'
import type { SubsystemSnapshot, TargetSnapshot } from '../../src/subsystem/subsystem.ts'
import { Paths } from '../../src/subsystem/paths.ts'
import { HOST, namespaceSnapshot, subsystemSnapshot } from './controller/association.ts'

const DISCOVERY = subsystemSnapshot({ nqn: 'nqn.2014-08.org.nvmexpress.discovery', kind: 'discovery' })
const DISKS = subsystemSnapshot({ endpoints: [{ address: '192.0.2.1', port: 4420 }] })
const OTHER_HOST = 'nqn.2026-01.com.example:other-host'

const target = (...subsystems: SubsystemSnapshot[]): TargetSnapshot => ({
  generation: 1, firmware: '', subsystems, discovery: { referrals: [], registered: [], ports: [] },
})

const exporting = (...subsystems: SubsystemSnapshot[]) =>
  (before: TargetSnapshot): TargetSnapshot => ({ ...before, subsystems })

function rig() {
  const happened: string[] = []
  const told: ((controller: ControllerRecord) => boolean)[] = []
  let acknowledge = (): void => {}
  const model = new Model({
    change: (change) => {
      happened.push(`change ${change.kind}`)
      return new Promise((done) => { acknowledge = done })
    },
    raise: (event, concerned) => {
      happened.push(event)
      told.push(concerned)
    },
  }, [{ adopt: () => happened.push('adopt') }], new Paths(), { complete: (each) => each }, target(DISCOVERY, DISKS), {
    notice: (sentence) => happened.push(sentence),
  })
  const isTold = (subsystem: SubsystemSnapshot, hostNqn: string): boolean =>
    told[0]!({ subsystem, hostNqn } as ControllerRecord)
  return { model, happened, isTold, acknowledge: () => acknowledge() }
}

test('who may connect is decided by it at once; events follow when the reactors have it', async () => {
  const { model, happened, acknowledge } = rig()
  const applied = model.apply(exporting(DISCOVERY))
  expect(model.target.subsystems).toEqual([DISCOVERY])
  expect(model.target.generation).toBe(2)
  expect(happened).toEqual(['adopt', 'change target'])
  acknowledge()
  await applied
  expect(happened).toEqual(['adopt', 'change target', 'DISCOVERY_LOG'])
})

test('only discovery controllers of hosts whose log is another one are told', async () => {
  const { model, isTold, acknowledge } = rig()
  const applied = model.apply(exporting(DISCOVERY, { ...DISKS, hosts: [HOST] }))
  acknowledge()
  await applied
  expect([isTold(DISCOVERY, OTHER_HOST), isTold(DISCOVERY, HOST), isTold(DISKS, OTHER_HOST)]).toEqual([true, false, false])
})

test('what no discovery log shows is told to nobody', async () => {
  const { model, happened, acknowledge } = rig()
  const applied = model.apply(exporting(DISCOVERY, { ...DISKS, namespaces: [namespaceSnapshot(7)] }))
  acknowledge()
  await applied
  expect([model.target.generation, happened.includes('DISCOVERY_LOG')]).toEqual([1, false])
})

test('a path that is moved: the reactors first, then the controllers that came by it', async () => {
  const { model, happened, isTold, acknowledge } = rig()
  const listener = DISKS.endpoints[0]!
  const filled = model.apply(exporting(DISCOVERY, { ...DISKS, namespaces: [namespaceSnapshot(7)] }))
  acknowledge()
  await filled
  const moved = model.setAnaState({ listener, state: 'inaccessible' })
  expect(model.target.subsystems[1]!.paths[0]!.groups).toMatchObject([{ group: 1, state: 'inaccessible', nsids: [7] }])
  happened.length = 0
  acknowledge()
  await moved
  expect(happened).toEqual([
    `ANA group 1 of ${DISKS.nqn} is inaccessible through 192.0.2.1 port 4420 now.`, 'ANA',
  ])
  expect(isTold({ ...DISKS }, HOST), 'one that came by no listener of it').toBe(false)
  await expect(model.setAnaState({ listener: { address: '::1', port: 1 }, state: 'change' })).rejects.toThrow('There is no listener')
})
