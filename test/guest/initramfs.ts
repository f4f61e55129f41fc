/**
 * The guest's first root: busybox, the modules it needs to see the machine, and two scripts.
 * run → initramfs → command. vm.ts boots it and talks to the agent.
 *
 *   initramfs /init ─ insmod ─ 9p hostroot (read-only) ┐
 *                                    tmpfs (upper) ─────┴ overlay = / ─▶ /run/share/agent
 *
 * Invariant: the guest never writes to the machine but into the share it was given.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { requireCommand } from './command.ts'
import type { Kernel } from './kernel.ts'

const MODULES: readonly string[] = [
  'virtio_pci', 'virtio_net', 'virtio_console', 'virtio-rng', '9p', '9pnet_virtio', 'overlay',
]
/** Where the guest finds this repository and the Node that runs this, wherever they are outside. */
export const GUEST_REPOSITORY = '/run/repository'
const GUEST_NODE_DIRECTORY = '/run/node'
export const GUEST_NODE = `${GUEST_NODE_DIRECTORY}/${basename(process.execPath)}`
const REPOSITORY = join(import.meta.dirname, '../..')
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox']

/** Packs the archive into directory and resolves with its path. */
export async function packInitramfs(kernel: Kernel, directory: string): Promise<string> {
  const root = join(directory, 'initramfs')
  rmSync(root, { recursive: true, force: true })
  for (const at of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'upper', 'root']) {
    mkdirSync(join(root, at), { recursive: true })
  }
  const busybox = BUSYBOX.find((at) => existsSync(at))
  if (busybox === undefined) throw new Error('busybox-static has no busybox')
  copyFileSync(busybox, join(root, 'bin/busybox'))
  const names: string[] = []
  for (const path of await modulePaths(kernel)) names.push(await unpackModule(path, root))
  writeFileSync(join(root, 'init'), initScript(names, kernel))
  chmodSync(join(root, 'init'), 0o755)
  const archive = join(directory, 'initramfs.cpio')
  await requireCommand('sh',
    ['-c', 'find . | cpio --quiet -o -H newc > "$0"', archive], { directory: root })
  rmSync(root, { recursive: true })
  return archive
}

/** Module files in an order in which insmod accepts them. */
async function modulePaths(kernel: Kernel): Promise<readonly string[]> {
  const paths: string[] = []
  for (const name of MODULES) {
    const listed = await requireCommand('modprobe',
      ['-d', kernel.tree, '-S', kernel.version, '--show-depends', name])
    for (const line of listed.split('\n')) {
      const path = /^insmod (\S+)/.exec(line)?.[1]
      if (path !== undefined && !paths.includes(path)) paths.push(path)
    }
  }
  return paths
}

/** Copies one module, uncompressed, and returns its file name. */
async function unpackModule(path: string, root: string): Promise<string> {
  const target = join(root, 'modules', basename(path))
  copyFileSync(path, target)
  if (!target.endsWith('.xz')) return basename(target)
  await requireCommand('xz', ['-d', target])
  return basename(target, '.xz')
}

function initScript(modules: readonly string[], kernel: Kernel): string {
  return `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for name in ${modules.join(' ')}; do insmod /modules/$name || echo "insmod $name failed"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro hostroot /lower
mount -t tmpfs -o size=768m tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root
mkdir -p /root/usr/lib/modules /root/proc /root/sys /root/dev /root/run /root/tmp /root/mnt
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
mount -t tmpfs tmpfs /root/run
mount -t tmpfs tmpfs /root/tmp
mkdir /root/run/share /root/dev/shm /root${GUEST_REPOSITORY} /root${GUEST_NODE_DIRECTORY}
mount -t tmpfs tmpfs /root/dev/shm
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share /root/run/share
mount --bind "/lower${kernel.tree}/lib/modules" /root/usr/lib/modules
mount --bind "/lower${REPOSITORY}" /root${GUEST_REPOSITORY}
mount --bind "/lower${dirname(process.execPath)}" /root${GUEST_NODE_DIRECTORY}
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
exec switch_root /root /bin/sh /run/share/agent
`
}

/**
 * The agent, process 1 of the guest. It reads a line "RUN n" and runs n.command of the share, with
 * the output in n.stdout and n.stderr, and then answers "END n STATUS"; "KILL n" ends it with all
 * it started. When the machine's side of the port is gone for good, the guest powers off.
 */
export function agentScript(): string {
  return `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
cd /run/share
hostname weft-guest 2>/dev/null || busybox hostname weft-guest
port=
while [ -z "$port" ]; do
  for at in /sys/class/virtio-ports/*; do
    if [ "$(cat "$at/name" 2>/dev/null)" = weft ]; then port=/dev/$(basename "$at"); fi
  done
  [ -n "$port" ] || sleep 0.1
done
exec 3<>"$port"
silent=0
echo READY >&3
while [ "$silent" -lt 50 ]; do
  if ! read -r word number <&3; then
    silent=$((silent + 1))
    sleep 0.2
    continue
  fi
  silent=0
  case $word in
    RUN)
      (
        setsid sh -c 'echo $$ > "/run/$0.pid"; exec sh "$0.command"' "$number" \\
          > "$number.stdout" 2> "$number.stderr" < /dev/null 3>&-
        echo "END $number $?" >&3
        rm -f "/run/$number.pid"
      ) &
      ;;
    KILL)
      kill -9 -- "-$(cat "/run/$number.pid")"
      ;;
  esac
done
echo o > /proc/sysrq-trigger
sleep 60
`
}
