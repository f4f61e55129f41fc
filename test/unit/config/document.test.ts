/** document: edits that are kept, also when weft is killed while it keeps one. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import * as files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { Document, type Draft } from '../../../src/config/document.ts'
import { baseFromFlags } from '../../../src/config/flags.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { StartError } from '../../../src/config/start-error.ts'
import { StateError, StateStore, type Disk } from '../../../src/config/state-store.ts'

const A = 'nqn.2026-01.com.example:a'
const B = 'nqn.2026-01.com.example:b'

let folder = ''
let file = ''
let served: Config[] = []
let warnings: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-document-'))
  file = join(folder, 'weft.json')
  served = []
  warnings = []
  write({ subsystems: [{ nqn: A, namespaces: [{ memory: '1M' }] }] })
})

afterEach(() => rmSync(folder, { recursive: true }))

function write(written: object): void {
  writeFileSync(file, JSON.stringify({ state: 'state', ...written }))
}

function open(disk?: Disk): Document {
  return new Document({
    read: () => baseFromFlags([{ name: '--config', value: file }]),
    warn: (sentence) => { warnings.push(sentence) },
    ...(disk === undefined ? {} : { store: (path) => new StateStore(path, disk) }),
  })
}

const serving = {
  update: (config: Config) => {
    served.push(config)
    return Promise.resolve([] as string[])
  },
}

const addB = (draft: Draft): void => { (draft.subsystems as Draft[]).push({ nqn: B, hosts: [] }) }
const nqns = (config: Config): string[] => config.subsystems.map(({ nqn }) => nqn)

describe('an edit', () => {
  test('is served, and there again at the next start; the file is as it was', async () => {
    const before = readFileSync(file, 'utf8')
    const document = open()
    expect(await document.edit(serving, (draft) => { addB(draft); return 'done' })).toBe('done')
    expect([served.map(nqns), nqns(document.config)]).toEqual([[[A, B]], [A, B]])
    expect(nqns(open().config)).toEqual([A, B])
    expect([readFileSync(file, 'utf8'), warnings]).toEqual([before, []])
  })

  test('that changes nothing is neither served nor kept', async () => {
    await open().edit(serving, () => {})
    expect([served, readdirSync(folder)]).toEqual([[], ['weft.json']])
  })

  test('that is a mistake, or cannot be served, or throws, has changed nothing', async () => {
    const document = open()
    await expect(document.edit(serving, (draft) => { addB(draft); addB(draft) })).rejects.toThrow(ConfigError)
    const refusing = { update: () => Promise.reject(new StartError('No room.')) }
    await expect(document.edit(refusing, addB)).rejects.toThrow('No room.')
    await expect(document.edit(serving, () => { throw new Error('no') })).rejects.toThrow('no')
    expect([served, nqns(document.config), nqns(open().config)]).toEqual([[], [A], [A]])
    expect(readdirSync(join(folder, 'state'))).toEqual([])
    await document.edit(serving, addB)
    expect(nqns(open().config)).toEqual([A, B])
  })

  test('edits that come at once are made one after another', async () => {
    const document = open()
    const names = Array.from({ length: 20 }, (_, index) => `${B}${index}`)
    await Promise.all(names.map((nqn) => document.edit(serving, (draft) => {
      (draft.subsystems as Draft[]).push({ nqn })
    })))
    expect(nqns(open().config)).toEqual([A, ...names])
    expect(served).toHaveLength(20)
  })
})

/** A disk that stops at a step: everything after it never happens, as when the process is killed. */
function disk(stopAt: number, act: 'stop' | 'fail'): { disk: Disk; steps: () => number; stopped: Promise<void> } {
  let steps = 0
  let tell = (): void => {}
  const stopped = new Promise<void>((resolve) => { tell = resolve })
  const step = <Result>(does: () => Promise<Result>): Promise<Result> => {
    if (steps++ !== stopAt) return does()
    tell()
    if (act === 'stop') return new Promise(() => {})
    return Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
  }
  const wrapped = {
    mkdir: (...args: Parameters<typeof files.mkdir>) => step(() => files.mkdir(...args)),
    rename: (...args: Parameters<typeof files.rename>) => step(() => files.rename(...args)),
    unlink: (...args: Parameters<typeof files.unlink>) => act === 'stop' ? new Promise(() => {}) : files.unlink(...args),
    open: (...args: Parameters<typeof files.open>) => step(async () => {
      const handle = await files.open(...args)
      return {
        writeFile: (text: string) => step(() => handle.writeFile(text)),
        sync: () => step(() => handle.sync()), close: () => handle.close(),
      }
    }),
  } as unknown as Disk
  return { disk: wrapped, steps: () => steps, stopped }
}

describe('keeping it', () => {
  test('killed at every step of it: the one before or the new one is there, whole', async () => {
    await open().edit(serving, (draft) => { draft.announce = false })
    const counting = disk(-1, 'stop')
    await open(counting.disk).edit(serving, (draft) => { draft.subsystems[0].serial = 'COUNT' })
    const found: string[] = []
    for (let at = 0; at < counting.steps(); at++) {
      const { serial } = open().config.subsystems[0]!
      const { disk: stopping, stopped } = disk(at, 'stop')
      const edited = open(stopping).edit(serving, (draft) => { draft.subsystems[0].serial = `KILL${at}` })
      let answered = false
      void edited.then(() => { answered = true }, () => { answered = true })
      await stopped
      await new Promise((resolve) => { setImmediate(resolve) })
      expect(answered).toBe(false)
      const now = open().config.subsystems[0]!.serial
      expect([serial, `KILL${at}`]).toContain(now)
      found.push(now === serial ? 'old' : 'new')
    }
    expect(found).toContain('old')
    expect(found.at(-1)).toBe('new')
    expect(found.toSorted()).toEqual([...found].reverse().toSorted())
  })

  test('a disk that fails before the change is in its place: refused, nothing served', async () => {
    const { disk: failing } = disk(2, 'fail')
    await expect(open(failing).edit(serving, addB)).rejects.toThrow(StateError)
    expect([served, nqns(open().config)]).toEqual([[], [A]])
  })

  test('a disk that fails at the last step: served, and said that it may be forgotten', async () => {
    await open().edit(serving, addB)
    const counting = disk(-1, 'fail')
    await open(counting.disk).edit(serving, (draft) => { draft.announce = false })
    const { disk: failing } = disk(counting.steps() - 1, 'fail')
    const document = open(failing)
    await expect(document.edit(serving, (draft) => { draft.subsystems.pop() }))
      .rejects.toThrow('It is served, but may be forgotten at the next start')
    expect(nqns(document.config)).toEqual([A])
  })
})

describe('what is kept', () => {
  const kept = (): string => join(folder, 'state', readdirSync(join(folder, 'state'))[0]!)

  test('is merged with a file that was edited since; a conflict is the file\'s, and warned of', async () => {
    await open().edit(serving, (draft) => { addB(draft); draft.subsystems[0].serial = 'CONTROL' })
    write({ subsystems: [{ nqn: A, serial: 'FILE', namespaces: [{ memory: '1M' }] }], announce: true })
    const { config } = open()
    expect([nqns(config), config.subsystems[0]!.serial, config.discoveryService.announce]).toEqual([[A, B], 'FILE', true])
    expect(warnings).toEqual([`subsystems.${A}.serial in ${file} is not what it was, and was changed over the `
      + 'control interface as well; what is written there counts.'])
  })

  test('survives a reload of an edited file, which is kept with it', async () => {
    const document = open()
    await document.edit(serving, addB)
    write({ subsystems: [{ nqn: A, model: 'edited', namespaces: [{ memory: '1M' }] }] })
    await document.reload(serving)
    expect([nqns(served.at(-1)!), served.at(-1)!.subsystems[0]!.model]).toEqual([[A, B], 'edited'])
    await document.edit(serving, (draft) => { draft.subsystems[0].model = 'again' })
    expect([nqns(open().config), open().config.subsystems[0]!.model, warnings]).toEqual([[A, B], 'again', []])
  })

  test('a reload without changes keeps nothing', async () => {
    const document = open()
    write({ subsystems: [{ nqn: B }] })
    await document.reload(serving)
    expect([nqns(document.config), readdirSync(folder)]).toEqual([[B], ['weft.json']])
  })

  test('broken, or newer, is refused with line and reason, and left as it is', async () => {
    await open().edit(serving, addB)
    const text = readFileSync(kept(), 'utf8')
    for (const [broken, sentence] of [
      [text.slice(0, -20), 'cannot be used'],
      [text.replace('"version": 1', '"version": 2'), 'line 3, cannot be used: version 2 is from a newer weft'],
      [text.replaceAll(B, 'nonsense'), 'state.configuration.subsystems[1].nqn is "nonsense", allowed: a name'],
    ] as const) {
      writeFileSync(kept(), broken)
      expect(() => open()).toThrow(sentence)
      expect(readFileSync(kept(), 'utf8')).toBe(broken)
    }
  })

  test('is of one configuration file: another one has its own', async () => {
    await open().edit(serving, addB)
    file = join(folder, 'other.json')
    write({ subsystems: [{ nqn: A }] })
    expect(nqns(open().config)).toEqual([A])
  })
})
