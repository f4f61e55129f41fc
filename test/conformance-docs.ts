/**
 * Writes docs/CONFORMANCE.md: each requirement, the tests that claim it, those that none claims.
 * Run as `node test/conformance-docs.ts`; conformance/document.test.ts fails when it is stale.
 *
 * A test claims a requirement by beginning its title with the id: 'PDU-03: …', 'NVM-02 NVM-03: …'.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { REQUIREMENTS } from './conformance/requirements.ts'

const TESTS = fileURLToPath(new URL('./conformance/', import.meta.url))
const DOCUMENT = fileURLToPath(new URL('../docs/CONFORMANCE.md', import.meta.url))
const TITLE = /'((?:[A-Z]{3}-\d\d )*[A-Z]{3}-\d\d): /g

const GROUPS: Record<string, string> = {
  PDU: 'PDU headers and termination',
  ICR: 'Initialization',
  DIG: 'Digests',
  CAP: 'Command capsules',
  DAT: 'Data transfer',
  CON: 'Connect',
  PRP: 'Properties',
  IDY: 'Identify',
  LOG: 'Log pages',
  FEA: 'Features',
  KAL: 'Keep alive',
  AEN: 'Asynchronous events',
  ABT: 'Abort',
  NVM: 'I/O commands',
  CMD: 'Optional commands',
  FUS: 'Fused Compare and Write',
  MED: 'Defects, formatting and sanitizing',
  NSM: 'Namespace management and attachment',
  DSC: 'Discovery',
  DIS: 'Disconnect',
  RES: 'Reservations',
  ACC: 'Access and association',
  AUT: 'Authentication',
  LIM: 'Limits',
  VIS: 'Namespaces for some hosts',
  ANA: 'Asymmetric namespace access',
  LIV: 'Live changes',
  POL: 'Namespaces in a pool',
  NYI: 'Not implemented',
}

/** Files that claim each requirement, by id, in the order of their names. */
export function claims(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const file of readdirSync(TESTS).sort()) {
    if (!file.endsWith('.test.ts')) continue
    for (const [, ids] of readFileSync(TESTS + file, 'utf8').matchAll(TITLE)) {
      for (const id of (ids ?? '').split(' ')) {
        const files = found.get(id) ?? []
        if (!files.includes(file)) files.push(file)
        found.set(id, files)
      }
    }
  }
  return found
}

/** The document as it should be. */
export function conformanceDocument(): string {
  const claimed = claims()
  const lines = [
    '# Conformance',
    '',
    'What the specifications ask of an NVMe/TCP target, and the tests that show it. Written by',
    '`node test/conformance-docs.ts` from the titles of the tests; not edited by hand.',
    'TCP is the NVMe/TCP Transport Specification 1.0a, FAB is NVMe over Fabrics 1.1 and the',
    'fabrics parts of NVMe Base 2.0, BASE is NVMe Base 2.0, NVM is the NVM Command Set',
    'Specification 1.0.',
  ]
  for (const [group, name] of Object.entries(GROUPS)) {
    const rows = REQUIREMENTS.filter(([id]) => id.startsWith(group) && claimed.has(id))
    if (rows.length === 0) continue
    lines.push('', `## ${name}`, '', '| | requirement | source | test |', '|---|---|---|---|')
    for (const [id, source, text] of rows) {
      const files = (claimed.get(id) ?? []).map((file) => file.replace('.test.ts', '')).join(', ')
      lines.push(`| ${id} | ${text} | ${source} | ${files} |`)
    }
  }
  const unclaimed = REQUIREMENTS.filter(([id]) => !claimed.has(id))
  lines.push('', '## Unclaimed', '', 'No test claims these, and neither does weft.', '')
  lines.push('| | requirement | source |', '|---|---|---|')
  for (const [id, source, text] of unclaimed) lines.push(`| ${id} | ${text} | ${source} |`)
  return `${lines.join('\n')}\n`
}

/** The document as it is. */
export function writtenDocument(): string {
  return readFileSync(DOCUMENT, 'utf8')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(DOCUMENT, conformanceDocument())
}
