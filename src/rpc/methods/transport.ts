/**
 * Methods about the transport. catalogue.ts lists them. SPDK makes transports while it runs; weft's
 * TCP transport is there from the start, with the limits of the configuration.
 */
import { z } from 'zod'
import { LIMITS, whole } from '../../config/schema.ts'
import { CODE, RpcError, invalid } from '../error.ts'
import { method } from '../method.ts'
import { TARGET_NAME, notOffered, tgtName } from '../spdk-form.ts'
import { indexOf } from '../../reactor/number.ts'

const most = whole(0, 2 ** 31 - 1).optional()
/** What SPDK's clients send, and weft decides by itself. */
const WITHOUT_EFFECT = [
  'io_unit_size', 'max_aq_depth', 'num_shared_buffers', 'buf_cache_size', 'iobuf_small_cache_size',
  'iobuf_large_cache_size', 'zcopy', 'c2h_success', 'sock_priority', 'acceptor_backlog',
  'abort_timeout_sec', 'control_msg_num', 'acceptor_poll_rate', 'ack_timeout', 'num_cqe',
  'max_srq_depth', 'no_srq', 'no_wr_batching', 'disable_mappable_bar0', 'disable_adaptive_irq',
  'disable_shadow_doorbells', 'disable_command_passthru', 'data_wr_pool_size',
]

export const TRANSPORT_METHODS = [
  method('nvmf_set_max_subsystems', {
    summary: `Asks for room for subsystems: there is some for ${LIMITS.subsystems}.`,
    params: { max_subsystems: whole(1, LIMITS.subsystems).describe('How many.') },
    result: 'true',
    example: { max_subsystems: 32 },
    run: () => true,
  }),
  method('nvmf_get_stats', {
    summary: 'Counts the queue pairs that each reactor has.',
    params: { tgt_name: tgtName },
    result: 'An object: tick_rate, and poll_groups with name, current_admin_qpairs, current_io_qpairs.',
    run: (_params, { target }) => {
      const queues = target.controllers().flatMap((each) => [...each.queues.values()])
      return {
        tick_rate: 1_000_000_000,
        poll_groups: Array.from({ length: target.reactors }, (_, index) => {
          const own = queues.filter(({ reactor }) => indexOf(reactor) === index)
          const admin = own.filter(({ qid }) => qid === 0).length
          return { name: `reactor_${index}`, current_admin_qpairs: admin, current_io_qpairs: own.length - admin }
        }),
      }
    },
  }),
  method('nvmf_get_targets', {
    summary: 'Lists the targets: there is one.',
    result: 'A list with one name.',
    run: () => [TARGET_NAME],
  }),
  method('nvmf_create_transport', {
    summary: 'Asks for the TCP transport, which is there; its limits are those of the configuration.',
    params: {
      trtype: z.string({ error: '"TCP"' }).refine((name) => name.toUpperCase() === 'TCP', { error: '"TCP"' })
        .describe('Transport: "TCP".'),
      tgt_name: tgtName,
      max_queue_depth: most.describe('At most limits.queueDepth of the configuration.'),
      max_io_qpairs_per_ctrlr: most.describe('At most limits.ioQueues.'),
      in_capsule_data_size: most.describe('At most limits.inCapsule.'),
      max_io_size: most.describe('At most limits.maxTransfer.'),
      ...notOffered('dif_insert_or_strip'),
      ...Object.fromEntries(WITHOUT_EFFECT.map((name) => [name, z.unknown().optional().describe('Has no effect.')])),
    },
    result: 'true',
    example: { trtype: 'TCP' },
    run: (params, { target: { limits } }) => {
      const pairs = [
        ['max_queue_depth', limits.queueDepth], ['max_io_qpairs_per_ctrlr', limits.ioQueues],
        ['in_capsule_data_size', limits.inCapsuleBytes], ['max_io_size', limits.maxTransferBytes],
      ] as const
      const beyond = pairs.filter(([name, limit]) => (params[name] ?? 0) > limit)
      if (beyond.length !== 0) {
        throw invalid(...beyond.map(([name, limit]) => `${name}: found ${params[name]}, allowed: at most ${limit}, `
          + 'as the configuration says; more takes a new start'))
      }
      return true
    },
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
