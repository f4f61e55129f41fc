/** Configuration files: read, or refused with a reason that names the line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { StartError } from '../../../src/config/start-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'weft-load-'))
afterAll(() => rmSync(folder, { recursive: true }))

function written(text: string): string {
  const path = join(folder, 'weft.json')
  writeFileSync(path, text)
  return path
}

test('paths are relative to the folder of the file', () => {
  const config = loadConfig(written('\ufeff{"subsystems": [{"namespaces": [{"file": "disk.img"}]}]}'))
  expect(config.subsystems[0]!.namespaces[0]!.backing).toMatchObject({
    path: join(folder, 'disk.img'),
  })
})

test('a syntax mistake has its line and column', () => {
  const path = written('{\n  "subsystems": [],\n}\n')
  expect(() => loadConfig(path)).toThrow(ConfigError)
  expect(() => loadConfig(path)).toThrow(
    `${path}: one mistake\n  line 3, column 1: a comma before } is one too many`,
  )
})

test('other mistakes name the file', () => {
  const path = written('{"subsystems": 1}')
  expect(() => loadConfig(path)).toThrow(`${path}: one mistake\n  subsystems: found 1, allowed:`)
})

test('a file that is not there has a remedy', () => {
  const path = join(folder, 'absent.json')
  expect(() => loadConfig(path)).toThrow(StartError)
  expect(() => loadConfig(path)).toThrow(`There is no configuration file ${path}.`)
})

test('a folder cannot be read', () => {
  expect(() => loadConfig(folder)).toThrow(/cannot be read/)
})
