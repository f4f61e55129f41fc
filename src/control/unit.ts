/**
 * The unit file with which systemd runs weft: `weft service install` → here.      systemd.service(5), systemd.exec(5)
 *
 * Type=notify: it has started when hosts may connect, and a reactor that hangs has it started anew. What a daemon
 * that serves disks over TCP never needs is taken from it; which disks, and where files are, is the operator's
 * business, so folders stay writable that the system itself does not live in.
 */
import { dirname } from 'node:path'
import type { Config } from '../config/config.ts'

export type UnitWish = {
  /** The program with its leading arguments: absolute paths. */
  readonly program: readonly string[]
  /** The configuration, an absolute path. */
  readonly file: string
  readonly config: Config
  /** Whom systemd starts it as; null: root. */
  readonly user: string | null
  /** Whom weft itself becomes when everything is open. */
  readonly runAs: string | null
}

/** More than a stop takes: target.ts has hosts go within 1 s, and all of it done within 4.5 s. */
const STOP_S = 15
const START_S = 60
const WATCHDOG_S = 30
const DESCRIPTORS = 65536
const FIRST_FREE_PORT = 1024
/** User units of block devices: Debian, Fedora, SUSE and Arch give them to this group. */
const DISK_GROUP = 'disk'
const TEMPORARY = /^\/(?:var\/)?tmp(?:\/|$)/
const HOME = /^\/(?:home|root|run\/user)(?:\/|$)/

/** Needed as root alone: to open what belongs to others, and to become another user. */
const ROOT_CAPABILITIES = ['CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_NET_BIND_SERVICE', 'CAP_IPC_LOCK']
const CHANGE_CAPABILITIES = ['CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN']

export function unitText(wish: UnitWish): string {
  const { program, file, runAs } = wish
  const words = [...program, 'serve', '--config', file, '--log', 'json', ...(runAs === null ? [] : ['--run-as', runAs])]
  return [
    '# Written by weft service install. Changes of yours belong in a drop-in: systemctl edit.',
    '[Unit]',
    'Description=weft, an NVMe over TCP target',
    'Documentation=man:weft(8)',
    'Wants=network-online.target',
    'After=network-online.target local-fs.target',
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=main',
    `ExecStart=${words.map(quoted).join(' ')}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    'Restart=on-failure',
    'RestartSec=1',
    `TimeoutStartSec=${START_S}`,
    `TimeoutStopSec=${STOP_S}`,
    `WatchdogSec=${WATCHDOG_S}`,
    // What an upgrade has started goes on when the one before has ended.
    'KillMode=mixed',
    `LimitNOFILE=${DESCRIPTORS}`,
    'LimitMEMLOCK=infinity',
    'OOMScoreAdjust=-900',
    'StateDirectory=weft',
    'StateDirectoryMode=0700',
    'RuntimeDirectory=weft',
    'RuntimeDirectoryMode=0750',
    // The control socket goes on where it is when one weft takes over from another.
    'RuntimeDirectoryPreserve=restart',
    'UMask=0077',
    ...identityLines(wish),
    ...HARDENING,
    ...folderLines(wish),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n')
}

const HARDENING = [
  'NoNewPrivileges=yes',
  'ProtectSystem=full',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'ProtectProc=invisible',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'KeyringMode=private',
  'RemoveIPC=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service io_uring_setup io_uring_enter io_uring_register',
  'SystemCallErrorNumber=EPERM',
  'DevicePolicy=closed',
  'DeviceAllow=block-* rw',
  'DeviceAllow=char-vfio rw',
]

function identityLines({ config, user, runAs }: UnitWish): string[] {
  const lowPort = [...config.listeners, ...config.discovery].some(({ port }) => port > 0 && port < FIRST_FREE_PORT)
  if (user === null) {
    return [`CapabilityBoundingSet=${[...ROOT_CAPABILITIES, ...(runAs === null ? [] : CHANGE_CAPABILITIES)].join(' ')}`]
  }
  const devices = config.subsystems.some(({ namespaces }) => namespaces.some(({ backing }) => backing.kind === 'device'))
  const capability = lowPort ? 'CAP_NET_BIND_SERVICE' : ''
  return [
    `User=${user}`, ...(devices ? [`SupplementaryGroups=${DISK_GROUP}`] : []),
    `CapabilityBoundingSet=${capability}`, `AmbientCapabilities=${capability}`,
  ]
}

/** Homes and temporary folders are hidden unless a disk, the configuration or the program is in one. */
function folderLines({ program, file, config }: UnitWish): string[] {
  const disks = config.subsystems.flatMap(({ namespaces }) =>
    namespaces.flatMap(({ backing }) => ('path' in backing ? [backing.path] : [])))
  const paths = [...program, file, ...disks]
  const lines = [
    `ProtectHome=${paths.some((path) => HOME.test(path)) ? 'no' : 'yes'}`,
    `PrivateTmp=${paths.some((path) => TEMPORARY.test(path)) ? 'no' : 'yes'}`,
  ]
  // These are read-only for services otherwise.
  const folders = disks.filter((path) => /^\/(?:usr|boot|efi|etc)\//.test(path)).map((path) => dirname(path))
  if (folders.length !== 0) lines.push(`ReadWritePaths=${[...new Set(folders)].map(quoted).join(' ')}`)
  return lines
}

/** As systemd reads words: % begins a specifier, $ a variable. */
function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w./:@%$=+-]+$/.test(plain) ? plain : `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
