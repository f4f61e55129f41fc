/**
 * The conventions that a machine can check: which folder imports which, how long files are, what
 * has no place in src. The reasons are in docs/HACKING.md.
 *
 * Each rule is a function of (path, text), tried on a text that breaks it before it is tried on src.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Top to bottom: a folder imports what is below it. */
const ORDER = [
  'main', 'cli', 'rpc', 'discovery', 'host', 'config', 'control', 'target', 'model', 'wire', 'tcp',
  'queue', 'controller', 'subsystem', 'auth', 'namespace', 'device', 'nvme', 'pci', 'reactor',
  'shim',
]
/** Used by all. start-error: the sentence a person reads when a part of the target cannot open. */
const SHARED = ['wire', 'reactor', 'limits', 'assert', 'config/start-error']
/** Types alone: plain data that is handed down. */
const DATA = ['config', 'subsystem']
/** They put the parts together, so they import every one of them. */
const COMPOSITION = [
  'target', 'live', 'update', 'device-plan', 'model', 'snapshot', 'stock', 'media', 'keeper', 'control-plane',
  'reactors', 'standing', 'reactor-thread', 'reactor-worker', 'driven', 'processors', 'pools', 'inventory',
]

const FILE_LINES_MAX = 400

type Rule = (path: string, text: string) => string[]

/** The folder of a path within src, or the name of a file at its top. */
function partOf(path: string): string {
  return path.split('/')[0]!.replace(/\.(ts|mjs)$/, '')
}

const importDirection: Rule = (path, text) => {
  const part = partOf(path)
  const wrong: string[] = []
  for (const [whole, from] of text.matchAll(/^(?:import|export)\b[^'"]*?from '(\.[^']+)'/gm)) {
    const target = relative('.', join(dirname(path), from!))
    if (!target.endsWith('.ts')) continue
    const name = target.replace(/\.ts$/, '')
    const imported = partOf(target)
    if (imported === part || SHARED.includes(imported) || SHARED.includes(name)) continue
    if (COMPOSITION.includes(part) && imported !== 'main' && imported !== 'cli') continue
    const typesOnly = /^(?:import|export) type\b/.test(whole)
    if (typesOnly && (DATA.includes(imported) || part === 'limits')) continue
    const [above, below] = [ORDER.indexOf(part), ORDER.indexOf(imported)]
    if (above < 0 || below <= above) wrong.push(`imports ${name}`)
  }
  return wrong
}

const koffiInShimOnly: Rule = (path, text) =>
  (/from 'koffi'/.test(text) && partOf(path) !== 'shim' ? ['imports koffi'] : [])

const noDefaultExport: Rule = (_path, text) =>
  (/^export default\b|\bexport \{[^}]*\bas default\b/m.test(text) ? ['has a default export'] : [])

const noOpenEnds: Rule = (_path, text) =>
  [...text.matchAll(/\b(TO[D]O|FIX[M]E|XX[X])\b/g)].map(([word]) => `has a ${word}`)

const namedAfterANoun: Rule = (path) =>
  (/(^|[/-])(utils?|helpers?|common|misc|manager|index)\.(ts|mjs)$/.test(path)
    ? ['is not named after a noun of ours']
    : [])

const shortEnough: Rule = (_path, text) => {
  const lineCount = text.trimEnd().split('\n').length
  return lineCount > FILE_LINES_MAX ? [`has ${lineCount} lines`] : []
}

const startsWithAHeader: Rule = (_path, text) =>
  (/^(#!.*\n)?\/\*\*?(\n \*)? \S/.test(text) ? [] : ['does not say on top what it is'])

/** What is written in a folder of the top level; paths within that folder. */
function writtenIn(folder: string): { path: string, text: string }[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(ts|mjs|c|h)$/.test(path) && !/(^|\/)build\//.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, folder, path), 'utf8') }))
}

const sources = writtenIn('src')
const everywhere = ['src', 'native', 'test', 'bench'].flatMap((folder) =>
  writtenIn(folder).map(({ path, text }) => ({ path: `${folder}/${path}`, text })))
/** What holds for src holds in part for everything. */
const EVERYWHERE: Rule[] = [noOpenEnds, shortEnough, startsWithAHeader]

const rules: [name: string, rule: Rule, broken: [path: string, text: string][]][] = [
  ['imports point down the data path', importDirection, [
    ['queue/admit.ts', "import { Sender } from '../tcp/send.ts'\n"],
    ['queue/admit.ts', "import {\n  readConfig,\n} from '../config/read.ts'\n"],
    ['device/file.ts', "import type { Sender } from '../tcp/send.ts'\n"],
    ['tcp/send.ts', "export { serve } from '../cli/serve.ts'\n"],
    ['target.ts', "import { serve } from './cli/serve.ts'\n"],
  ]],
  ['koffi is used by shim only', koffiInShimOnly, [['tcp/send.ts', "import koffi from 'koffi'\n"]]],
  ['nothing is exported by default', noDefaultExport, [
    ['tcp/send.ts', 'export default class Sender {}\n'],
    ['tcp/send.ts', 'export { Sender as default }\n'],
  ]],
  ['nothing is left open', noOpenEnds, [['tcp/send.ts', `// ${'TO'}DO: digests\n`]]],
  ['files are named after nouns', namedAfterANoun, [
    ['tcp/utils.ts', ''], ['tcp/pdu-helpers.ts', ''], ['queue/manager.ts', ''], ['tcp/index.ts', ''],
  ]],
  [`files have at most ${FILE_LINES_MAX} lines`, shortEnough, [
    ['tcp/send.ts', 'const a = 1\n'.repeat(FILE_LINES_MAX + 1)],
  ]],
  ['files say on top what they are', startsWithAHeader, [['tcp/send.ts', 'const a = 1\n']]],
]

describe.each(rules)('%s', (_name, rule, broken) => {
  test.each(broken)('the rule notices a break in %s', (path, text) => {
    expect(rule(path, text)).not.toEqual([])
  })

  test('src keeps it', () => {
    const found = sources.flatMap(({ path, text }) =>
      rule(path, text).map((sentence) => `src/${path} ${sentence}`))
    expect(found).toEqual([])
  })

  test.runIf(EVERYWHERE.includes(rule))('so does all else that is written', () => {
    const found = everywhere.flatMap(({ path, text }) =>
      rule(path, text).map((sentence) => `${path} ${sentence}`))
    expect(found).toEqual([])
  })
})

test('importing downwards, from what all use, and types of plain data is allowed', () => {
  const text = [
    "import { Arena } from '../reactor/arena.ts'",
    "import { SQE } from '../wire/sqe.ts'",
    "import { assert } from '../assert.ts'",
    "import type { Config } from '../config/config.ts'",
    "import { StartError } from '../config/start-error.ts'",
    "import { Slots } from './slots.ts'",
    '',
  ].join('\n')
  expect(importDirection('queue/admit.ts', text)).toEqual([])
})
