/**
 * npm run fuzz -- --seconds S [--seed N] [--shim]: attacks over sockets, and with --shim the coverage-guided
 * fuzzing of the shim's own boundary, for so long each.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' },
    shim: { type: 'boolean', default: false },
  },
})
for (const [name, value] of Object.entries(values)) {
  if (typeof value === 'string' && !/^\d+$/.test(value)) {
    console.error(`--${name} takes a number, not "${value}"`)
    process.exit(2)
  }
}

function run(program: string, args: string[]): number {
  const { status } = spawnSync(program, args, {
    cwd: ROOT, stdio: 'inherit',
    env: { ...process.env, WEFT_FUZZ_SECONDS: values.seconds, WEFT_FUZZ_SEED: values.seed },
  })
  return status ?? 1
}

const sockets = run(process.execPath, [
  'node_modules/vitest/vitest.mjs', 'run', '--root', '.', '--config', 'test/vitest.config.ts', 'test/fuzz',
])
const shim = values.shim ? run('sh', ['test/fuzz/shim/run.sh', values.seconds]) : 0
process.exit(sockets || shim)
