/**
 * The version of weft: that of package.json, so that it is written once.
 */
import { readFileSync } from 'node:fs'

const PACKAGE = new URL('../../package.json', import.meta.url)

export const VERSION = (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version
