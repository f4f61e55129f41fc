/**
 * A log record as a line for a terminal: the time of day and a sentence. Called by log.ts only.
 *
 *   14:03:07  nqn.2014-08.org.nvmexpress:uuid:… at 192.0.2.7:51234 connected to …
 *
 * Warnings are yellow, errors red and marked with a word, so that nothing depends on colour.
 * Hosts choose parts of these sentences: whatever could move the cursor is shown as \x1b.
 */

export type LogRecord = {
  readonly level: string
  readonly time: string
  readonly event: string
  readonly message: string
}

const RESET = '\x1b[0m'
const DIM = '\x1b[2m'
const GREEN = '\x1b[32m'
const YELLOW = '\x1b[33m'
const RED = '\x1b[31m'

export function textLine(record: LogRecord, colour: boolean): string {
  const time = new Date(record.time).toTimeString().slice(0, 8)
  const sentence = markOf(record.level) + printable(record.message)
  if (!colour) return `${time}  ${sentence}\n`
  const paint = paintOf(record)
  return `${DIM}${time}${RESET}  ${paint}${sentence}${paint === '' ? '' : RESET}\n`
}

/** Control characters, of C1 too, as their code. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function markOf(level: string): string {
  if (level === 'error') return 'Error: '
  return level === 'warn' ? 'Warning: ' : ''
}

function paintOf(record: LogRecord): string {
  if (record.level === 'error') return RED
  if (record.level === 'warn') return YELLOW
  return record.event === 'ready' ? GREEN : ''
}
