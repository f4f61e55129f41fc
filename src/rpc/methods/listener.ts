/**
 * Methods about where subsystems are served, and in which ANA state. catalogue.ts lists them.
 */
import { z } from 'zod'
import { DISCOVERY_PORT, IO_PORT } from '../../config/complete.ts'
import type { Draft } from '../../config/document.ts'
import { whole } from '../../config/schema.ts'
import { ANA_GROUPS_MAX, type AnaName } from '../../subsystem/ana.ts'
import type { Endpoint } from '../../subsystem/subsystem.ts'
import type { Context } from '../context.ts'
import { closeDiscovery, discoveryIn, isDiscovery, listenersIn, placeOf, subsystemIn } from '../draft.ts'
import { invalid } from '../error.ts'
import { method } from '../method.ts'
import { anaNameOf, anaState, endpointOf, listenAddress, nqn, text, tgtName } from '../spdk-form.ts'

const place = {
  nqn: nqn.describe('NQN of the subsystem.'), tgt_name: tgtName,
  listen_address: listenAddress.describe('Where it is served.'),
}
const EXAMPLE = {
  nqn: 'nqn.2026-01.com.example:disks',
  listen_address: { trtype: 'TCP', adrfam: 'IPv4', traddr: '192.0.2.1', trsvcid: '4420' },
}

export const LISTENER_METHODS = [
  method('nvmf_subsystem_add_listener', {
    summary: 'Serves a subsystem at an address and port too.',
    params: {
      ...place,
      secure_channel: z.literal(false, { error: 'false: TLS is not offered' }).optional(),
      ana_state: anaState.optional().describe('State of its paths there: optimized, unless said.'),
      sock_impl: text('the name of an implementation').optional().describe('Has no effect.'),
    },
    result: 'true',
    changes: true,
    example: EXAMPLE,
    run: (params, context) => context.edit((draft) => {
      const { list, endpoint, discovery } = listIn(draft, params, context)
      if (endpoint.port === 0) throw invalid('listen_address.trsvcid: found "0", allowed: a port from 1 to 65535')
      if (placeOf(list, endpoint, discovery) !== -1) throw invalid(`${params.nqn} is served there already.`)
      const state = params.ana_state === undefined ? undefined : anaNameOf(params.ana_state)
      list.push({ ...endpoint, ...(state === undefined || discovery ? {} : { ana: state }) })
      return true
    }),
  }),
  method('nvmf_subsystem_remove_listener', {
    summary: 'No longer serves a subsystem there; hosts that came in there are disconnected.',
    params: place,
    result: 'true',
    changes: true,
    example: EXAMPLE,
    run: (params, context) => context.edit((draft) => {
      const { list, endpoint, discovery } = listIn(draft, params, context)
      const at = placeOf(list, endpoint, discovery)
      if (at === -1) throw invalid(`${params.nqn} is not served there.`)
      list.splice(at, 1)
      closeDiscovery(draft)
      return true
    }),
  }),
  method('nvmf_subsystem_listener_set_ana_state', {
    summary: 'Moves the paths of a subsystem there to another ANA state; hosts are told.',
    params: {
      ...place, ana_state: anaState.describe('The state.'),
      anagrpid: whole(0, ANA_GROUPS_MAX).optional().describe('Only of this group; 0 is all of them.'),
    },
    result: 'true',
    changes: true,
    example: { ...EXAMPLE, ana_state: 'inaccessible' },
    run: (params, context) => context.edit((draft) => {
      const { list, endpoint, discovery } = listIn(draft, params, context)
      const at = discovery ? -1 : placeOf(list, endpoint, false)
      if (at === -1) throw invalid(`${params.nqn} is not served there.`)
      list[at]!.ana = anaWith(list[at]!.ana, anaNameOf(params.ana_state), params.anagrpid ?? 0)
      return true
    }),
  }),
]

type Place = { readonly nqn: string; readonly listen_address: z.output<typeof listenAddress> }

function listIn(
  draft: Draft, { nqn: name, listen_address: address }: Place, context: Context,
): { list: Draft[]; endpoint: Endpoint; discovery: boolean } {
  const discovery = isDiscovery(name, context)
  const list = discovery ? discoveryIn(draft, context)
    : listenersIn(draft, subsystemIn(draft, name), context)
  return { list, endpoint: endpointOf(address, discovery ? DISCOVERY_PORT : IO_PORT), discovery }
}

/** group 0: all. A list of groups says nothing of the others but that they are optimized. */
function anaWith(before: string | Record<string, AnaName> | undefined, state: AnaName, group: number): unknown {
  if (group === 0) return state
  const former = before ?? 'optimized'
  if (typeof former !== 'string') return { ...former, [group]: state }
  if (former === state) return former
  const numbers = Array.from({ length: ANA_GROUPS_MAX }, (_, index) => index + 1)
  const others = former === 'optimized' ? [] : numbers.map((number) => [number, former])
  return { ...Object.fromEntries(others), [group]: state }
}
