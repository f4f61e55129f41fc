/**
 * What becomes of a controller that fails, on the fake one: who is told to hold, to go on, to give up, in which order.
 */
import { describe, expect, test } from 'vitest'
import { StartError } from '../../../src/config/start-error.ts'
import { Controllers } from '../../../src/nvme/controllers.ts'
import type { FakeOptions } from '../../nvme/device.ts'
import { FakeClock, FakeFunction } from '../../nvme/rig.ts'

const ADDRESS = '0000:03:00.0'

function rig(options: Partial<FakeOptions> = {}) {
  const pci = new FakeFunction(options)
  const device = pci.controller
  const steps: string[] = []
  const told: string[] = []
  let waits = 0
  const onWait: { at: number; run: () => void }[] = []
  const clock = new FakeClock(() => {
    waits++
    for (const { at, run } of onWait) if (at === waits) run()
    device.step()
  })
  const controllers = new Controllers({
    open: () => pci, sizing: { reactorCount: 2, transferBytes: 1 << 20 }, clock,
    log: {
      notice: (line) => { told.push(line) }, warning: (line) => { told.push(line) }, failure: (line) => { told.push(line) },
    },
  })
  const start = async (): Promise<void> => {
    await controllers.prepare([ADDRESS])
    controllers.serve({
      change: async (change) => {
        if (change.kind !== 'pci') return
        steps.push(change.step)
        // Nobody may let go of memory that the device still reaches.
        if (change.step === 'fail') expect(device.master).toBe(false)
      },
      reachable: async (_address, isReachable) => { steps.push(isReachable ? 'reachable' : 'inaccessible') },
      happened: (_address, event) => { steps.push(`event ${event.type}/${event.information}`) },
    })
  }
  /** After so many waits from now on. */
  const after = (count: number, run: () => void): void => { onWait.push({ at: waits + count, run }) }
  return { pci, device, controllers, steps, told, start, after }
}

describe('a controller that fails', () => {
  test('a fatal status: the reactors hold, and go on when it was reset', async () => {
    const { device, controllers, steps, told, start } = rig()
    await start()
    device.faults.fatal = true
    device.step()
    device.faults.fatal = false
    controllers.tick()
    controllers.tick()
    await controllers.settled()
    expect(steps).toEqual(['hold', 'go'])
    expect(told).toEqual([
      `${ADDRESS} is reset: the controller reports a fatal error (CSTS.CFS).`, `${ADDRESS} works again.`,
    ])
    await controllers.stop()
    expect(device.violations).toEqual([])
  })

  test('pulled out: commands fail and hosts are told at once; put in again, it comes back', async () => {
    const { device, controllers, steps, start, after } = rig()
    await start()
    device.faults.gone = true
    device.step()
    after(3, () => device.plug())
    controllers.tick()
    await controllers.settled()
    expect(steps).toEqual(['hold', 'inaccessible', 'fail', 'go', 'reachable'])
    await controllers.stop()
  })

  test('wanted by the system: it is given up, and joined again when it was bound again', async () => {
    const { pci, device, controllers, steps, told, start, after } = rig()
    await start()
    pci.wanted = true
    let away = false
    after(3, () => {
      away = pci.isAway
      // Who has it now has reset it.
      device.plug()
      pci.wanted = false
    })
    controllers.tick()
    await controllers.settled()
    expect(away).toBe(true)
    expect(steps).toEqual(['hold', 'inaccessible', 'fail', 'leave', 'join', 'go', 'reachable'])
    expect(told[1]).toMatch(/the system wants it back.*inaccessible until it is back.*weft pci bind/)
    expect(pci.armed).toBe(3)
    expect([pci.isAway, device.enabled, device.violations]).toEqual([false, true, []])
    await controllers.stop()
  })

  test('wanted by the system, and closed before it is back', async () => {
    const { pci, controllers, steps, start, after } = rig()
    await start()
    pci.wanted = true
    let stopped = Promise.resolve()
    after(2, () => { stopped = controllers.stop() })
    controllers.tick()
    await controllers.settled()
    await stopped
    expect(steps).toEqual(['hold', 'inaccessible', 'fail', 'leave'])
    expect(pci.closed).toBe(true)
  })

  test('not ready in CAP.TO: hosts are told when that has lasted, and it is tried again', async () => {
    const { device, controllers, steps, told, start, after } = rig({ timeout: 8 })
    await start()
    device.faults.fatal = true
    device.step()
    Object.assign(device.faults, { fatal: false, neverReady: true })
    after(4500, () => { device.faults.neverReady = false })
    controllers.tick()
    await controllers.settled()
    expect(steps).toEqual(['hold', 'inaccessible', 'fail', 'go', 'reachable'])
    expect(told[1]).toBe(`${ADDRESS} cannot be reached: it did not become ready within 4000 ms. `
      + 'Its namespaces are inaccessible until it is back.')
    await controllers.stop()
  })

  test('an overdue command is aborted first; the controller is reset when that does not help', async () => {
    const { pci, device, controllers, steps, start } = rig()
    await start()
    device.seen.length = 0
    for (let k = 0; k < 9; k++) controllers.late({ device: pci.id, qid: 2, cid: 7, broken: false })
    expect(device.seen.map(({ opcode, cdw10 }) => [opcode, cdw10])).toEqual([[8, 2 | 7 << 16]])
    expect(steps).toEqual([])
    controllers.late({ device: pci.id, qid: 2, cid: 7, broken: false })
    await controllers.settled()
    expect(steps).toEqual(['hold', 'go'])
    await controllers.stop()
  })

  test('an answer that makes no sense is a reason for a reset', async () => {
    const { pci, controllers, steps, start } = rig()
    await start()
    controllers.late({ device: pci.id, qid: 1, cid: -1, broken: true })
    await controllers.settled()
    expect(steps).toEqual(['hold', 'go'])
    await controllers.stop()
  })

  test('events of the device are passed on', async () => {
    const { device, controllers, steps, start } = rig()
    await start()
    device.event(1, 1, 2)
    controllers.tick()
    expect(steps).toEqual(['event 1/1'])
    await controllers.stop()
  })
})

describe('open and closed', () => {
  test('one that cannot be used is closed again, and said why', async () => {
    const { pci, controllers } = rig({ queues: 1 })
    await expect(controllers.prepare([ADDRESS])).rejects.toThrow(new StartError(
      `The NVMe controller ${ADDRESS} cannot be used: it has 1 I/O queues, and weft has 2 reactors.`,
      'Start weft with --reactors 1.',
    ))
    expect(pci.closed).toBe(true)
    expect(() => controllers.find(ADDRESS)).toThrow(StartError)
  })

  test('one that nothing is served of any more is closed, after the reactors have left it', async () => {
    const { pci, controllers, steps, start } = rig()
    await start()
    await controllers.tidy(new Set([ADDRESS]))
    expect([steps, pci.closed]).toEqual([[], false])
    await controllers.tidy(new Set())
    expect([steps, pci.closed, pci.dmas.size]).toEqual([['close'], true, 0])
    await controllers.stop()
  })
})
