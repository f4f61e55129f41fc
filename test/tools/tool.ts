/**
 * Programs of others that read what weft writes: found on this machine, or a sentence that says what to install.
 * The tests of this folder ask for one. npm test does without them; npm run test:tools is theirs.
 */
import { spawnSync } from 'node:child_process'

const NEEDED = 'These tests need: apt-get install --no-install-recommends tshark python3-prometheus-client'
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Standard output. Throws where it is not there, or fails. */
export function tool(name: string, args: readonly string[], input = ''): string {
  const { error, status, stdout, stderr } = spawnSync(name, args, { input, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX })
  if (error === undefined && status === 0) return stdout
  throw new Error(`${name} failed (${error?.message ?? stderr}). ${NEEDED}`)
}
