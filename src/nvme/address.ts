/**
 * Where a namespace of an NVMe device is: the PCI address of its controller, and its NSID there.
 * config calls it for what a person writes, device/backing.ts for what it opens.
 *
 *   0000:03:00.0/2     namespace 2          03:00.0     namespace 1, domain 0000
 */

import type { NamespaceConfig } from '../config/config.ts'

export type PciPlace = { readonly address: string; readonly nsid: number }

export const PCI_FORM = 'a PCI address such as 0000:03:00.0, with /2 behind it for namespace 2 of the device'
const PLACE = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])(?:\/([1-9]\d{0,8}))?$/i

/** null: it is none. */
export function pciPlace(text: string): PciPlace | null {
  const parts = PLACE.exec(text)
  if (parts === null) return null
  const [, domain = '0', bus, device, number, nsid = '1'] = parts
  const hex = (digits: string, width: number): string =>
    Number.parseInt(digits, 16).toString(16).padStart(width, '0')
  return { address: `${hex(domain, 4)}:${hex(bus!, 2)}:${hex(device!, 2)}.${number}`, nsid: Number(nsid) }
}

/** The one way of writing a place, so that two of them can be compared. */
export function pciText({ address, nsid }: PciPlace): string {
  return `${address}/${nsid}`
}

/** Of the controllers that these namespaces are on. */
export function pciAddresses(namespaces: readonly Pick<NamespaceConfig, 'backing'>[]): string[] {
  return namespaces.flatMap(({ backing }) => (backing.kind === 'pci' ? [pciPlace(backing.path)!.address] : []))
}
