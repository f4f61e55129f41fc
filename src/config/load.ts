/**
 * Reads a configuration file: JSON, as schema.ts says. cli → here → read.ts.
 * Paths in the file are relative to the folder of the file.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Config } from './config.ts'
import { syntaxMistake } from './json-syntax.ts'
import { ConfigError } from './mistake.ts'
import { readConfig, surroundings } from './read.ts'
import { StartError } from './start-error.ts'

/** The plain value in the file. Throws a StartError (unreadable) or a ConfigError (not JSON). */
export function loadJson(path: string): unknown {
  const text = readText(path)
  const found = syntaxMistake(text)
  if (found !== null) {
    const { line, column, sentence } = found
    throw new ConfigError(path, [{ path: [], sentence }], () => `line ${line}, column ${column}`)
  }
  return JSON.parse(text)
}

/** Throws a StartError, or a ConfigError that names every mistake. */
export function loadConfig(path: string): Config {
  return readConfig(loadJson(path), path, surroundings(folderOf(path)))
}

export function folderOf(path: string): string {
  return dirname(resolve(path))
}

function readText(path: string): string {
  try {
    // Some editors put a byte order mark first, which is not JSON.
    return readFileSync(path, 'utf8').replace(/^\ufeff/, '')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      throw new StartError(`There is no configuration file ${path}.`,
        'Name one that exists with --config, or say what to serve with flags: weft serve --help.')
    }
    if (code === 'EACCES') {
      throw new StartError(`The configuration file ${path} may not be read by you.`,
        `Give yourself the permission, for example with chmod a+r ${path}.`)
    }
    throw new StartError(`The configuration file ${path} cannot be read: ${message}.`)
  }
}
