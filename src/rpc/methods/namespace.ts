/**
 * Methods about namespaces: devices that subsystems export. catalogue.ts lists them.
 */
import type { Draft } from '../../config/document.ts'
import { LIMITS, flag, section, whole } from '../../config/schema.ts'
import { ANA_GROUPS_MAX } from '../../subsystem/ana.ts'
import type { Context } from '../context.ts'
import { namespaceIn, subsystemIn } from '../draft.ts'
import { invalid } from '../error.ts'
import { method } from '../method.ts'
import { hostNqn, notOffered, nqn, text, tgtName } from '../spdk-form.ts'

const EXAMPLE = 'nqn.2026-01.com.example:disks'
const HOST = 'nqn.2026-01.com.example:host1'
const one = { nqn: nqn.describe('NQN of the subsystem.'), tgt_name: tgtName }
const nsid = whole(1, LIMITS.namespaces)

const namespace = section({
  bdev_name: text('the name of a device').describe('The device, which no other namespace may use.'),
  nsid: nsid.optional().describe('The lowest that is free, unless said.'),
  nguid: text('32 hexadecimal digits').optional().describe('Derived unless said.'),
  uuid: text('a UUID').optional().describe('That of the device, unless said.'),
  anagrpid: whole(1, ANA_GROUPS_MAX).optional().describe('ANA group; 1 unless said.'),
  ...notOffered('hide_metadata'),
  ptpl_file: text('a path').optional().describe('Has no effect: reservations are kept in the state folder.'),
  no_auto_visible: flag.optional().describe('It is there only for hosts that nvmf_ns_add_host names.'),
})

export const NAMESPACE_METHODS = [
  method('nvmf_subsystem_add_ns', {
    summary: 'Exports a device as a namespace of a subsystem; its hosts are told.',
    params: { ...one, namespace: namespace.describe('The namespace.') },
    result: 'The NSID.',
    changes: true,
    example: { nqn: EXAMPLE, namespace: { bdev_name: 'Malloc0', nsid: 1 } },
    run: ({ nqn: name, namespace: wanted }, { edit, target }) => edit((draft) => {
      const subsystem = subsystemIn(draft, name)
      const namespaces = (subsystem.namespaces ??= []) as Draft[]
      const { bdev_name: use } = wanted
      if (!Object.hasOwn((draft.devices ?? {}) as object, use)) {
        throw invalid(`There is no device ${use}; bdev_get_bdevs lists them.`)
      }
      const user = (draft.subsystems as Draft[]).find((each) =>
        ((each.namespaces ?? []) as Draft[]).some((other) => other.use === use))
      if (user !== undefined) throw invalid(`A namespace of ${user.nqn} uses ${use} already.`)
      const number = wanted.nsid ?? lowestFree([...namespaces, ...createdIn(target, name)])
      if (namespaceIn(subsystem, number) !== undefined) {
        throw invalid(`${name} has a namespace ${number} already.`)
      }
      namespaces.push({
        nsid: number, use,
        ...(wanted.uuid === undefined ? {} : { uuid: wanted.uuid }),
        ...(wanted.nguid === undefined ? {} : { nguid: wanted.nguid }),
        ...(wanted.anagrpid === undefined ? {} : { anaGroup: wanted.anagrpid }),
        ...(wanted.no_auto_visible === true ? { hosts: [] } : {}),
      })
      return number
    }),
  }),
  method('nvmf_subsystem_remove_ns', {
    summary: 'Removes a namespace; hosts are told, and its device stays, where it has a name.',
    params: { ...one, nsid: nsid.describe('Its NSID.') },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, nsid: 1 },
    run: (params, { edit, target }) => edit((draft) => {
      const subsystem = subsystemIn(draft, params.nqn)
      if (namespaceIn(subsystem, params.nsid) === undefined) {
        if (createdIn(target, params.nqn).some((each) => each.nsid === params.nsid)) {
          throw invalid(`A host created namespace ${params.nsid} in the pool of ${params.nqn}, and hosts delete it.`)
        }
        throw invalid(`${params.nqn} has no namespace ${params.nsid}.`)
      }
      subsystem.namespaces = (subsystem.namespaces as Draft[]).filter((each) => each.nsid !== params.nsid)
      return true
    }),
  }),
  method('nvmf_subsystem_set_ns_ana_group', {
    summary: 'Moves a namespace to another ANA group; hosts are told.',
    params: {
      ...one, nsid: nsid.describe('Its NSID.'), anagrpid: whole(1, ANA_GROUPS_MAX).describe('The group.'),
    },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, nsid: 1, anagrpid: 2 },
    run: (params, { edit }) => edit((draft) => {
      knownIn(draft, params).anaGroup = params.anagrpid
      return true
    }),
  }),
  method('nvmf_ns_add_host', {
    summary: 'Makes a namespace that is not there for every host visible to one; that host is told.',
    params: { ...one, nsid: nsid.describe('Its NSID.'), host: hostNqn.describe('NQN of the host.') },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, nsid: 1, host: HOST },
    run: (params, { edit }) => edit((draft) => {
      const hosts = chosenHosts(draft, params)
      if (!hosts.includes(params.host)) hosts.push(params.host)
      return true
    }),
  }),
  method('nvmf_ns_remove_host', {
    summary: 'Hides a namespace that is not there for every host from one; that host is told.',
    params: { ...one, nsid: nsid.describe('Its NSID.'), host: hostNqn.describe('NQN of the host.') },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, nsid: 1, host: HOST },
    run: (params, { edit }) => edit((draft) => {
      const hosts = chosenHosts(draft, params)
      const at = hosts.indexOf(params.host)
      if (at !== -1) hosts.splice(at, 1)
      return true
    }),
  }),
]

type Named = { readonly nqn: string; readonly nsid: number }

function knownIn(draft: Draft, { nqn: name, nsid: number }: Named): Draft {
  const found = namespaceIn(subsystemIn(draft, name), number)
  if (found === undefined) throw invalid(`${name} has no namespace ${number}.`)
  return found
}

/** The hosts that a namespace is there for, as a list to change. */
function chosenHosts(draft: Draft, named: Named): string[] {
  const { hosts } = knownIn(draft, named)
  if (Array.isArray(hosts)) return hosts as string[]
  throw invalid(`Namespace ${named.nsid} of ${named.nqn} is there for every host: it was added without `
    + 'no_auto_visible. weft_set_ns says otherwise.')
}

/** Those that hosts created in the pool of a subsystem. */
function createdIn({ live }: Context['target'], name: string): readonly { readonly nsid: number }[] {
  const found = live.config.subsystems.find((each) => each.nqn === name)
  return (found?.namespaces ?? []).filter(({ backing }) => backing.kind === 'pool')
}

function lowestFree(namespaces: readonly { readonly nsid?: number }[]): number {
  let number = 1
  while (namespaces.some((each) => each.nsid === number)) number++
  return number
}
