/**
 * npm run sim: worlds, one after the other, until enough was simulated or one of them finds something.
 *
 *   --seed N       this world alone, as often as you like: it happens in the same way again
 *   --minutes M    searches for so long, from a seed that the clock chooses
 *   --commands C   searches until so many commands were simulated, from seed 1 on, or from --from
 *
 * Ends with status 1 and the seed when the target did something wrong.
 */
import { parseArgs } from 'node:util'
import { World } from './world.ts'

const WORLD_COMMANDS = 100_000

const { values } = parseArgs({
  options: {
    seed: { type: 'string' }, minutes: { type: 'string' }, commands: { type: 'string' },
    from: { type: 'string' }, size: { type: 'string' },
  },
})
const minutes = numberOf(values.minutes)
const commands = numberOf(values.commands) ?? (minutes === null ? WORLD_COMMANDS : Infinity)
const only = numberOf(values.seed)
const size = numberOf(values.size) ?? WORLD_COMMANDS
const began = performance.now()
let seed = only ?? numberOf(values.from) ?? (minutes === null ? 1 : Date.now() % 1_000_000_000)
const totals = { worlds: 0, commands: 0, seconds: 0, timeouts: 0, deaths: 0 }

while (totals.commands < commands && (minutes === null || performance.now() - began < minutes * 60_000)) {
  try {
    const outcome = await new World(seed).run(size)
    totals.worlds++
    totals.commands += outcome.commands
    totals.seconds += outcome.seconds
    totals.timeouts += outcome.timeouts
    totals.deaths += outcome.deaths
    if (only !== null) console.log(`seed ${seed}: trace ${(outcome.trace >>> 0).toString(16)}`)
  } catch (error) {
    console.error(`${(error as Error).message}\n`)
    console.error(((error as Error).cause as Error | undefined)?.stack ?? '')
    console.error(`To see it again: npm run sim -- --seed ${seed}${size === WORLD_COMMANDS ? '' : ` --size ${size}`}`)
    process.exit(1)
  }
  if (only !== null) break
  seed++
}

const elapsed = (performance.now() - began) / 1000
console.log(`${totals.commands} commands in ${totals.worlds} worlds: ${totals.seconds.toFixed(0)} simulated seconds, `
  + `${totals.timeouts} timeouts of hosts, ${totals.deaths} deaths of reactors, ${elapsed.toFixed(1)} s; nothing was found`)

function numberOf(text: string | undefined): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`"${text}" is not a number`)
  process.exit(2)
}
