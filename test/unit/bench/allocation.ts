/**
 * What the TypeScript of a million commands allocates: a program for allocation.test.ts, which
 * starts it with a young generation so large that nothing is collected while it counts.
 * bench/command-path.ts is what runs; one JSON line a kind of command.
 *
 * A batch after the other, and the least of them: V8's own bookkeeping (feedback, code compiled
 * anew) is in some of them, what a command allocates is in all.
 */
import { CommandPath, type Kind } from '../../../bench/command-path.ts'

const BATCHES = 4
const COMMANDS = 1 << 18
const WARM_UP = 1 << 18
const KINDS: readonly Kind[] = ['read', 'write', 'flush']

const paths = KINDS.flatMap((kind) => [false, true].map((digests) => ({
  name: `${kind}${digests ? ', digests' : ''}`, path: new CommandPath(kind, digests),
})))
for (const { path } of paths) run(path, WARM_UP)
for (const { name, path } of paths) {
  let least = Infinity
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = process.memoryUsage().heapUsed
    run(path, COMMANDS)
    const grown = process.memoryUsage().heapUsed - before
    // It shrinks only by a collection, which hides what was allocated.
    if (grown >= 0) least = Math.min(least, grown)
  }
  console.log(JSON.stringify({ name, bytesPerMillion: Math.round(least * 1e6 / COMMANDS) }))
}

function run(path: CommandPath, commands: number): void {
  for (let done = 0; done < commands; done += path.commands) path.turn()
}
