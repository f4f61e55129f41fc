/**
 * Instructions of the shim per I/O stay below limits, whatever the machine: instructions.c counts
 * them by stepping. A slip that costs some nanoseconds for each command, which no timing in a test would
 * show, is red here.
 *
 * Limits are one and a half times what GCC 12 makes of it for x86-64: compilers differ, and what a
 * slip adds is more.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BUILD = `${ROOT}.weft/build/instructions`
const compiler = process.env['CC'] ?? 'cc'
const NOT_PERMITTED = 77

const LIMITS: Readonly<Record<string, number>> = {
  // Receive and check nothing, gather header and payload, account for what was sent: 144.
  'answers, 32 a turn': 216,
  // What a turn costs that nobody shares: 689.
  'answers, 1 a turn': 1030,
  // The payload's digest, 8 bytes an instruction and three of these in a row: 2280.
  'answers with digests, 32 a turn': 3400,
  // 64 lines asked for ahead; the C library or a string instruction does the rest: 681.
  'copies, 32 a turn': 1000,
}

/** Without the processor's own CRC32C a digest takes many times as long, as it must. */
const digests = /\b(sse4_2|crc32)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
const stepping = process.arch === 'x64' || process.arch === 'arm64'

// The sanitizers' library has other instructions, and it is not the one that is counted here.
test.skipIf(process.env['WEFT_SHIM'] !== undefined || !stepping)(
  'instructions per I/O', { timeout: 120_000 }, (context) => {
    mkdirSync(BUILD, { recursive: true })
    execFileSync('make', ['-s', '-C', `${ROOT}native`, `BUILD=${BUILD}`, 'CFLAGS=-O2'])
    execFileSync(compiler, ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
      '-o', `${BUILD}/count`, `${ROOT}test/unit/shim/instructions.c`, '-ldl'])
    const { status, stdout, stderr } = spawnSync(`${BUILD}/count`, [`${BUILD}/shim.so`],
      { encoding: 'utf8' })
    if (status === NOT_PERMITTED) context.skip('this process may not step through another (ptrace)')
    expect([status, stderr]).toEqual([0, ''])
    const counted = stdout.trim().split('\n')
      .map((line) => JSON.parse(line) as { case: string, instructions: number })
    expect(counted.map((one) => one.case)).toEqual(Object.keys(LIMITS))
    const exceeded = counted
      .filter((one) => digests || !one.case.includes('digests'))
      .filter((one) => one.instructions > LIMITS[one.case]!)
      .map((one) => `${one.case}: ${one.instructions} instructions, at most ${LIMITS[one.case]}`)
    expect(exceeded, `all of it: ${stdout.trim().replaceAll('\n', ' ')}`).toEqual([])
  })
