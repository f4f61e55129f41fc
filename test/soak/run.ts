/**
 * npm run soak: what takes long. --kills N, --cycles N: so many of each (0 = none); --minutes M: a load that verifies,
 * for so long, with latency and memory over time as a drawing (--svg FILE).
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' }, cycles: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' },
    svg: { type: 'string', default: 'docs/soak.svg' },
  },
})
for (const name of ['kills', 'cycles', 'minutes', 'seed'] as const) {
  if (/^\d+(\.\d+)?$/.test(values[name])) continue
  console.error(`--${name} takes a number, not "${values[name]}"`)
  process.exit(2)
}

const wanted = [
  [values.kills, 'kill'], [values.cycles, 'cycles'], [values.minutes, 'load'],
].filter(([count]) => Number(count) !== 0)
let failed = 0
for (const [, name] of wanted) {
  const { status } = spawnSync(process.execPath, [
    'node_modules/vitest/vitest.mjs', 'run', '--root', '.', '--config', 'test/vitest.config.ts',
    `test/soak/${name}.test.ts`,
  ], {
    cwd: ROOT, stdio: 'inherit',
    env: {
      ...process.env, WEFT_KILLS: values.kills, WEFT_CYCLES: values.cycles, WEFT_SOAK_MINUTES: values.minutes,
      WEFT_SEED: values.seed, WEFT_SOAK_SVG: values.svg,
    },
  })
  failed ||= status ?? 1
}
process.exit(failed)
