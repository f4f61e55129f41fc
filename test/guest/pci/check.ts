/**
 * The form of a check of PCI devices, and how it runs weft in the guest.
 * pci/* export lists of them; pci-run.ts runs them in order, the machine with an IOMMU first.
 *
 * Invariant: a check leaves every drive with the kernel's own driver.
 */
import type { Outcome } from '../command.ts'
import { GUEST_NODE, GUEST_REPOSITORY } from '../initramfs.ts'
import type { VirtualMachine } from '../vm.ts'

/** iommu: with an Intel IOMMU; plain: without any. */
export type PciMachine = 'iommu' | 'plain'

export type PciCheck = {
  readonly name: string
  readonly machine: PciMachine
  /** Rejects with the reason. */
  run(vm: VirtualMachine): Promise<void>
}

/** What is compiled once is kept: the guest's processor is emulated, and the folder of the sources is read-only there. */
const NODE = `NODE_COMPILE_CACHE=/run/compiled ${GUEST_NODE} --disable-warning=ExperimentalWarning`

/** The drive that is by itself, and the two that are functions of one device. */
export const DRIVE = '0000:00:08.0'
export const PAIR = ['0000:00:09.0', '0000:00:09.1'] as const
/** One with zones, and one with a block that cannot be read. */
export const ZONED_DRIVE = '0000:00:0a.0'
export const ILL_DRIVE = '0000:00:0b.0'
export const ILL_BLOCK = 40960

/** The shell's words for the program as a user runs it. */
export function weftWords(words: string): string {
  return `${NODE} ${GUEST_REPOSITORY}/src/main.ts ${words}`
}

export function weft(vm: VirtualMachine, words: string): Promise<Outcome> {
  return vm.run(weftWords(words))
}

/** Runs a TypeScript program of this repository, and resolves with the JSON that it prints. */
export async function program<T>(vm: VirtualMachine, words: string): Promise<T> {
  return JSON.parse(await vm.require(`${NODE} ${GUEST_REPOSITORY}/${words}`)) as T
}

/** The kernel makes the disk a moment after it has the controller. */
export async function awaitDisk(vm: VirtualMachine, address: string): Promise<string> {
  return (await vm.require(`
    for n in $(seq 100); do
      for at in /sys/bus/pci/devices/${address}/nvme/nvme*/nvme*n1; do
        name=$(basename "$at" | sed 's/c[0-9]*n/n/')
        [ -b "/dev/$name" ] && { echo $name; exit 0; }
      done
      sleep 0.2
    done
    exit 1`)).trim()
}

/** After a check that failed: whatever it left, the kernel has the drive again. */
export async function tidy(vm: VirtualMachine): Promise<void> {
  await vm.run(`rm -f /run/io-goes-on; nvme disconnect-all; umount -f /mnt/used
[ -e /run/weft.pid ] && kill -KILL $(cat /run/weft.pid); sleep 2; ${weftWords(`pci release ${DRIVE}`)}`)
}
