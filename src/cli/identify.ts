/**
 * `weft identify ADDRESS NQN`: what a controller, or one of its namespaces, says about itself,
 * decoded as nvme-cli's id-ctrl and id-ns show it.     NVMe Base 2.0, Identify.
 * main.ts → here → host.ts, fields.ts.
 */
import { formatSize } from '../config/size.ts'
import { HostError } from '../host/error.ts'
import { Host } from '../host/host.ts'
import type { HostTarget } from '../host/host.ts'
import {
  CMIC_BITS, CNS, CNTRLTYPE, CTRATT_BITS, DLFEAT_BITS, IDENTIFY_CONTROLLER, IDENTIFY_NAMESPACE,
  LBAF, LPA_BITS, NAMESPACE_DESCRIPTOR, NAMESPACE_LIST_MAX, NIDT, NSFEAT_BITS, OAES_BITS, ONCS_BITS,
  SGLS_BITS, VWC_BITS,
} from '../wire/identify.ts'
import { IDENTIFY_BYTES } from '../wire/sqe.ts'
import { takeU64 } from '../wire/value.ts'
import { fieldLines, fieldValues } from './fields.ts'
import type { FieldRules } from './fields.ts'

const PAGE_BYTES = 4096
/** Identifiers and their lengths are within these bits of FLBAS. */
const FLBAS_FORMAT = 0x0f

const CONTROLLER_RULES: FieldRules = {
  vid: ['hex'], ssvid: ['hex'], sn: ['text'], mn: ['text'], fr: ['text'], ieee: ['hex'],
  cmic: ['hex', CMIC_BITS],
  mdts: ['decimal', (value) => value === 0
    ? 'no limit'
    : `at most ${formatSize(PAGE_BYTES * 2 ** value)} of data a command`],
  cntlid: ['hex'],
  ver: ['hex', (value) => `NVMe ${value >>> 16}.${value >>> 8 & 255}.${value & 255}`],
  rtd3r: ['hex'], rtd3e: ['hex'], oaes: ['hex', OAES_BITS], ctratt: ['hex', CTRATT_BITS],
  rrls: ['hex'],
  cntrltype: ['decimal', (value) => value === CNTRLTYPE.IO ? 'I/O controller'
    : value === CNTRLTYPE.DISCOVERY ? 'discovery controller' : ''],
  fguid: ['bytes'], oacs: ['hex'], frmw: ['hex'], lpa: ['hex', LPA_BITS], avscc: ['hex'],
  apsta: ['hex'],
  kas: ['decimal', (value) => `keep alive in steps of ${value / 10} s`],
  hctma: ['hex'], sanicap: ['hex'], sqes: ['hex'], cqes: ['hex'],
  oncs: ['hex', ONCS_BITS], fuses: ['hex'], fna: ['hex'], vwc: ['hex', VWC_BITS], ocfs: ['hex'],
  sgls: ['hex', SGLS_BITS], subnqn: ['nqn'],
  ioccsz: ['decimal', (value) =>
    value < 4 ? '' : `writes of up to ${formatSize(value * 16 - 64)} go in the capsule`],
  ofcs: ['hex'], psd: ['skip'], vendor: ['skip'],
}

const NAMESPACE_RULES: FieldRules = {
  nsze: ['hex'], ncap: ['hex'], nuse: ['hex'], nsfeat: ['hex', NSFEAT_BITS], flbas: ['hex'],
  mc: ['hex'], dpc: ['hex'], dps: ['hex'],
  nmic: ['hex', (value) => (value & 1) === 1 ? 'shared by several controllers' : 'private'],
  rescap: ['hex'], fpi: ['hex'], dlfeat: ['hex', DLFEAT_BITS],
  nsattr: ['hex', (value) => (value & 1) === 1 ? 'write protected' : ''],
  nguid: ['bytes'], eui64: ['bytes'], lbaf: ['skip'], vendor: ['skip'],
}

export type IdentifyRequest = HostTarget & {
  /** null: the controller. */
  readonly nsid: number | null
  readonly json: boolean
}

/** What to print. Throws a HostError. */
export async function identify(request: IdentifyRequest): Promise<string> {
  const { nsid, json } = request
  const host = await Host.open(request)
  try {
    if (nsid === null) {
      const controller = await host.identify(CNS.CONTROLLER, 0)
      const offersNamespaces = controller.getUint8(IDENTIFY_CONTROLLER.cntrltype) === CNTRLTYPE.IO
      const nsids = offersNamespaces ? await activeNamespaces(host) : []
      return json ? controllerJson(controller, nsids) : controllerText(controller, nsids)
    }
    const namespace = await host.identify(CNS.NAMESPACE, nsid)
    if (takeU64(namespace, IDENTIFY_NAMESPACE.nsze) === 0) {
      const nsids = await activeNamespaces(host)
      const there = nsids.length === 0 ? 'none' : nsids.join(', ')
      throw new HostError(`The subsystem has no namespace ${nsid}. Those it has: ${there}.`)
    }
    const uuid = uuidIn(await host.identify(CNS.NAMESPACE_DESCRIPTORS, nsid))
    return json ? namespaceJson(namespace, nsid, uuid) : namespaceText(namespace, nsid, uuid)
  } finally {
    await host.close()
  }
}

function controllerText(view: DataView, nsids: readonly number[]): string {
  return [
    'NVME Identify Controller:',
    ...fieldLines(view, IDENTIFY_CONTROLLER, CONTROLLER_RULES, 10),
    `${'namespaces'.padEnd(10)}: ${nsids.length === 0 ? 'none' : nsids.join(', ')}`,
    '',
  ].join('\n')
}

function controllerJson(view: DataView, namespaces: readonly number[]): string {
  const values = fieldValues(view, IDENTIFY_CONTROLLER, CONTROLLER_RULES)
  return `${JSON.stringify({ ...values, namespaces }, null, 2)}\n`
}

function namespaceText(view: DataView, nsid: number, uuid: string | null): string {
  const inUse = view.getUint8(IDENTIFY_NAMESPACE.flbas) & FLBAS_FORMAT
  const formats = formatsOf(view)
  const blocks = takeU64(view, IDENTIFY_NAMESPACE.nsze)
  const blockBytes = 2 ** (formats[inUse]?.lbads ?? 0)
  const size = formatSize(blocks * blockBytes)
  return [
    `NVME Identify Namespace ${nsid}: ${size}, ${blocks} blocks of ${blockBytes} bytes`,
    ...fieldLines(view, IDENTIFY_NAMESPACE, NAMESPACE_RULES, 8),
    ...(uuid === null ? [] : [`${'uuid'.padEnd(8)}: ${uuid}`]),
    ...formats.map(({ ms, lbads, rp }, index) => `lbaf ${String(index).padStart(2)} : `
      + `ms:${String(ms).padEnd(3)} lbads:${String(lbads).padEnd(2)} rp:${rp}`
      + (index === inUse ? ' (in use)' : '')),
    '',
  ].join('\n')
}

function namespaceJson(view: DataView, nsid: number, uuid: string | null): string {
  const values = fieldValues(view, IDENTIFY_NAMESPACE, NAMESPACE_RULES)
  return `${JSON.stringify({ nsid, ...values, uuid, lbafs: formatsOf(view) }, null, 2)}\n`
}

function formatsOf(view: DataView): { ms: number; lbads: number; rp: number }[] {
  const count = view.getUint8(IDENTIFY_NAMESPACE.nlbaf) + 1
  return Array.from({ length: Math.min(count, 64) }, (_, index) => {
    const at = IDENTIFY_NAMESPACE.lbaf + 4 * index
    return {
      ms: view.getUint16(at + LBAF.ms, true),
      lbads: view.getUint8(at + LBAF.lbads),
      rp: view.getUint8(at + LBAF.rp) & 3,
    }
  })
}

/** At most the first 1024. */
async function activeNamespaces(host: Host): Promise<number[]> {
  const view = await host.identify(CNS.ACTIVE_NAMESPACES, 0)
  const nsids: number[] = []
  for (let index = 0; index < NAMESPACE_LIST_MAX; index += 1) {
    const nsid = view.getUint32(4 * index, true)
    if (nsid === 0) break
    nsids.push(nsid)
  }
  return nsids
}

function uuidIn(view: DataView): string | null {
  let at = 0
  while (at + 4 <= IDENTIFY_BYTES) {
    const nidl = view.getUint8(at + NAMESPACE_DESCRIPTOR.nidl)
    if (nidl === 0 || at + 4 + nidl > IDENTIFY_BYTES) return null
    if (view.getUint8(at + NAMESPACE_DESCRIPTOR.nidt) === NIDT.UUID && nidl === 16) {
      const hex = Buffer.from(view.buffer, view.byteOffset + at + 4, 16).toString('hex')
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    }
    at += 4 + nidl
  }
  return null
}
