/**
 * Methods about how devices are used: what was done with them, and what hosts may do in a second.
 * catalogue.ts lists them. weft counts and limits namespaces; a device is told of by the one that uses it.
 *
 * Invariant: units are SPDK's here (MiB, ticks), and weft's everywhere else (bytes, µs).
 */
import { z } from 'zod'
import type { DeviceConfig, NamespaceConfig } from '../../config/config.ts'
import type { Draft } from '../../config/document.ts'
import { flag, whole } from '../../config/schema.ts'
import type { ClassReport, NamespaceReport } from '../../control/report.ts'
import type { CommandClass } from '../../controller/tally.ts'
import type { Context } from '../context.ts'
import { namespaceIn } from '../draft.ts'
import { CODE, RpcError, invalid, noDevice } from '../error.ts'
import { method } from '../method.ts'
import { text } from '../spdk-form.ts'

const MIB = 1024 * 1024
const TICKS_PER_SECOND = 1_000_000_000
const TICKS_PER_US = TICKS_PER_SECOND / 1_000_000
const IOPS_MAX = 1e9
const MIB_MAX = 2 ** 30

/** By SPDK's name: the key of weft's limits, and what one of its units is there. */
const LIMITS = {
  rw_ios_per_sec: ['iops', 1], rw_mbytes_per_sec: ['bandwidth', MIB], r_mbytes_per_sec: ['readBandwidth', MIB],
  w_mbytes_per_sec: ['writeBandwidth', MIB], r_ios_per_sec: ['readIops', 1], w_ios_per_sec: ['writeIops', 1],
} as const
type LimitName = keyof typeof LIMITS
const NAMES = Object.keys(LIMITS) as LimitName[]

const iops = whole(0, IOPS_MAX).optional()
const mebibytes = whole(0, MIB_MAX).optional()
const either = text('the name of a device')

export const DEVICE_USE_METHODS = [
  method('bdev_set_qos_limit', {
    summary: 'Limits what all hosts together do with a device in a second; what is not said stays as it is.',
    params: {
      name: either.describe('Of a device, or NQN/NSID as bdev_get_bdevs lists what has no name.'),
      rw_ios_per_sec: iops.describe('Commands, exactly as many; 0: no limit.'),
      rw_mbytes_per_sec: mebibytes.describe('MiB read and written; 0: no limit.'),
      r_mbytes_per_sec: mebibytes.describe('MiB read; 0: no limit.'),
      w_mbytes_per_sec: mebibytes.describe('MiB written; 0: no limit.'),
      r_ios_per_sec: iops.describe('Commands that read, which SPDK does not have; 0: no limit.'),
      w_ios_per_sec: iops.describe('Commands that write, which SPDK does not have; 0: no limit.'),
    },
    result: 'true',
    changes: true,
    example: { name: 'Malloc0', rw_ios_per_sec: 20000, rw_mbytes_per_sec: 100 },
    run: ({ name, ...wanted }, context) => {
      const given = NAMES.filter((each) => wanted[each] !== undefined)
      if (given.length === 0) throw invalid(`No rate limits specified: at least one of ${NAMES.join(', ')}.`)
      return context.edit((draft) => {
        const holder = limitedIn(draft, name)
        const limits = { ...holder.qos as Record<string, number> | undefined }
        for (const each of given) {
          const [key, unit] = LIMITS[each]
          if (wanted[each] === 0) delete limits[key]
          else limits[key] = wanted[each]! * unit
        }
        if (Object.keys(limits).length === 0) delete holder.qos
        else holder.qos = limits
        return true
      })
    },
  }),
  method('bdev_get_iostat', {
    summary: 'Says what hosts have done with the devices, or some of them, since the start.',
    params: {
      names: z.array(either, { error: 'a list of names of devices' }).optional().describe('Only these.'),
      name: either.optional().describe('Only this one: what older clients send.'),
      per_channel: flag.optional().describe('Only false: weft counts over all reactors.'),
      reset_mode: z.literal('none', { error: '"none": counters of weft only grow' }).optional()
        .describe('Only "none": counters of weft only grow.'),
    },
    result: 'An object: tick_rate, ticks, and bdevs with name, bytes_read, num_read_ops, bytes_written, num_write_ops, '
      + 'num_unmap_ops, read_latency_ticks, write_latency_ticks, unmap_latency_ticks.',
    example: { names: ['Malloc0'] },
    run: ({ names, name, per_channel: perChannel }, context) => {
      if (perChannel === true) throw new RpcError(CODE.INVALID_PARAMS, 'Invalid parameters', ['per_channel: only false.'])
      const wanted = names ?? (name === undefined ? null : [name])
      const all = [...usesOf(context)]
      const absent = (wanted ?? []).find((each) => !all.some(([own]) => own === each))
      if (absent !== undefined) throw noDevice(`There is no device ${absent}.`)
      return {
        tick_rate: TICKS_PER_SECOND, ticks: Math.round(performance.now() * 1000 * TICKS_PER_US),
        bdevs: all.filter(([own]) => wanted === null || wanted.includes(own))
          .map(([own, report]) => ({ name: own, ...countsOf(report) })),
      }
    },
  }),
]

/** As SPDK tells of limits; 0: none. */
export function assignedLimits(qos: DeviceConfig['qos'] | NamespaceConfig['qos']): Record<string, number> {
  return Object.fromEntries(NAMES.map((name) => {
    const [key, unit] = LIMITS[name]
    return [name, Math.ceil((qos?.[key] ?? 0) / unit)]
  }))
}

/** Of the configuration what has the limits of a device: itself, or the namespace that has no other. */
function limitedIn(draft: Draft, name: string): Draft {
  const devices = (draft.devices ?? {}) as Record<string, Draft>
  const [, nqn, nsid] = /^(nqn\..*)\/(\d+)$/.exec(name) ?? []
  const subsystems = draft.subsystems as Draft[]
  if (nqn !== undefined) {
    const subsystem = subsystems.find((each) => each.nqn === nqn)
    const found = subsystem === undefined ? undefined : namespaceIn(subsystem, Number(nsid))
    if (found !== undefined && found.use === undefined) return found
  }
  if (!Object.hasOwn(devices, name)) throw noDevice(`There is no device ${name}; bdev_get_bdevs lists them.`)
  const device = devices[name]!
  for (const subsystem of subsystems) {
    for (const each of (subsystem.namespaces ?? []) as Draft[]) {
      if (each.use !== name || each.qos === undefined) continue
      // What its namespace said counts until now; from now on there is one place for it.
      device.qos = each.qos
      delete each.qos
    }
  }
  return device
}

/** Each device, and what was done with it; null where no namespace uses it. */
function* usesOf({ target, document: { config } }: Context): Generator<[string, NamespaceReport | null]> {
  const reports = target.observer.report().subsystems
  const reportOf = (nqn: string, nsid: number): NamespaceReport | null =>
    reports.find((each) => each.nqn === nqn)?.namespaces.find((each) => each.nsid === nsid) ?? null
  const users = config.subsystems.flatMap(({ nqn, namespaces }) => namespaces.map((each) => ({ ...each, nqn })))
  for (const { config: { name } } of target.devices) {
    const user = users.find(({ use }) => use === name)
    yield [name, user === undefined ? null : reportOf(user.nqn, user.nsid)]
  }
  for (const { nqn, nsid, use } of users) if (use === undefined) yield [`${nqn}/${nsid}`, reportOf(nqn, nsid)]
}

function countsOf(report: NamespaceReport | null): object {
  const ofClass = (name: CommandClass): Pick<ClassReport, 'count' | 'sumUs'> =>
    report?.commands[name] ?? { count: 0, sumUs: 0 }
  const [read, write, unmap] = [ofClass('read'), ofClass('write'), ofClass('deallocate')]
  const ticks = ({ sumUs }: Pick<ClassReport, 'sumUs'>): number => Math.round(sumUs * TICKS_PER_US)
  return {
    bytes_read: report?.readBytes ?? 0, num_read_ops: read.count,
    bytes_written: report?.writtenBytes ?? 0, num_write_ops: write.count, num_unmap_ops: unmap.count,
    read_latency_ticks: ticks(read), write_latency_ticks: ticks(write), unmap_latency_ticks: ticks(unmap),
  }
}
