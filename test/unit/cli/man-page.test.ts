/** docs/weft.8 is what test/man-page.ts makes of the commands today; and completions know the same commands. */
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { completionScript, wordsOf } from '../../../src/cli/completion-command.ts'
import { createProgram } from '../../../src/cli/program.ts'
import { MAN_PAGE, manPage } from '../../man-page.ts'

const SRC = fileURLToPath(new URL('../../../src', import.meta.url))

test('docs/weft.8 is up to date; if not, run: node test/man-page.ts', () => {
  expect(readFileSync(MAN_PAGE, 'utf8')).toBe(manPage())
})

test('every command and every option is in what shells are offered', () => {
  const words = wordsOf(createProgram(() => {}), '')
  expect(words[0]!.commands.map(({ name }) => name)).toEqual(expect.arrayContaining(['serve', 'config', 'completion']))
  const check = words.find(({ path }) => path === 'config check')
  expect(check!.options.map(({ name }) => name)).toEqual(['--json', '--help'])
  const kind = words.find(({ path }) => path === 'perf')!.options.find(({ name }) => name === '--rw')
  expect(kind!.choices).toContain('randrw')
})

test('bash offers commands, their commands, options and the values that there are', () => {
  const script = completionScript(createProgram(() => {}), 'bash')
  const lines = ['weft conf', 'weft config c', 'weft perf --rw rand', 'weft service install --dry']
  const asked = lines.map((line) => `COMP_WORDS=(${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _weft; echo "\${COMPREPLY[*]}"`)
  const { stdout } = spawnSync('bash', ['-c', [script, ...asked].join('\n')], { encoding: 'utf8', cwd: '/' })
  expect(stdout.split('\n').slice(0, -1)).toEqual(['config', 'check', 'randread randwrite randrw', '--dry-run'])
})

test('messages that docs/OPERATING.md explains are those that there are', () => {
  const document = readFileSync(fileURLToPath(new URL('../../../docs/OPERATING.md', import.meta.url)), 'utf8')
  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(SRC, path), 'utf8')).join('\n').replace(/'\s*\+ ['`]/g, '').replace(/`\s*\+ ['`]/g, '')
  const rows = [...document.matchAll(/^\| ([^|]*…[^|]*) \|/gm)].map(([, message]) => message!)
  expect(rows.length).toBeGreaterThan(15)
  const unknown = rows.filter((row) => !row.split('…').every((part) => sources.includes(part.replace(/:\d+/, '').trim())))
  expect(unknown).toEqual([])
})
