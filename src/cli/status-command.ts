/**
 * `weft status` and `weft top` on the command line: what a running weft does, once, or again and again.
 * main.ts → here → rpc/client.ts for the reports, screen.ts for what is shown.
 *
 * Exit status: 0; 1 when no weft answers.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import type { Report } from '../control/report.ts'
import { HostError } from '../host/error.ts'
import { RpcClientError, callMethod } from '../rpc/client.ts'
import { type PlaceOptions, placeOf, withPlace } from './place.ts'
import { screenText } from './screen.ts'

const METHOD = 'weft_get_statistics'
/** How long what is shown is measured for. */
const STATUS_MS = 1000
const COLUMNS_WITHOUT_TERMINAL = 1000
const CLEAR = '\x1b[H\x1b[J'
const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'

type Options = PlaceOptions & { readonly json?: true; readonly interval: number }

export function statusCommand(): Command {
  return withPlace(new Command('status').description('Show what a running weft serves, to whom, and how fast'))
    .option('--json', 'print the counters as JSON, as they are')
    .action(async (options: Options) => {
      const before = await reportOf(options)
      if (options.json) return void process.stdout.write(`${JSON.stringify(before, null, 2)}\n`)
      await pause(STATUS_MS)
      process.stdout.write(screenText(before, await reportOf(options), columns()))
    })
}

export function topCommand(): Command {
  return withPlace(new Command('top').description('Show the same again and again, until Ctrl-C'))
    .option('--interval <seconds>', 'time between two screens', parseInterval, 1)
    .action(async (options: Options) => {
      const enough = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort())
      const isTerminal = process.stdout.isTTY === true
      if (isTerminal) process.stdout.write(HIDE_CURSOR)
      try {
        await follow(options, options.interval * 1000, enough.signal, (screen) => {
          process.stdout.write(isTerminal ? `${CLEAR}${screen}` : `${screen}\n`)
        })
      } finally {
        if (isTerminal) process.stdout.write(SHOW_CURSOR)
      }
    })
}

async function follow(
  place: PlaceOptions, intervalMs: number, enough: AbortSignal, show: (screen: string) => void,
): Promise<void> {
  let before = await reportOf(place)
  while (!enough.aborted) {
    await pause(intervalMs, undefined, { signal: enough }).catch(() => {})
    if (enough.aborted) return
    const after = await reportOf(place)
    show(screenText(before, after, columns()))
    before = after
  }
}

async function reportOf(options: PlaceOptions): Promise<Report> {
  const place = placeOf(options)
  try {
    const outcome = await callMethod(place, METHOD, {})
    if (outcome.error !== undefined) throw new HostError(`${METHOD}: ${outcome.error.message}`)
    return outcome.result as Report
  } catch (error) {
    if (error instanceof RpcClientError) throw new HostError(error.message)
    throw error
  }
}

function columns(): number {
  return process.stdout.columns ?? COLUMNS_WITHOUT_TERMINAL
}

function parseInterval(text: string): number {
  const seconds = Number(text)
  if (!(seconds >= 0.1 && seconds <= 3600)) throw new InvalidArgumentError('From 0.1 to 3600 seconds.')
  return seconds
}
