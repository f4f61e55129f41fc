/**
 * The TypeScript of a command by itself, timed: node bench/hot-path.ts [read|write|flush] [digests]
 * prints nanoseconds a command, the best of many rounds. command-path.ts is what runs.
 * docs/adr/0005 quotes its figures; a change to the hot path should run it.
 */
import { setFlagsFromString } from 'node:v8'
import { HEAP_FLAGS, INLINING_FLAGS } from '../src/v8-flags.ts'
import { CommandPath, type Kind, PAYLOAD_BYTES } from './command-path.ts'

const TRIALS = 40
const ROUNDS = 4000
const NAMES: Readonly<Record<Kind, string>> = {
  read: `read of ${PAYLOAD_BYTES / 1024} KiB`,
  write: `write of ${PAYLOAD_BYTES / 1024} KiB, in the capsule`,
  flush: 'flush',
}

for (const flag of [...HEAP_FLAGS, ...INLINING_FLAGS]) setFlagsFromString(flag)
const asked = process.argv[2] ?? 'read'
const kind = (Object.keys(NAMES) as Kind[]).find((name) => name === asked)
const digests = process.argv[3] === 'digests'
if (kind === undefined) throw new Error(`no command is called ${asked}: read, write, flush`)
const path = new CommandPath(kind, digests)

let best = Infinity
for (let trial = 0; trial < TRIALS; trial++) {
  const began = process.hrtime.bigint()
  for (let round = 0; round < ROUNDS; round++) path.turn()
  best = Math.min(best, Number(process.hrtime.bigint() - began) / ROUNDS / path.commands)
}
const what = `${NAMES[kind]}${digests ? ', digests' : ''}`
process.stdout.write(`${best.toFixed(1)} ns of TypeScript per ${what} (best of ${TRIALS})\n`)
