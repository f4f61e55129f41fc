/**
 * A file system on a namespace: made, filled, taken away, brought back, compared.
 * run → checks/filesystem → host.
 *
 * Invariant: the comparison reads from the target, not from the guest's page cache: between the
 * writing and the reading lies a disconnect.
 */
import type { Bench, Check } from '../check.ts'
import { deviceOf } from '../host.ts'
import { MAIN, type Namespace } from '../target.ts'

/** Kernel modules: a tree of a few hundred files of all sizes, which every guest has. */
const TREE = '/usr/lib/modules/$(uname -r)/kernel/fs'

export const FILESYSTEM_CHECKS: readonly Check[] = MAIN.namespaces
  // A medium that is copied to, and one that is read and written through the device.
  .filter(({ nsid }) => nsid === 1 || nsid === 4)
  .map((namespace) => ({
    name: `ext4 on ${namespace.kind}, ${namespace.blockBytes}-byte blocks, survives a reconnect`,
    run: (bench) => carryTree(bench, namespace),
  }))

async function carryTree({ vm, host }: Bench, namespace: Namespace): Promise<void> {
  await host.within(MAIN, {}, async (connection) => {
    const device = deviceOf(connection, namespace.nsid)
    await vm.require(`set -e
mkfs.ext4 -q -F ${device}
mkdir -p /mnt/weft
mount ${device} /mnt/weft
trap 'umount /mnt/weft' EXIT
cp -a ${TREE} /mnt/weft/tree
ln -s tree/../tree /mnt/weft/link
[ "$(find /mnt/weft/tree -type f | wc -l)" -gt 50 ]`)
  })
  await host.within(MAIN, {}, async (connection) => {
    const device = deviceOf(connection, namespace.nsid)
    await vm.require(`set -e
fsck.ext4 -f -n ${device}
mount -o ro ${device} /mnt/weft
trap 'umount /mnt/weft' EXIT
diff -r ${TREE} /mnt/weft/tree`)
  })
}
