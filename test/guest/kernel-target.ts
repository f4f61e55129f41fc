/**
 * The guest's own kernel as the target: the same subsystems over nvmet on the guest's loopback.
 * run --target kernel → kernel-target → vm. It proves the checks without weft, and shows whether a
 * finding is weft's or the host's.
 */
import { SUBSYSTEMS, type Subsystem, type Target } from './target.ts'
import type { VirtualMachine } from './vm.ts'

/**
 * Over the loopback the kernel target receives the very pages that the kernel host sends, and those
 * of large writes trip the usercopy check of 6.1 (a BUG in usercopy_abort): it must be off.
 */
export const KERNEL_TARGET_WORDS: readonly string[] = ['hardened_usercopy=off']

const PORT = 4420
const CONFIG = '/sys/kernel/config'

/** Sets the subsystems up in the guest. The memory behind them is null_blk's. */
export async function serveFromKernel(vm: VirtualMachine): Promise<Target> {
  const lines = [
    'set -e',
    'modprobe configfs; modprobe nvmet-tcp; modprobe null_blk nr_devices=0',
    `mountpoint -q ${CONFIG} || mount -t configfs configfs ${CONFIG}`,
    ...portLines(1, PORT),
  ]
  SUBSYSTEMS.forEach((subsystem, index) => lines.push(...subsystemLines(subsystem, index)))
  await vm.require(lines.join('\n'))
  // The kernel lists at a port only what is served at that port: discovery has none of its own.
  return { address: '127.0.0.1', port: PORT, discoveryPort: PORT }
}

/** Takes down what serveFromKernel set up; its modules stay. */
export async function endKernelTarget(vm: VirtualMachine): Promise<void> {
  const nvmet = `${CONFIG}/nvmet`
  // What is linked before what links to it, and what is inside before what it is in.
  await vm.require(`rm ${nvmet}/ports/1/subsystems/*
rmdir ${nvmet}/ports/1
for at in ${nvmet}/subsystems/*; do
  rmdir "$at"/namespaces/*
  rm -f "$at"/allowed_hosts/*
  rmdir "$at"
done
for at in ${nvmet}/hosts/*; do [ ! -d "$at" ] || rmdir "$at"; done
rmdir ${CONFIG}/nullb/weft*
! ls -d ${nvmet}/ports/* ${nvmet}/subsystems/* > /dev/null 2>&1`)
}

function portLines(id: number, port: number): readonly string[] {
  const at = `${CONFIG}/nvmet/ports/${id}`
  return [
    `mkdir ${at}`, `echo tcp > ${at}/addr_trtype`, `echo ipv4 > ${at}/addr_adrfam`,
    `echo 127.0.0.1 > ${at}/addr_traddr`, `echo ${port} > ${at}/addr_trsvcid`,
  ]
}

function subsystemLines(subsystem: Subsystem, index: number): readonly string[] {
  const at = `${CONFIG}/nvmet/subsystems/${subsystem.nqn}`
  const lines = [`mkdir ${at}`]
  if (subsystem.hosts === 'any') {
    lines.push(`echo 1 > ${at}/attr_allow_any_host`)
  } else {
    for (const host of subsystem.hosts) {
      lines.push(`mkdir -p ${CONFIG}/nvmet/hosts/${host}`)
      lines.push(`ln -s ${CONFIG}/nvmet/hosts/${host} ${at}/allowed_hosts/`)
    }
  }
  for (const namespace of subsystem.namespaces) {
    const name = `weft${index}x${namespace.nsid}`
    const disk = `${CONFIG}/nullb/${name}`
    lines.push(
      `mkdir ${disk}`, `echo ${namespace.bytes / (1024 * 1024)} > ${disk}/size`,
      `echo ${namespace.blockBytes} > ${disk}/blocksize`, `echo 1 > ${disk}/memory_backed`,
      `echo 1 > ${disk}/discard`, `echo 1 > ${disk}/power`,
      `mkdir ${at}/namespaces/${namespace.nsid}`,
      `echo /dev/${name} > ${at}/namespaces/${namespace.nsid}/device_path`,
      `echo 1 > ${at}/namespaces/${namespace.nsid}/enable`,
    )
  }
  lines.push(`ln -s ${at} ${CONFIG}/nvmet/ports/1/subsystems/`)
  return lines
}
