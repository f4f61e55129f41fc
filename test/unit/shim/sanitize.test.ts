/**
 * The tests of this folder once more, against the shim compiled with the address and undefined
 * behaviour sanitizers. Skipped where the compiler has no libasan to preload.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const LIBRARY = `${ROOT}.weft/build/shim-sanitize.so`
const compiler = process.env['CC'] ?? 'cc'
const libasan = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()

test.skipIf(!existsSync(libasan))('the same tests pass with sanitizers', () => {
  execFileSync('make', ['-s', '-C', `${ROOT}native`, 'sanitize'], { stdio: 'pipe' })
  const result = spawnSync(process.execPath, [
    `${ROOT}node_modules/vitest/vitest.mjs`, 'run', '--config', 'test/vitest.config.ts',
    '--root', '.', '--exclude', '**/sanitize.test.ts', '--maxWorkers', '1', 'test/unit/shim',
  ], {
    cwd: ROOT,
    encoding: 'utf8',
    env: {
      ...process.env, WEFT_SHIM: LIBRARY, LD_PRELOAD: libasan, NO_COLOR: '1',
      // Node itself leaks at exit; what the shim holds is counted in socket.test.ts.
      ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  })
  expect(result.stdout + result.stderr).not.toMatch(/AddressSanitizer|runtime error/)
  expect(result.stdout).toMatch(/Tests +\d+ passed/)
  expect(result.status).toBe(0)
}, 180_000)
