/**
 * npm run audit: are there known weaknesses in the packages that weft is run with? Ends with status 1 when one is high
 * or critical; a registry that cannot be asked, or keeps no list of them, is told and is no failure.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { judge } from './advisories.ts'

const ASK_MS = 60_000
const ROOT = fileURLToPath(new URL('..', import.meta.url))

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  cwd: ROOT, encoding: 'utf8', timeout: ASK_MS, stdio: ['ignore', 'pipe', 'ignore'],
})
const { status, sentence } = judge(stdout ?? '')
console.log(sentence)
process.exitCode = status
