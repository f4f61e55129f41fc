/**
 * A process that saves a state and is killed in the middle of it: at the Nth thing that it asks of the disk,
 * before it or after it, or half way through a write.        state-store.test.ts starts it.
 *
 *   node state-writer.ts FOLDER VALUE STEP before|after|half
 *
 * Prints the steps it has done; ends by SIGKILL, or with status 0 when there is no step STEP.
 */
import * as files from 'node:fs/promises'
import { writeSync } from 'node:fs'
import { StateStore, type Disk } from '../../../src/config/state-store.ts'

const [folder, value, stepText, when] = process.argv.slice(2) as [string, string, string, string]
const last = Number(stepText)
let count = 0

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

/** Everything asked of it is a step. */
function dying<Target extends object>(target: Target): Target {
  return new Proxy(target, {
    get: (_, name) => {
      const member = Reflect.get(target, name) as unknown
      if (typeof member !== 'function') return member
      return async (...words: unknown[]): Promise<unknown> => {
        count += 1
        writeSync(1, `${String(name)}\n`)
        const mine = count === last
        if (mine && when === 'before') die()
        if (mine && when === 'half' && name === 'writeFile') {
          const text = words[0] as string
          await Reflect.apply(member, target, [text.slice(0, text.length / 2)])
          die()
        }
        const answer = await Reflect.apply(member, target, words) as unknown
        if (mine) die()
        return typeof answer === 'object' && answer !== null ? dying(answer) : answer
      }
    },
  })
}

const anything = { safeParse: (data: unknown) => ({ success: true as const, data }) }
await new StateStore(folder, dying({ ...files } as Disk))
  .save('nqn.2026-01.com.example:disks', { name: 'letters', version: 1, schema: anything as never }, [value])
