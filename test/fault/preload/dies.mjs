/**
 * Imported into every thread of the daemon. A reactor dies when the file WEFT_DEATH says so:
 * "1" the second one, at once; "1 turn" in the midst of a turn, when its next host connects; "all" all of them, as
 * often as they are started.
 */
import { readFileSync, unlinkSync } from 'node:fs'
import { isMainThread, workerData } from 'node:worker_threads'

const path = process.env['WEFT_DEATH'] ?? ''
const [BETWEEN, WITHIN] = ['an invariant that tests broke', 'an invariant that tests broke within a turn']
let armed = false

function look() {
  let wanted = ''
  try {
    wanted = readFileSync(path, 'utf8')
  } catch {
    return
  }
  if (wanted === 'all') throw new Error(BETWEEN)
  const [index, when] = wanted.split(' ')
  if (Number(index) !== workerData.reactor) return
  unlinkSync(path)
  if (when === undefined) throw new Error(BETWEEN)
  armed = true
}

// What associations.ts reads host identifiers with.
function betray() {
  const { from } = Buffer
  Buffer.from = (...given) => {
    if (armed && given[1] === 'hex') throw new Error(WITHIN)
    return from(...given)
  }
}

if (!isMainThread && typeof workerData?.reactor === 'number') {
  setInterval(look, 20)
  betray()
}
