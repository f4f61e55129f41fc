/**
 * Methods about namespaces and devices in the words of weft's configuration, each one change at once: the commands
 * `weft namespace` and `weft device` are made of them. catalogue.ts lists them.
 *
 * SPDK's methods can do the same, but for what SPDK has no word for, in several steps.
 * Invariant: what is said is checked by the schemas of the configuration, and by nothing else.
 */
import { z } from 'zod'
import type { Draft } from '../../config/document.ts'
import { LIMITS, deviceName, deviceSchema, namespaceSchema, section, whole } from '../../config/schema.ts'
import { namespaceIn, subsystemIn } from '../draft.ts'
import { exists, invalid, noDevice } from '../error.ts'
import { method } from '../method.ts'
import { nqn } from '../spdk-form.ts'

const EXAMPLE = 'nqn.2026-01.com.example:disks'
const one = { nqn: nqn.describe('NQN of the subsystem.'), nsid: whole(1, LIMITS.namespaces).describe('Its NSID.') }
const { size, qos, hosts, anaGroup } = namespaceSchema.shape
/** null takes a limit away. */
const limits = section(Object.fromEntries(Object.entries(qos.unwrap().shape)
  .map(([key, schema]) => [key, schema.nullable()])) as Record<string, z.ZodType<number | null | undefined>>)
const changeable = {
  size: size.describe('Of memory, null devices and files: its size from now on.'),
  qos: limits.optional().describe('Limits by name, as in the configuration; null takes one away.'),
}

export const WEFT_STORAGE_METHODS = [
  method('weft_add_ns', {
    summary: 'Adds a namespace, described as in the configuration; hosts are told.',
    params: { nqn: one.nqn, namespace: namespaceSchema.describe('As in the configuration.') },
    result: 'An object: nsid.',
    changes: true,
    example: { nqn: EXAMPLE, namespace: { memory: '1G' } },
    run: ({ nqn: name, namespace }, { edit }) => edit((draft) => {
      const namespaces = (subsystemIn(draft, name).namespaces ??= []) as Draft[]
      let nsid = namespace.nsid ?? 1
      if (namespace.nsid === undefined) while (namespaces.some((each) => each.nsid === nsid)) nsid++
      if (namespaces.some((each) => each.nsid === nsid)) throw exists(`${name} has a namespace ${nsid} already.`)
      namespaces.push({ ...withoutHoles(namespace), nsid })
      return { nsid }
    }),
  }),
  method('weft_set_ns', {
    summary: 'Changes what of a namespace can be changed while it is served; hosts are told.',
    params: {
      ...one, ...changeable, anaGroup: anaGroup.describe('Its ANA group.'),
      hosts: hosts.describe('"any", or the hosts that it is there for.'),
    },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, nsid: 1, size: '2G' },
    run: ({ nqn: name, nsid, ...wanted }, { edit }) => edit((draft) => {
      const found = namespaceIn(subsystemIn(draft, name), nsid)
      if (found === undefined) throw invalid(`${name} has no namespace ${nsid}.`)
      const holder = found.use === undefined ? found : deviceIn(draft, String(found.use))
      if (wanted.size !== undefined) setSize(holder, wanted.size)
      if (wanted.qos !== undefined) setLimits(found, found.qos ?? holder.qos, wanted.qos)
      if (wanted.anaGroup !== undefined) found.anaGroup = wanted.anaGroup
      if (wanted.hosts === 'any') delete found.hosts
      else if (wanted.hosts !== undefined) found.hosts = wanted.hosts
      return true
    }),
  }),
  method('weft_add_device', {
    summary: 'Adds a device with a name, described as in the configuration.',
    params: { name: deviceName.describe('Its name.'), device: deviceSchema.describe('As in the configuration.') },
    result: 'true',
    changes: true,
    example: { name: 'Malloc0', device: { memory: '1G' } },
    run: ({ name, device }, { edit }) => edit((draft) => {
      const devices = (draft.devices ??= {}) as Record<string, Draft>
      if (Object.hasOwn(devices, name)) throw exists(`There is a device ${name} already.`)
      devices[name] = withoutHoles(device)
      return true
    }),
  }),
  method('weft_set_device', {
    summary: 'Gives a device another size or other limits; hosts of its namespace are told.',
    params: { name: deviceName.describe('Its name.'), ...changeable },
    result: 'true',
    changes: true,
    example: { name: 'Malloc0', size: '2G' },
    run: ({ name, ...wanted }, { edit }) => edit((draft) => {
      const device = deviceIn(draft, name)
      if (wanted.size !== undefined) setSize(device, wanted.size)
      if (wanted.qos !== undefined) setLimits(device, device.qos, wanted.qos)
      return true
    }),
  }),
  method('weft_remove_device', {
    summary: 'Removes a device that no namespace uses; a file stays as it is.',
    params: { name: deviceName.describe('Its name.') },
    result: 'true',
    changes: true,
    example: { name: 'Malloc0' },
    run: ({ name }, { edit }) => edit((draft) => {
      deviceIn(draft, name)
      for (const subsystem of draft.subsystems as Draft[]) {
        const user = ((subsystem.namespaces ?? []) as Draft[]).find(({ use }) => use === name)
        if (user !== undefined) throw invalid(`Namespace ${user.nsid} of ${subsystem.nqn} uses ${name}: remove it first.`)
      }
      delete draft.devices[name]
      return true
    }),
  }),
]

function deviceIn(draft: Draft, name: string): Draft {
  const devices = (draft.devices ?? {}) as Record<string, Draft>
  if (!Object.hasOwn(devices, name)) throw noDevice(`There is no device ${name}.`)
  return devices[name]!
}

function setSize(holder: Draft, bytes: number): void {
  const key = ['memory', 'null'].find((each) => holder[each] !== undefined) ?? 'size'
  if (key === 'size' && holder.file === undefined) throw invalid('size: a device has the size that it has.')
  holder[key] = bytes
}

function setLimits(holder: Draft, before: Draft | undefined, wanted: Record<string, number | null | undefined>): void {
  const after: Draft = { ...before }
  for (const [key, value] of Object.entries(wanted)) {
    if (value === null) delete after[key]
    else if (value !== undefined) after[key] = value
  }
  if (Object.keys(after).length === 0) delete holder.qos
  else holder.qos = after
}

function withoutHoles(fields: Draft): Draft {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
