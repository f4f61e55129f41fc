/**
 * What this machine has and lacks for weft: to serve at all, and to drive NVMe devices itself.
 * doctor-command → here → pci/system.ts. Every finding says what was found, and how to get what is not.
 *
 * Invariant: looking changes nothing; a machine is described by plain data, so that tests can have any.
 */
import { join } from 'node:path'
import { nvmeFunctions } from '../pci/function.ts'
import { namesIn, type PciSystem, textOf } from '../pci/system.ts'

export type Machine = {
  readonly system: PciSystem
  /** As process.versions.node says it. */
  readonly node: string
  /** The first line of what the C compiler says about itself; null: there is none. */
  readonly compiler: string | null
  /** null: the native part is not compiled yet. */
  readonly engines: { readonly uring: boolean } | null
  readonly root: boolean
  /** Release of the kernel: 6.1.0-30-amd64. */
  readonly kernel: string
  readonly canOpen: (path: string) => boolean
}

/** needed: weft cannot do without it. */
export type Finding = {
  readonly what: string
  readonly state: 'ok' | 'lacks'
  readonly needed: boolean
  readonly found: string
  /** How to get it; '' when it is there. */
  readonly remedy: string
}

export type Diagnosis = { readonly serve: readonly Finding[]; readonly drive: readonly Finding[] }

/** From these on Node strips types by itself: 22.18, 23.6, and every later line. */
const NODE_MIN = '22.18'
const MINOR_MIN: Readonly<Record<number, number>> = { 22: 18, 23: 6 }
/** The buffers of two reactors with the usual configuration, and rings. */
const LOCKED_BYTES_MIN = 512 * 1024 * 1024
const HUGE_PAGES = 'kernel/mm/hugepages/hugepages-2048kB'

export function diagnose(machine: Machine): Diagnosis {
  return {
    serve: [nodeOf(machine), compilerOf(machine), ringOf(machine)],
    drive: [
      drivesOf(machine), iommuOf(machine), moduleOf(machine), permissionOf(machine), lockedOf(machine),
      hugePagesOf(machine),
    ],
  }
}

export function diagnosisText({ serve, drive }: Diagnosis): string {
  const lines = (findings: readonly Finding[]): string[] => findings.flatMap(({ what, state, found, remedy }) => [
    `  ${state.padEnd(5)}  ${what.padEnd(13)} ${found}`,
    ...(remedy === '' ? [] : [`         ${''.padEnd(13)} ${remedy}`]),
  ])
  return `${['To serve:', ...lines(serve), '', 'To drive NVMe drives itself (weft pci):', ...lines(drive)]
    .join('\n')}\n`
}

/** Whether something is missing that weft cannot serve without. */
export function cannotServe({ serve }: Diagnosis): boolean {
  return serve.some(({ state, needed }) => state === 'lacks' && needed)
}

function finding(what: string, found: string, remedy = '', needed = true): Finding {
  return { what, state: remedy === '' ? 'ok' : 'lacks', needed, found, remedy }
}

// ---- to serve -------------------------------------------------------------------------------------

function nodeOf({ node }: Machine): Finding {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const enough = major >= 22 && minor >= (MINOR_MIN[major] ?? 0)
  return finding('Node', node, enough ? '' : `Install Node ${NODE_MIN} or newer: https://nodejs.org`)
}

function compilerOf({ compiler, engines }: Machine): Finding {
  if (compiler !== null) return finding('C compiler', compiler)
  const compiled = engines !== null
  return finding('C compiler', compiled ? 'none, but the native part is compiled already' : 'none',
    compiled ? '' : 'apt-get install gcc make (Debian, Ubuntu), dnf install gcc make (Fedora)')
}

function ringOf({ engines, system }: Machine): Finding {
  if (engines === null) {
    return finding('native part', 'not compiled yet', 'Start weft once: it compiles it')
  }
  if (engines.uring) return finding('io_uring', 'permitted')
  const disabled = textOf(join(system.proc, 'sys/kernel/io_uring_disabled'))
  const remedy = disabled === '1' || disabled === '2'
    ? 'sysctl kernel.io_uring_disabled=0'
    : 'Linux 5.19 or newer has it; a container needs it in its seccomp profile (Docker: '
      + '--security-opt seccomp=unconfined)'
  return finding('io_uring', 'refused by the kernel; weft uses epoll, which costs speed', remedy, false)
}

// ---- to drive -------------------------------------------------------------------------------------

function drivesOf({ system }: Machine): Finding {
  const found = nvmeFunctions(system)
  return found.length > 0
    ? finding('drives', `${found.length} NVMe controller${found.length > 1 ? 's' : ''}: weft pci list`)
    : finding('drives', 'no NVMe controller on the PCI bus', 'A virtual machine needs one passed through to it')
}

function iommuOf({ system }: Machine): Finding {
  const groups = namesIn(join(system.sys, 'kernel/iommu_groups')).length
  if (groups > 0) return finding('IOMMU', `on, ${groups} ${groups === 1 ? 'group' : 'groups'}`)
  const tables = namesIn(join(system.sys, 'firmware/acpi/tables'))
  if (tables.includes('DMAR')) {
    return finding('IOMMU', 'VT-d is there, but the kernel does not use it',
      'Add intel_iommu=on to the kernel\'s command line (GRUB_CMDLINE_LINUX, then update-grub), and restart')
  }
  if (tables.includes('IVRS')) {
    return finding('IOMMU', 'AMD-Vi is there, but the kernel does not use it',
      'Remove amd_iommu=off and iommu=off from the kernel\'s command line, and restart')
  }
  return finding('IOMMU', 'none is shown by the firmware',
    'Switch VT-d, AMD-Vi or SMMU on in the firmware\'s setup. Without one, at your risk: '
    + 'weft pci bind ADDRESS --without-iommu')
}

function moduleOf({ system, kernel }: Machine): Finding {
  if (namesIn(join(system.sys, 'bus/pci/drivers')).includes('vfio-pci')) return finding('vfio-pci', 'loaded')
  const folder = join(system.modules, kernel)
  const listed = ['modules.dep', 'modules.builtin'].some((name) =>
    /\/vfio[-_]pci\.ko/.test(textOf(join(folder, name)) ?? ''))
  if (listed) return finding('vfio-pci', 'not loaded; weft pci bind loads it')
  return finding('vfio-pci', `the kernel ${kernel} has no such module`,
    'Install the kernel\'s modules (Debian: linux-image-amd64, not the cloud variant; Fedora: '
    + 'kernel-modules), and restart into it')
}

function permissionOf({ system, root, canOpen }: Machine): Finding {
  if (root) return finding('permissions', 'root')
  const groups = namesIn(join(system.dev, 'vfio')).filter((name) => /^\d+$/.test(name))
  const own = groups.filter((name) => canOpen(join(system.dev, 'vfio', name)))
  if (own.length > 0 && canOpen(join(system.dev, 'vfio/vfio'))) {
    return finding('permissions', `you may use the IOMMU groups ${own.join(', ')}`)
  }
  return finding('permissions', 'you are not root, and may use no IOMMU group', groups.length > 0
    ? `Give yourself a group: sudo chown $USER /dev/vfio/${groups[0]}`
    : 'sudo weft pci bind ADDRESS, then sudo chown $USER /dev/vfio/GROUP')
}

function lockedOf({ system, root }: Machine): Finding {
  if (root) return finding('locked memory', 'unlimited for root')
  const line = /^Max locked memory +(\S+)/m.exec(textOf(join(system.proc, 'self/limits')) ?? '')
  const limit = line?.[1] === 'unlimited' ? Infinity : Number(line?.[1] ?? 0)
  if (limit === Infinity) return finding('locked memory', 'unlimited')
  const found = `${Math.floor(limit / 1024 / 1024)} MiB may be locked`
  return finding('locked memory', found, limit >= LOCKED_BYTES_MIN ? ''
    : 'ulimit -l unlimited; for good: "* - memlock unlimited" in /etc/security/limits.conf, or '
      + 'LimitMEMLOCK=infinity in a systemd unit')
}

function hugePagesOf({ system }: Machine): Finding {
  const folder = join(system.sys, HUGE_PAGES)
  const [all, free] = ['nr_hugepages', 'free_hugepages'].map((name) => Number(textOf(join(folder, name)) ?? 0))
  if (all! > 0) return finding('huge pages', `${all} of 2 MiB reserved, ${free} free`)
  return finding('huge pages', 'none reserved; with an IOMMU ordinary pages serve',
    `For a little speed: echo 512 > ${join('/sys', HUGE_PAGES, 'nr_hugepages')}`, false)
}
