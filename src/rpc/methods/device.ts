/**
 * Methods about devices: what namespaces are made of, under SPDK's name for them (bdev).
 * catalogue.ts lists them. A device that only a namespace of the configuration has is listed as
 * NQN/NSID, and goes with that namespace.
 */
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import type { DeviceConfig, NamespaceConfig } from '../../config/config.ts'
import type { Draft } from '../../config/document.ts'
import { deviceName, flag, whole } from '../../config/schema.ts'
import { pciPlace } from '../../nvme/address.ts'
import type { Context } from '../context.ts'
import { exists, invalid, noDevice } from '../error.ts'
import { method, type Method } from '../method.ts'
import { notOffered, text } from '../spdk-form.ts'
import { assignedLimits } from './device-use.ts'

const MIB = 1024 * 1024
const name = deviceName.describe('Name of the device.')
const blockSize = z.literal([512, 4096], { error: '512 or 4096' })
const uuid = text('a UUID').optional().describe('Of namespaces that use it.')
const absolute = z.string({ error: 'an absolute path' }).refine(isAbsolute, { error: 'an absolute path' })
/** As in SPDK: metadata, which weft has none of. */
const noMetadata = z.literal(0, { error: '0: there is no metadata' }).optional()
const blocks = {
  block_size: blockSize.describe('Bytes of a block.'),
  num_blocks: whole(1, 2 ** 43).describe('How many blocks it has.'),
  uuid, md_size: noMetadata, dif_type: noMetadata, ...notOffered('md_interleave', 'dif_is_head_of_md'),
}

export const DEVICE_METHODS: Method[] = [
  method('bdev_get_bdevs', {
    summary: 'Lists the devices, or one: size, what it is made of, whether a namespace uses it.',
    params: {
      name: text('the name of a device').optional().describe('Only this one.'),
      timeout: whole(0, 2 ** 32 - 1).optional().describe('Has no effect: devices do not come by themselves.'),
    },
    result: 'A list of objects: name, product_name, block_size, num_blocks, uuid, claimed, …',
    example: { name: 'Malloc0' },
    run: ({ name: wanted }, context) => {
      const all = allOf(context)
      if (wanted === undefined) return all
      const found = all.filter((each) => each.name === wanted)
      if (found.length === 0) throw noDevice(`There is no device ${wanted}.`)
      return found
    },
  }),
  method('bdev_malloc_create', {
    summary: 'Makes a device of memory; what is in it is lost when weft stops.',
    params: { name: name.optional().describe('Malloc0, Malloc1, … unless said.'), ...blocks },
    result: 'Its name.',
    changes: true,
    example: { name: 'Malloc0', block_size: 512, num_blocks: 2097152 },
    run: (params, { edit }) => edit((draft) => {
      const free = params.name ?? freeName(devicesIn(draft))
      return add(draft, free, {
        memory: params.block_size * params.num_blocks, block: params.block_size, uuid: params.uuid,
      })
    }),
  }),
  method('bdev_null_create', {
    summary: 'Makes a device that forgets what is written and reads as zeroes.',
    params: { name, ...blocks },
    result: 'Its name.',
    changes: true,
    example: { name: 'Null0', block_size: 4096, num_blocks: 262144 },
    run: (params, { edit }) => edit((draft) => add(draft, params.name, {
      null: params.block_size * params.num_blocks, block: params.block_size, uuid: params.uuid,
    })),
  }),
  method('bdev_null_resize', {
    summary: 'Gives a null device another size; hosts of its namespace are told.',
    params: { name, new_size: whole(1, 2 ** 32).describe('In MiB.') },
    result: 'true',
    changes: true,
    example: { name: 'Null0', new_size: 2048 },
    run: (params, { edit }) => edit((draft) => {
      deviceIn(draft, params.name, ['null']).null = params.new_size * MIB
      return true
    }),
  }),
  method('weft_resize_bdev', {
    summary: 'Gives a device of memory, a null device or a file another size; hosts are told.',
    params: { name, size: whole(4096, 2 ** 52).describe('In bytes, whole blocks.') },
    result: 'true',
    changes: true,
    example: { name: 'Malloc0', size: 2147483648 },
    run: (params, { edit }) => edit((draft) => {
      const device = deviceIn(draft, params.name, ['memory', 'null', 'file'])
      const key = ['memory', 'null'].find((each) => device[each] !== undefined) ?? 'size'
      device[key] = params.size
      return true
    }),
  }),
  ...['aio', 'uring'].map((kind) => creator(`bdev_${kind}_create`)),
  ...['aio', 'uring'].map((kind) => rescan(`bdev_${kind}_rescan`)),
  remover('bdev_malloc_delete', ['memory']), remover('bdev_null_delete', ['null']),
  remover('bdev_aio_delete', ['file', 'device']), remover('bdev_uring_delete', ['file', 'device']),
]

function creator(called: string): Method {
  return method(called, {
    summary: 'Makes a device of a file or a block device that is there.',
    params: {
      name, filename: absolute.describe('Path of the file or the block device.'),
      block_size: blockSize.optional().describe('That of the block device; 512 for a file, unless said.'),
      readonly: flag.optional().describe('It is not to be written.'),
      fallocate: flag.optional().describe('Has no effect: what can be discarded is.'),
      nowait: flag.optional().describe('Has no effect.'), uuid,
    },
    result: 'Its name.',
    changes: true,
    example: { name: 'Disk0', filename: '/srv/disk0.img' },
    run: (params, { edit }) => edit((draft) => add(draft, params.name, {
      [kindOf(params.filename)]: params.filename, block: params.block_size, uuid: params.uuid,
      readOnly: params.readonly === true ? true : undefined,
    })),
  })
}

function rescan(called: string): Method {
  return method(called, {
    summary: 'Looks at how large a file or a block device has become; hosts are told.',
    params: { name },
    result: 'true',
    changes: true,
    example: { name: 'Disk0' },
    run: async (params, { document, refresh }) => {
      deviceIn(document.draft, params.name, ['file', 'device'])
      await refresh()
      return true
    },
  })
}

function remover(called: string, kinds: readonly string[]): Method {
  return method(called, {
    summary: 'Removes a device, and the namespace that uses it first; a file stays as it is.',
    params: { name },
    result: 'true',
    changes: true,
    example: { name: 'Disk0' },
    run: (params, { edit }) => edit((draft) => {
      deviceIn(draft, params.name, kinds)
      delete draft.devices[params.name]
      for (const subsystem of draft.subsystems as Draft[]) {
        const namespaces = (subsystem.namespaces ?? []) as Draft[]
        subsystem.namespaces = namespaces.filter(({ use }) => use !== params.name)
      }
      return true
    }),
  })
}

function devicesIn(draft: Draft): Record<string, Draft> {
  return (draft.devices ??= {}) as Record<string, Draft>
}

function deviceIn(draft: Draft, wanted: string, kinds: readonly string[]): Draft {
  const devices = devicesIn(draft)
  const found = Object.hasOwn(devices, wanted) ? devices[wanted]! : undefined
  if (found === undefined || !kinds.some((kind) => found[kind] !== undefined)) {
    throw noDevice(`There is no device ${wanted} of this kind; bdev_get_bdevs lists them.`)
  }
  return found
}

function add(draft: Draft, wanted: string, fields: Draft): string {
  const devices = devicesIn(draft)
  if (Object.hasOwn(devices, wanted)) throw exists(`There is a device ${wanted} already.`)
  devices[wanted] = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return wanted
}

function freeName(devices: Record<string, Draft>): string {
  let number = 0
  while (Object.hasOwn(devices, `Malloc${number}`)) number++
  return `Malloc${number}`
}

function kindOf(path: string): 'file' | 'device' {
  const facts = statSync(path, { throwIfNoEntry: false })
  if (facts === undefined) throw noDevice(`${path} does not exist.`)
  if (facts.isBlockDevice()) return 'device'
  if (facts.isFile()) return 'file'
  throw invalid(`${path} is neither a file nor a block device.`)
}

type Description = { readonly name: string; readonly [field: string]: unknown }

const PRODUCTS: Readonly<Record<string, string>> = {
  memory: 'Malloc disk', null: 'Null disk', file: 'AIO disk', device: 'AIO disk', pci: 'NVMe disk', pool: 'Pool disk',
}

/** Those with a name, then those of single namespaces. */
function allOf({ target, document }: Context): Description[] {
  const { subsystems } = document.config
  // With what hosts created.
  const served = target.live.config.subsystems
  const namespaces = subsystems.flatMap((each) => each.namespaces)
  const named = target.devices.map(({ config, backing }) => {
    const user = namespaces.find(({ use }) => use === config.name)
    return description(config.name, { ...config, qos: user?.qos ?? config.qos }, backing.blockBytes, backing.blockCount,
      config.uuid, user !== undefined)
  })
  const own = target.snapshot.subsystems.flatMap(({ nqn, namespaces }) => namespaces.flatMap((each) => {
    const config = served.find((other) => other.nqn === nqn)?.namespaces.find(({ nsid }) => nsid === each.nsid)
    if (config === undefined || config.use !== undefined) return []
    return [description(`${nqn}/${each.nsid}`, config, each.blockBytes, each.blockCount, each.uuid, true)]
  }))
  return [...named, ...own]
}

function description(
  called: string, { backing, readOnly, qos }: Pick<DeviceConfig | NamespaceConfig, 'backing' | 'readOnly' | 'qos'>,
  blockBytes: number, blockCount: number, ownUuid: string | undefined, claimed: boolean,
): Description {
  const writable = !readOnly
  return {
    name: called, aliases: [], product_name: PRODUCTS[backing.kind], block_size: blockBytes,
    num_blocks: blockCount, ...(ownUuid === undefined ? {} : { uuid: ownUuid }), claimed, zoned: false,
    assigned_rate_limits: assignedLimits(qos),
    supported_io_types: {
      read: true, write: writable, unmap: writable, write_zeroes: writable, flush: true, compare: true,
      compare_and_write: writable, copy: writable, abort: true,
    },
    driver_specific: specificOf(backing, readOnly),
  }
}

function specificOf(backing: DeviceConfig['backing'], readOnly: boolean): object {
  if (backing.kind === 'pool') return { pool: { filename: backing.pool } }
  if (backing.kind !== 'pci') return 'path' in backing ? { aio: { filename: backing.path, readonly: readOnly } } : {}
  const { address, nsid } = pciPlace(backing.path)!
  return { nvme: [{ pci_address: address, trid: { trtype: 'PCIe', traddr: address }, ns_data: { id: nsid } }] }
}
