/**
 * Access: every refusal of a Connect with its status and the place it points to, CNTLIDs, and the
 * order in which queues may leave.
 */
import { describe, expect, test } from 'vitest'
import type { JoinRequest } from '../../../src/reactor/messages.ts'
import { Access, type Origin } from '../../../src/subsystem/access.ts'
import { HOST, HOST_ID, subsystemSnapshot } from '../controller/association.ts'

const ANY = 'nqn.2026-01.com.example:any'
const LISTED = 'nqn.2026-01.com.example:listed'
const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery'
const STRANGER = 'nqn.2026-01.com.example:stranger'
/** Codes as they stand in a completion, without DNR. */
const INVALID_PARAMETERS = 0x182
const INVALID_HOST = 0x4184
const CONTROLLER_BUSY = 0x181
const SEQUENCE_ERROR = 0x400c
/** Offsets in the command, and in the data (bit 16). */
const QID = 42
const HOSTID = 0x10000
const CNTLID = 0x10010
const SUBNQN = 0x10100
const HOSTNQN = 0x10200

const ENDPOINT = { address: '127.0.0.1', port: 4420 }
const LISTENER = '127.0.0.1 4420'

const STATIC = 'nqn.2026-01.com.example:static'
const NARROW = 'nqn.2026-01.com.example:narrow'

function rig(rows = 4, discoveryNqn = DISCOVERY) {
  const enabled = new Set<number>()
  const access = new Access({
    generation: 1, firmware: '',
    discovery: { referrals: [], registered: [], ports: [] },
    subsystems: [
      subsystemSnapshot({ endpoints: [ENDPOINT], nqn: ANY }), subsystemSnapshot({ endpoints: [ENDPOINT], nqn: LISTED, hosts: [HOST] }),
      subsystemSnapshot({ endpoints: [ENDPOINT], nqn: discoveryNqn, kind: 'discovery' }),
      subsystemSnapshot({ endpoints: [ENDPOINT], nqn: STATIC, controllers: { kind: 'static', first: 101, last: 102 } }),
      subsystemSnapshot({ endpoints: [ENDPOINT], nqn: NARROW, controllers: { kind: 'dynamic', first: 100, last: 104 } }),
    ],
  }, rows, { enabled: (controller) => enabled.has(controller), granted: () => 2 })
  let connections = 0
  const join = (request: Partial<JoinRequest> = {}, origin: Partial<Origin> = {}) => access.join(
    {
      qid: 0, depth: 32, cntlid: 0xffff, keepAliveMs: 0, flowControlOff: false, hostNqn: HOST,
      hostId: HOST_ID, subsystemNqn: ANY, ...request,
    },
    { reactor: 0, connection: connections++, serial: 1, remote: '', listener: LISTENER, discoveryOnly: false, ...origin },
  ).outcome
  /** CNTLID of a new, enabled controller. */
  const admit = (request: Partial<JoinRequest> = {}): number => {
    const outcome = join(request)
    if (!outcome.admitted) throw new Error(`refused with ${outcome.status}`)
    enabled.add(outcome.controller)
    return outcome.cntlid
  }
  return { access, enabled, join, admit }
}

const refused = (status: number, dw0: number) => ({ admitted: false, status, dw0 })

describe('the discovery service', () => {
  const OWN = 'nqn.2026-01.com.example:discovery'

  test.each([OWN, DISCOVERY])('with a name of its own answers to %s', (subsystemNqn) => {
    const { join, enabled } = rig(4, OWN)
    const outcome = join({ subsystemNqn }, { discoveryOnly: true })
    expect(outcome).toMatchObject({ admitted: true, subsystem: OWN })
    if (outcome.admitted) enabled.add(outcome.controller)
    expect(join({ qid: 1, cntlid: 1, subsystemNqn }, { discoveryOnly: true }))
      .toEqual(refused(INVALID_PARAMETERS, QID))
  })
})

describe('an admin queue', () => {
  test.each<[string, number, number, Partial<JoinRequest>, Partial<Origin>]>([
    ['a subsystem that is not there', INVALID_PARAMETERS, SUBNQN, { subsystemNqn: `${ANY}x` }, {}],
    ['a subsystem in capitals', INVALID_PARAMETERS, SUBNQN, { subsystemNqn: ANY.toUpperCase() }, {}],
    ['a host that is not listed', INVALID_HOST, HOSTNQN, { subsystemNqn: LISTED, hostNqn: STRANGER }, {}],
    ['a particular controller', INVALID_PARAMETERS, CNTLID, { cntlid: 1 }, {}],
    ['a static controller', INVALID_PARAMETERS, CNTLID, { cntlid: 0xfffe }, {}],
    ['a port for discovery', INVALID_PARAMETERS, SUBNQN, {}, { discoveryOnly: true }],
  ])('%s', (_what, status, dw0, request, origin) => {
    const { join, access } = rig()
    expect(join(request, origin)).toEqual(refused(status, dw0))
    expect(access.controllers).toEqual([])
  })

  test.each<[string, Partial<JoinRequest>, Partial<Origin>]>([
    ['a listed host', { subsystemNqn: LISTED }, {}],
    ['any host', { hostNqn: STRANGER }, {}],
    ['discovery at its port', { subsystemNqn: DISCOVERY }, { discoveryOnly: true }],
    ['discovery at any port', { subsystemNqn: DISCOVERY, hostNqn: STRANGER }, {}],
  ])('%s', (_what, request, origin) => {
    const { join, access } = rig()
    const subsystem = request.subsystemNqn ?? ANY
    expect(join(request, origin)).toEqual({ admitted: true, cntlid: 1, controller: 0, subsystem, listener: LISTENER })
    expect(access.get(0)).toMatchObject({ cntlid: 1, index: 0, ending: '' })
  })

  test('more controllers than there may be', () => {
    const { join, admit, access } = rig(2)
    admit()
    admit()
    expect(join()).toEqual(refused(CONTROLLER_BUSY, 0))
    access.leave(0, 0, 1)
    expect(join()).toMatchObject({ admitted: true, controller: 0 })
  })
})

describe('an I/O queue', () => {
  test.each<[string, number, number, Partial<JoinRequest>]>([
    ['another controller', INVALID_PARAMETERS, CNTLID, { cntlid: 2 }],
    ['any controller', INVALID_PARAMETERS, CNTLID, { cntlid: 0xffff }],
    ['another subsystem', INVALID_PARAMETERS, SUBNQN, { subsystemNqn: LISTED }],
    ['another host', INVALID_PARAMETERS, HOSTNQN, { hostNqn: STRANGER }],
    ['another host identifier', INVALID_PARAMETERS, HOSTID, { hostId: 'f'.repeat(32) }],
    ['beyond what was granted', INVALID_PARAMETERS, QID, { qid: 3 }],
  ])('%s', (_what, status, dw0, request) => {
    const { join, admit, access } = rig()
    const cntlid = admit()
    expect(join({ qid: 1, cntlid, ...request })).toEqual(refused(status, dw0))
    expect([...access.get(0)!.queues.keys()]).toEqual([0])
  })

  test('of a controller that is not enabled', () => {
    const { join } = rig()
    join()
    expect(join({ qid: 1, cntlid: 1 })).toEqual(refused(INVALID_PARAMETERS, QID))
  })

  test('of a discovery controller', () => {
    const { join, admit } = rig()
    const cntlid = admit({ subsystemNqn: DISCOVERY })
    expect(join({ qid: 1, cntlid, subsystemNqn: DISCOVERY })).toEqual(refused(INVALID_PARAMETERS, QID))
  })

  test('up to what was granted, each once, again when it has left', () => {
    const { join, admit, access } = rig()
    const cntlid = admit()
    expect(join({ qid: 1, cntlid })).toMatchObject({ admitted: true, cntlid, controller: 0 })
    expect(join({ qid: 2, cntlid }, { reactor: 1, connection: 9 })).toMatchObject({ admitted: true })
    expect(join({ qid: 2, cntlid })).toEqual(refused(SEQUENCE_ERROR, 0))
    expect(access.leave(1, 9, 1)).toMatchObject({ qid: 2 })
    expect(join({ qid: 2, cntlid })).toMatchObject({ admitted: true })
    expect(access.get(0)!.ioQueuesSeen).toBe(2)
  })

  test('of a controller that is ending', () => {
    const { join, admit, access } = rig()
    const cntlid = admit()
    access.get(0)!.ending = 'keep alive expired'
    expect(join({ qid: 1, cntlid })).toEqual(refused(INVALID_PARAMETERS, CNTLID))
  })

  test('of the same number belongs to another controller', () => {
    const { join, admit } = rig()
    const [first, second] = [admit(), admit()]
    expect(join({ qid: 1, cntlid: first })).toMatchObject({ admitted: true, controller: 0 })
    expect(join({ qid: 1, cntlid: second })).toMatchObject({ admitted: true, controller: 1 })
  })
})

describe('leaving', () => {
  test('a connection that carried no queue, or carries another one now, is nobody', () => {
    const { admit, access } = rig()
    admit()
    expect([access.leave(0, 5, 1), access.leave(1, 0, 1), access.leave(0, 0, 2)]).toEqual([null, null, null])
    expect(access.leave(0, 0, 1)).toMatchObject({ qid: 0 })
    expect(access.leave(0, 0, 1)).toBeNull()
  })

  test('admin queue first: the row and the CNTLID are kept until the last I/O queue has left', () => {
    const { join, admit, access } = rig(1)
    const cntlid = admit()
    join({ qid: 1, cntlid })
    access.leave(0, 0, 1)
    expect(join({ qid: 2, cntlid }), 'no queue joins a controller without its admin queue').toEqual(
      refused(INVALID_PARAMETERS, CNTLID),
    )
    expect(join()).toEqual(refused(CONTROLLER_BUSY, 0))
    access.leave(0, 1, 1)
    expect(access.controllers).toEqual([])
    expect(join()).toMatchObject({ admitted: true, controller: 0 })
  })

  test('a queue can be found while it is there', () => {
    const { admit, access } = rig()
    admit()
    expect(access.queueOf(0, 0, 1)).toMatchObject({ qid: 0 })
    access.leave(0, 0, 1)
    expect(access.queueOf(0, 0, 1)).toBeNull()
  })
})

test('a CNTLID is given again only after all the others, and never while it is in use', () => {
  const { join, access } = rig(3)
  const LAST = 0xffef
  join({}, { connection: 1000 })
  const seen: number[] = []
  for (let round = 0; round < LAST - 1; round++) {
    const outcome = join({}, { connection: 1 })
    if (outcome.admitted) seen.push(outcome.cntlid)
    access.leave(0, 1, 1)
  }
  const others = Array.from({ length: LAST - 1 }, (_, index) => index + 2)
    .filter((cntlid) => cntlid !== 101 && cntlid !== 102)
  expect(seen.slice(0, others.length), 'but those of static controllers').toEqual(others)
  expect(seen.slice(others.length), '1 is in use').toEqual([2, 3])
})

describe('static controllers', () => {
  test('are asked for by their number, or as any of them', () => {
    const { join } = rig()
    const connect = (cntlid: number) => join({ subsystemNqn: STATIC, cntlid })
    expect(connect(102)).toMatchObject({ admitted: true, cntlid: 102 })
    expect(connect(102)).toEqual(refused(CONTROLLER_BUSY, 0))
    expect(connect(0xfffe)).toMatchObject({ admitted: true, cntlid: 101 })
    expect(connect(0xfffe)).toEqual(refused(CONTROLLER_BUSY, 0))
  })

  test.each([0, 100, 103, 0xffff, 0xfff0])('CNTLID %i is none of them', (cntlid) => {
    const { join } = rig()
    expect(join({ subsystemNqn: STATIC, cntlid })).toEqual(refused(INVALID_PARAMETERS, CNTLID))
  })

  test('are free again when their last queue has left', () => {
    const { join, access } = rig()
    join({ subsystemNqn: STATIC, cntlid: 101 }, { connection: 7 })
    access.leave(0, 7, 1)
    expect(join({ subsystemNqn: STATIC, cntlid: 101 })).toMatchObject({ admitted: true, cntlid: 101 })
  })
})

test('dynamic controllers keep to the range of their subsystem, and off those that are static', () => {
  const { join } = rig(8)
  const given = Array.from({ length: 4 }, () => join({ subsystemNqn: NARROW }))
  expect(given.map((outcome) => (outcome.admitted ? outcome.cntlid : 0))).toEqual([100, 103, 104, 0])
  expect(given[3]).toEqual(refused(CONTROLLER_BUSY, 0))
})
