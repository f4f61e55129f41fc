/** State that survives: written whole or not at all, and never trusted blindly. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync }
  from 'node:fs'
import * as files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { stateFolder } from '../../../src/config/read.ts'
import { StartError } from '../../../src/config/start-error.ts'
import { StateError, StateStore, type Disk } from '../../../src/config/state-store.ts'

const WRITER = fileURLToPath(new URL('state-writer.ts', import.meta.url))
const NQN = 'nqn.2026-01.com.example:disks'
const LETTERS = { name: 'letters', version: 1, schema: z.array(z.string()) }
const root = mkdtempSync(join(tmpdir(), 'weft-state-'))
afterAll(() => rmSync(root, { recursive: true }))

let folders = 0
const newFolder = (): string => join(root, String(++folders), 'deep')

/** A store whose only file has this text. */
function holding(text: string): StateStore {
  const store = new StateStore(newFolder())
  mkdirSync(store.folder, { recursive: true })
  writeFileSync(store.path(NQN, LETTERS), text)
  return store
}

test('nothing is kept, and nothing made, before something is saved', () => {
  const store = new StateStore(newFolder())
  expect(store.load(NQN, LETTERS)).toBeNull()
  expect(existsSync(store.folder)).toBe(false)
})

test('what is saved is loaded by the next one', async () => {
  const store = new StateStore(newFolder())
  await store.save(NQN, LETTERS, ['a', 'ü"\n'])
  await store.save(NQN, { ...LETTERS, name: 'others' }, ['b'])
  await store.save(`${NQN}2`, LETTERS, ['c'])
  const next = new StateStore(store.folder)
  expect(next.load(NQN, LETTERS)).toEqual(['a', 'ü"\n'])
  expect(next.load(NQN, { ...LETTERS, name: 'others' })).toEqual(['b'])
  expect(next.load(`${NQN}2`, LETTERS)).toEqual(['c'])
  expect(statSync(store.folder).mode & 0o777).toBe(0o700)
  expect(statSync(store.path(NQN, LETTERS)).mode & 0o777).toBe(0o600)
})

test('saves of one file come one after another, the last one wins', async () => {
  const store = new StateStore(newFolder())
  const values = Array.from({ length: 20 }, (_, index) => [String(index)])
  await Promise.all(values.map((value) => store.save(NQN, LETTERS, value)))
  expect(store.load(NQN, LETTERS)).toEqual(['19'])
  expect(readdirSync(store.folder)).toEqual(['nqn.2026-01.com.example%3Adisks.letters.json'])
})

test('names of subsystems cannot leave the folder, nor be taken for each other', async () => {
  const store = new StateStore(newFolder())
  const long = `nqn.2026-01.com.example:${'/'.repeat(199)}`
  const names = ['nqn.2026-01.com.example:../../x', 'nqn.2026-01.com.example:..%2F', `${long}a`, `${long}b`]
  for (const name of names) await store.save(name, LETTERS, [name])
  for (const name of names) expect(store.load(name, LETTERS)).toEqual([name])
  expect(readdirSync(store.folder)).toHaveLength(names.length)
})

describe('a process that is killed while it saves', () => {
  const run = (folder: string, value: string, step: number, when: string) => spawnSync(
    process.execPath, [WRITER, folder, value, String(step), when], { encoding: 'utf8' },
  )

  test.each(['before', 'after', 'half'])('%s each step leaves the old file or the new one', async (when) => {
    const first = newFolder()
    const done = run(first, 'old', 0, when)
    expect(done.status, done.stderr).toBe(0)
    const steps = done.stdout.trim().split('\n')
    expect(steps).toEqual(expect.arrayContaining(['mkdir', 'open', 'writeFile', 'sync', 'rename']))
    for (const existing of [true, false]) {
      for (const [index, name] of steps.entries()) {
        if (when === 'half' && name !== 'writeFile') continue
        const folder = existing ? first : newFolder()
        const killed = run(folder, 'new', index + 1, when)
        const store = new StateStore(folder)
        const kept = store.load(NQN, LETTERS)
        expect([existing ? ['old'] : null, ['new']]).toContainEqual(kept)
        // Where the folder is there already, there are fewer steps.
        expect(killed.status === 0 || killed.signal === 'SIGKILL', killed.stderr).toBe(true)
        if (killed.status === 0) expect(kept).toEqual(['new'])
        if (existing) await store.save(NQN, LETTERS, ['old'])
      }
    }
  })
})

describe('what cannot be written', () => {
  test.each(['mkdir', 'open', 'rename', 'writeFile', 'sync'])('is said when %s fails', async (step) => {
    const folder = newFolder()
    await new StateStore(folder).save(NQN, LETTERS, ['old'])
    const fail = async (): Promise<never> => {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    }
    const disk = {
      ...files,
      open: async (...words: Parameters<Disk['open']>) => {
        const file = await files.open(...words)
        return new Proxy(file, {
          get: (_, name) => {
            const member = Reflect.get(file, name) as unknown
            return name === step ? fail : typeof member === 'function' ? member.bind(file) : member
          },
        })
      },
      ...(step in files && step !== 'writeFile' ? { [step]: fail } : {}),
    } as Disk
    const store = new StateStore(folder, disk)
    const saving = store.save(NQN, LETTERS, ['new'])
    await expect(saving).rejects.toThrow(StateError)
    await expect(saving).rejects.toThrow(`${store.path(NQN, LETTERS)} cannot be written (ENOSPC)`)
    expect(store.load(NQN, LETTERS)).toEqual(['old'])
    expect(readdirSync(folder)).toHaveLength(1)
  })

  test('does not keep the next one from being written', async () => {
    let broken = true
    const store = new StateStore(newFolder(), {
      ...files, rename: async (from, to) => broken ? Promise.reject(new Error('broken')) : files.rename(from, to),
    })
    await expect(store.save(NQN, LETTERS, ['a'])).rejects.toThrow('broken')
    broken = false
    await store.save(NQN, LETTERS, ['b'])
    expect(store.load(NQN, LETTERS)).toEqual(['b'])
  })
})

describe('a file that cannot be trusted is refused with its line, and left as it is', () => {
  const file = (changes: object): string => JSON.stringify(
    { what: 'letters', version: 1, subsystem: NQN, state: ['a'], ...changes }, null, 2,
  )
  const CASES: [string, string, RegExp][] = [
    ['no JSON', '{\n  "what": letters\n}', /line 2, cannot be used: letters needs double quotes/],
    ['cut off', file({}).slice(0, 40), /cannot be used/],
    ['empty', '', /line 1, cannot be used: the file ends here/],
    ['another subject', file({ what: 'words' }), /line 2, .*what is "words", allowed: "letters"/],
    ['no version', file({ version: undefined }), /line 1, .*version is missing/],
    ['version 0', file({ version: 0 }), /line 3, .*version is 0, allowed: a whole number/],
    ['a newer version', file({ version: 2 }), /line 3, .*version 2 is from a newer weft/],
    ['another subsystem', file({ subsystem: 'x' }), /line 4, .*subsystem is "x", allowed: "nqn\.2026/],
    ['a wrong value', file({ state: ['a', 7] }), /line 7, .*state\[1\] is 7, allowed: /],
    ['no value', file({ state: undefined }), /line 1, .*state is missing/],
  ]
  test.each(CASES)('%s', (_name, text, said) => {
    const store = holding(text)
    expect(() => store.load(NQN, LETTERS)).toThrow(StartError)
    expect(() => store.load(NQN, LETTERS)).toThrow(said)
    expect(() => store.load(NQN, LETTERS)).toThrow(store.path(NQN, LETTERS))
    expect(readFileSync(store.path(NQN, LETTERS), 'utf8')).toBe(text)
  })

  test('an older version is read', () => {
    expect(holding(file({})).load(NQN, { ...LETTERS, version: 2 })).toEqual(['a'])
  })

  test('a folder where the file should be', () => {
    const store = new StateStore(newFolder())
    mkdirSync(store.path(NQN, LETTERS), { recursive: true })
    expect(() => store.load(NQN, LETTERS)).toThrow(/cannot be read \(EISDIR\)/)
  })
})

test.each([
  [{ STATE_DIRECTORY: '/a:/b', XDG_STATE_HOME: '/c' }, true, '/a'],
  [{ STATE_DIRECTORY: '', XDG_STATE_HOME: '/c' }, true, '/var/lib/weft'],
  [{ XDG_STATE_HOME: '/c' }, false, '/c/weft'],
  [{ XDG_STATE_HOME: 'c' }, false, '/home/u/.local/state/weft'],
  [{}, false, '/home/u/.local/state/weft'],
])('the folder by default: %j', (environment, root, folder) => {
  expect(stateFolder(environment, root, '/home/u')).toBe(folder)
})
