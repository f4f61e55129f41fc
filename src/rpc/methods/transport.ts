/**
 * Methods about the transport. catalogue.ts lists them. SPDK makes transports while it runs; weft's
 * TCP transport is there from the start, with the limits of the configuration.
 */
import { z } from 'zod'
import { CODE, RpcError } from '../error.ts'
import { method } from '../method.ts'
import { TARGET_NAME, tgtName } from '../spdk-form.ts'

export const TRANSPORT_METHODS = [
  method('nvmf_get_targets', {
    summary: 'Lists the targets: there is one.',
    result: 'A list with one name.',
    run: () => [TARGET_NAME],
  }),
  method('nvmf_get_transports', {
    summary: 'Lists the transports and their limits: there is one, TCP.',
    params: {
      trtype: z.string({ error: 'the name of a transport' }).optional().describe('Only this transport.'),
      tgt_name: tgtName,
    },
    result: 'A list of objects: trtype, max_queue_depth, max_io_qpairs_per_ctrlr, …',
    example: { trtype: 'TCP' },
    run: ({ trtype }, { target: { limits } }) => {
      if (trtype !== undefined && trtype.toUpperCase() !== 'TCP') {
        throw new RpcError(CODE.NO_DEVICE, 'No such device', [`There is no transport ${trtype}, only TCP.`])
      }
      return [{
        trtype: 'TCP', max_queue_depth: limits.queueDepth, max_io_qpairs_per_ctrlr: limits.ioQueues,
        in_capsule_data_size: limits.inCapsuleBytes, max_io_size: limits.maxTransferBytes,
        io_unit_size: limits.maxTransferBytes, c2h_success: true, zcopy: false,
        dif_insert_or_strip: false,
      }]
    },
  }),
]
