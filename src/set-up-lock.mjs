/**
 * One set-up at a time: a lock that several first starts of weft take in turn. Used by set-up.mjs.
 *
 *   STATE/lock/owner   {id, pid, host}, touched every second by its holder
 *
 * The lock is a folder with a file in it, put in place by renaming. A folder cannot be renamed onto
 * one that is not empty, so exactly one start gets the lock, and exactly one puts a dead holder's
 * aside: as stale-<its id>, which then exists and stops a second one from moving the next holder's.
 */
import { randomUUID } from 'node:crypto'
import {
  mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

const RETRY_MS = 200
/** Long enough for a machine that swaps; a dead process of this machine is noticed at once. */
const STALE_MS = 20_000
const LITTER_MS = 24 * 3600 * 1000
const EXIT_STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/**
 * Runs `work` while holding the lock in the folder `state`. say() gets one sentence if that takes a
 * while; stop(signal) is called, before the process ends, when a signal comes.
 */
export async function withLock(state, say, stop, work) {
  const id = randomUUID()
  const lock = join(state, 'lock')
  const mine = join(state, `lock-${id}`)
  let held = false
  const owner = join(lock, 'owner')
  const release = () => {
    // A process that was stopped for long may have lost its lock to another.
    if (held && ownerOf(lock)?.id === id) renameSync(lock, mine)
    held = false
    rmSync(mine, { recursive: true, force: true })
  }
  const onSignal = (signal) => {
    stop(signal)
    release()
    process.exit(EXIT_STATUS[signal])
  }
  for (const signal of Object.keys(EXIT_STATUS)) process.on(signal, onSignal)
  mkdirSync(mine)
  writeFileSync(join(mine, 'owner'), JSON.stringify({ id, pid: process.pid, host: hostname() }))
  const timer = setInterval(() => touch(held ? owner : join(mine, 'owner')), 1000)
  try {
    await take(state, lock, mine, say)
    held = true
    removeLitter(state)
    await work()
  } finally {
    clearInterval(timer)
    release()
    for (const signal of Object.keys(EXIT_STATUS)) process.off(signal, onSignal)
  }
}

async function take(state, lock, mine, say) {
  for (let tries = 1; ; tries += 1) {
    try {
      renameSync(mine, lock)
      return
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    }
    if (tries === 5) say('Waiting for another start of weft to finish its set-up …')
    setAsideDead(state, lock)
    await new Promise((done) => { setTimeout(done, RETRY_MS) })
  }
}

function setAsideDead(state, lock) {
  const holder = ownerOf(lock)
  if (holder === null) return
  try {
    const untouchedMs = Date.now() - statSync(join(lock, 'owner')).mtimeMs
    if (untouchedMs < STALE_MS && (holder.host !== hostname() || alive(holder.pid))) return
    renameSync(lock, join(state, `stale-${holder.id}`))
  } catch {
    // Released, or set aside by another start, in this moment: the next try shows.
  }
}

function ownerOf(lock) {
  try {
    return JSON.parse(readFileSync(join(lock, 'owner'), 'utf8'))
  } catch {
    return null
  }
}

function touch(path) {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // Renamed in this moment.
  }
}

/** A stale-… must stay while somebody may still try to create it; a day is plenty. */
function removeLitter(state) {
  for (const name of readdirSync(state)) {
    if (!/^(stale|lock|node)-/.test(name)) continue
    const path = join(state, name)
    if (Date.now() - statSync(path).mtimeMs > LITTER_MS) {
      rmSync(path, { recursive: true, force: true })
    }
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
