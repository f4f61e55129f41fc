/**
 * Methods about referrals: other discovery services that hosts are told of. catalogue.ts lists them.
 */
import { z } from 'zod'
import type { Draft } from '../../config/document.ts'
import { DISCOVERY_NQN } from '../../subsystem/subsystem.ts'
import { placeOf } from '../draft.ts'
import { CODE, RpcError, invalid } from '../error.ts'
import { method } from '../method.ts'
import { addressText, endpointOf, listenAddress, nqn, tgtName } from '../spdk-form.ts'

const params = {
  tgt_name: tgtName, address: listenAddress.describe('Where the other service listens.'),
  subnqn: nqn.optional().describe('Its NQN; the well-known one, unless said.'),
}
const EXAMPLE = { address: { trtype: 'TCP', traddr: '192.0.2.10', trsvcid: '8009' } }

export const REFERRAL_METHODS = [
  method('nvmf_discovery_add_referral', {
    summary: 'Tells hosts that ask for subsystems of another discovery service.',
    params: {
      ...params, secure_channel: z.literal(false, { error: 'false: TLS is not offered' }).optional(),
    },
    result: 'true',
    changes: true,
    example: EXAMPLE,
    run: ({ address, subnqn }, { edit }) => edit((draft) => {
      if (address.trsvcid === undefined) throw new RpcError(CODE.INTERNAL, 'Service ID is required.')
      const referrals = (draft.referrals ??= []) as Draft[]
      const endpoint = endpointOf(address, 0)
      // SPDK takes one that it knows without a word.
      if (find(referrals, endpoint, subnqn) === -1) {
        referrals.push({ ...endpoint, ...(subnqn === undefined || subnqn === DISCOVERY_NQN ? {} : { subnqn }) })
      }
      return true
    }),
  }),
  method('nvmf_discovery_remove_referral', {
    summary: 'No longer tells hosts of another discovery service.',
    params,
    result: 'true',
    changes: true,
    example: EXAMPLE,
    run: ({ address, subnqn }, { edit }) => edit((draft) => {
      const referrals = (draft.referrals ?? []) as Draft[]
      if (address.trsvcid === undefined) throw invalid('address.trsvcid: found nothing, allowed: a port')
      const at = find(referrals, endpointOf(address, 0), subnqn)
      if (at === -1) throw new RpcError(CODE.INTERNAL, 'Unable to remove a referral.', ['There is no such one.'])
      referrals.splice(at, 1)
      return true
    }),
  }),
  method('nvmf_discovery_get_referrals', {
    summary: 'Lists the discovery services that hosts are told of.',
    params: { tgt_name: tgtName },
    result: 'A list of objects: address, secure_channel, subnqn.',
    run: (_params, { document: { config } }) => config.discoveryService.referrals.map(({ endpoint, nqn: subnqn }) => ({
      address: addressText(endpoint), secure_channel: false, subnqn,
    })),
  }),
]

function find(referrals: readonly Draft[], endpoint: { address: string; port: number }, subnqn = DISCOVERY_NQN): number {
  const same = referrals.filter((each) => (each.subnqn ?? DISCOVERY_NQN) === subnqn)
  const at = placeOf(same, endpoint, true)
  return at === -1 ? -1 : referrals.indexOf(same[at]!)
}
