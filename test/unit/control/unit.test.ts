/** The unit file: what is in it for which configuration, and what systemd itself says of it where there is one. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readConfig } from '../../../src/config/read.ts'
import { type UnitWish, unitText } from '../../../src/control/unit.ts'

const AROUND = { machineId: 'f'.repeat(32), cpuCount: 2, folder: '/etc/weft', state: '/var/lib/weft' }
/** How exposed systemd finds a service, times ten: 96 is one without any hardening. */
const EXPOSURE_MAX = 35

function wish(namespaces: object[], changes: Partial<UnitWish> = {}, port = 4420): UnitWish {
  const written = { listeners: [{ address: '192.0.2.1', port }], discovery: false, subsystems: [{ namespaces }] }
  return {
    program: [process.execPath, '/opt/weft/src/launch.mjs'], file: '/etc/weft/weft.json', user: null, runAs: null,
    config: readConfig(written, 'weft.json', AROUND), ...changes,
  }
}

const plain = { program: ['/usr/bin/node', '/opt/weft/src/launch.mjs'] }

test('it starts weft with its configuration, as a service that tells when it is ready', () => {
  const lines = unitText(wish([{ memory: '1M' }], plain)).split('\n')
  expect(lines).toContain('Type=notify')
  expect(lines).toContain('ExecStart=/usr/bin/node /opt/weft/src/launch.mjs serve --config /etc/weft/weft.json --log json')
  expect(lines).toEqual(expect.arrayContaining(['ProtectHome=yes', 'PrivateTmp=yes', 'StateDirectory=weft', 'WatchdogSec=30']))
  expect(lines.filter((line) => /^(User|SupplementaryGroups|ReadWritePaths)=/.test(line))).toEqual([])
})

test('a disk in a home, in a temporary folder or in /etc stays within reach', () => {
  const lines = unitText(wish([{ file: '/home/me/a.img' }, { file: '/var/tmp/b.img' }, { file: '/etc/the disks/c.img' }], plain)).split('\n')
  expect(lines).toEqual(expect.arrayContaining(['ProtectHome=no', 'PrivateTmp=no', 'ReadWritePaths="/etc/the disks"']))
})

test('a user of its own has no capability but that of a low port, and reaches devices by their group', () => {
  const lines = unitText(wish([{ device: '/dev/sdb' }], { ...plain, user: 'weft' }, 420)).split('\n')
  expect(lines).toEqual(expect.arrayContaining(['User=weft', 'SupplementaryGroups=disk',
    'CapabilityBoundingSet=CAP_NET_BIND_SERVICE', 'AmbientCapabilities=CAP_NET_BIND_SERVICE']))
  expect(unitText(wish([{ memory: '1M' }], { ...plain, user: 'weft' }))).toMatch(/^CapabilityBoundingSet=$/m)
})

test('root that becomes another user may do that', () => {
  const text = unitText(wish([{ device: '/dev/sdb' }], { ...plain, runAs: 'weft' }))
  expect(text).toMatch(/^ExecStart=.* --run-as weft$/m)
  expect(text).toMatch(/^CapabilityBoundingSet=.*CAP_SETUID.*$/m)
})

test('words of systemd\'s own are written so that it reads them as they are', () => {
  const text = unitText(wish([{ memory: '1M' }], { ...plain, file: '/etc/100% "$HOME"/weft.json' }))
  expect(text).toContain('--config "/etc/100%% \\"$$HOME\\"/weft.json"')
})

test.each<[string, Partial<UnitWish>]>([['root', {}], ['a user', { user: 'daemon' }], ['one, and then the other', { runAs: 'daemon' }]])(
  'systemd finds no mistake in it, and it well protected: %s', (_name, changes) => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-test-'))
    try {
      const path = join(folder, 'weft.service')
      const program = [process.execPath, '/opt/weft/src/launch.mjs']
      writeFileSync(path, unitText(wish([{ device: '/dev/sdb' }, { file: '/srv/a.img' }], { program, ...changes })))
      const verify = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' })
      if (verify.error !== undefined) return
      expect(verify.stderr).toBe('')
      expect(verify.status).toBe(0)
      const words = ['security', '--offline=true', `--threshold=${EXPOSURE_MAX}`, path]
      const security = spawnSync('systemd-analyze', words, { encoding: 'utf8' })
      // Those before 250 cannot look at a file.
      if (/nrecognized option/.test(security.stderr)) return
      expect(security.status, security.stdout.split('\n').at(-2)).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
