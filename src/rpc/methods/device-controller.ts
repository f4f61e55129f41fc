/**
 * Methods about NVMe controllers that weft drives over PCIe: each of their namespaces is a device then, by the name
 * that SPDK gives it (NAMEn1). catalogue.ts lists them.
 *
 * Invariant: a controller is open exactly while something of the configuration is on it.
 */
import { z } from 'zod'
import type { DeviceConfig } from '../../config/config.ts'
import type { Draft } from '../../config/document.ts'
import { deviceName } from '../../config/schema.ts'
import { PCI_FORM, pciAddresses, pciPlace, pciText } from '../../nvme/address.ts'
import type { Context } from '../context.ts'
import { exists, invalid, noDevice } from '../error.ts'
import { method } from '../method.ts'
import { text } from '../spdk-form.ts'

const name = deviceName.describe('Name of the controller; its devices are NAMEn1, NAMEn2, …')
const pcie = z.string({ error: '"PCIe"' }).refine((each) => each.toLowerCase() === 'pcie', {
  error: '"PCIe": weft drives controllers of this machine',
}).describe('Transport: "PCIe".')
const address = z.string({ error: PCI_FORM }).refine((each) => pciPlace(each) !== null && !each.includes('/'), {
  error: 'a PCI address such as 0000:03:00.0',
})
/** What SPDK's clients send besides, and is of no concern here. */
const WITHOUT_EFFECT = [
  'adrfam', 'trsvcid', 'priority', 'subnqn', 'hostnqn', 'hostaddr', 'hostsvcid', 'prchk_reftag', 'prchk_guard', 'hdgst',
  'ddgst', 'fabrics_connect_timeout_us', 'multipath', 'num_io_queues', 'ctrlr_loss_timeout_sec', 'reconnect_delay_sec',
  'fast_io_fail_timeout_sec', 'max_bdevs', 'allow_unrecognized_csi',
]

export const DEVICE_CONTROLLER_METHODS = [
  method('bdev_nvme_attach_controller', {
    summary: 'Takes an NVMe controller from the kernel and drives it; each of its namespaces becomes a device.',
    params: {
      name, trtype: pcie, traddr: address.describe('PCI address of the controller, such as 0000:03:00.0.'),
      ...Object.fromEntries(WITHOUT_EFFECT.map((each) => [each, z.unknown().optional().describe('Has no effect.')])),
    },
    result: 'A list of the names of its devices.',
    changes: true,
    example: { name: 'Nvme0', trtype: 'PCIe', traddr: '0000:03:00.0' },
    run: async ({ name: called, traddr }, context) => {
      const { target: { nvme } } = context
      const { address: place } = pciPlace(traddr)!
      if (namedIn(context, called).length !== 0) throw exists(`There are devices of ${called} already.`)
      await nvme.prepare([place])
      try {
        const nsids = [...nvme.find(place).namespaces.keys()]
        if (nsids.length === 0) throw invalid(`${place} has no namespace that weft can serve.`)
        return await context.edit((draft) => nsids.map((nsid) => {
          const device = `${called}n${nsid}`
          const devices = (draft.devices ??= {}) as Record<string, Draft>
          devices[device] = { pci: pciText({ address: place, nsid }) }
          return device
        }))
      } catch (error) {
        await nvme.tidy(inUse(context))
        throw error
      }
    },
  }),
  method('bdev_nvme_detach_controller', {
    summary: 'Drives an NVMe controller no longer: its devices, and the namespaces that use them, are removed.',
    params: {
      name, ...Object.fromEntries(['trtype', 'traddr', ...WITHOUT_EFFECT.slice(0, 7)]
        .map((each) => [each, z.unknown().optional().describe('Has no effect: a controller has one path.')])),
    },
    result: 'true',
    changes: true,
    example: { name: 'Nvme0' },
    run: ({ name: called }, context) => {
      const names = namedIn(context, called).map((each) => each.name)
      if (names.length === 0) throw noDevice(`There is no NVMe controller ${called}; bdev_nvme_get_controllers lists them.`)
      return context.edit((draft) => {
        for (const each of names) delete draft.devices[each]
        for (const subsystem of draft.subsystems as Draft[]) {
          const namespaces = (subsystem.namespaces ?? []) as Draft[]
          subsystem.namespaces = namespaces.filter(({ use }) => !names.includes(String(use)))
        }
        return true
      })
    },
  }),
  method('bdev_nvme_get_controllers', {
    summary: 'Lists the NVMe controllers that weft drives; one that has no name is listed by its address.',
    params: { name: text('the name of a controller').optional().describe('Only this one.') },
    result: 'A list of objects: name, and ctrlrs with state, trid, serial_number, model_number, firmware.',
    example: { name: 'Nvme0' },
    run: ({ name: wanted }, context) => {
      const { target: { nvme } } = context
      const all = nvme.addresses.map((place) => {
        const { serial, model, firmware } = nvme.find(place).facts
        return {
          name: controllerNames(context).get(place) ?? place,
          ctrlrs: [{
            state: 'enabled', trid: { trtype: 'PCIe', traddr: place }, serial_number: serial, model_number: model, firmware,
          }],
        }
      }).filter((each) => wanted === undefined || each.name === wanted)
      if (wanted !== undefined && all.length === 0) throw noDevice(`There is no NVMe controller ${wanted}.`)
      return all
    },
  }),
]

/** By address: what its devices with a name are called without their numbers. */
export function controllerNames({ document: { config } }: Pick<Context, 'document'>): Map<string, string> {
  return new Map((config.devices ?? []).flatMap((device): [string, string][] => {
    const part = partOf(device)
    return part === null ? [] : [[part.address, part.controller]]
  }))
}

function namedIn({ document: { config } }: Context, controller: string): DeviceConfig[] {
  return (config.devices ?? []).filter((device) => partOf(device)?.controller === controller)
}

/** null: it is no namespace of a controller with a name. */
function partOf({ name: called, backing }: DeviceConfig): { controller: string; address: string } | null {
  if (backing.kind !== 'pci') return null
  const { address: place, nsid } = pciPlace(backing.path)!
  const end = `n${nsid}`
  return called.endsWith(end) ? { controller: called.slice(0, -end.length), address: place } : null
}

function inUse({ target, document: { config } }: Context): Set<string> {
  return new Set([config, target.live.config].flatMap(({ devices = [], subsystems }) =>
    pciAddresses([...devices, ...subsystems.flatMap(({ namespaces }) => namespaces)])))
}
