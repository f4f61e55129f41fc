/** Imported into every thread of the daemon: a reactor dies as soon as the file WEFT_DEATH exists. */
import { existsSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const path = process.env['WEFT_DEATH'] ?? ''
if (!isMainThread) setInterval(() => { if (existsSync(path)) throw new Error('an invariant that tests broke') }, 20)
