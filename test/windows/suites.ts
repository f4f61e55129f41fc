/**
 * Runs vitest for the Windows suite, under Wine or on this system, and counts what it found.
 * run.ts → here → vitest.
 *
 * Invariant: a run that does not end, or ends without a report, is a failure.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../guest/command.ts'
import type { WineNode } from './process.ts'
import { WineProcess } from './process.ts'

export type Outcome = {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** A sentence for each that failed. */
  readonly reasons: readonly string[]
}

type Report = {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages: readonly string[] | null
    }[]
  }[]
}

const ROOT = join(import.meta.dirname, '..', '..')
const VITEST = 'node_modules/vitest/vitest.mjs'
/** A bound, not a measure: each takes two or three minutes where nothing else runs. */
const RUN_MS = 15 * 60_000
const REASON_LENGTH_MAX = 500

/** What says something about Windows: the shim, and what stands on it. */
export const UNITS = [
  'shim/accept', 'shim/contract', 'shim/digest', 'shim/op.test', 'shim/resize', 'shim/socket', 'shim/thread',
  'device', 'tcp', 'queue', 'reactor', 'namespace', 'wire',
].map((name) => `test/unit/${name}`)
/** What needs no signal, no device of Linux and no second daemon; most of the rest is the same on every system. */
export const CONFORMANCE = [
  'capsule', 'commands', 'connect', 'data-transfer', 'digests', 'disconnect', 'discovery', 'events-abort', 'features',
  'fused', 'identify', 'initialize', 'io', 'io-random', 'keep-alive', 'log-page', 'pdu-header',
  'properties', 'reservations', 'responses', 'retention', 'static-controllers', 'write-protection',
].map((name) => `test/conformance/${name}.test.ts`)

function words(report: string, wanted: readonly string[]): string[] {
  return ['run', '--config', 'test/vitest.config.ts', '--root', '.', '--maxWorkers', '1',
    '--reporter=json', `--outputFile=${report}`, ...wanted]
}

/** These test files, by Node for Windows. */
export function runUnderWine(node: WineNode, wanted: readonly string[]): Promise<Outcome> {
  return withFolder(async (folder) => {
    const report = join(folder, 'report.json')
    const all = [VITEST, ...words(report, wanted)]
    const run = new WineProcess(node, all, join(folder, 'output'))
    let said = ''
    run.stdout.on('data', (text) => { said += text })
    run.stderr.on('data', (text) => { said += text })
    const late = setTimeout(() => run.kill('SIGKILL'), RUN_MS)
    await new Promise((resolve) => run.on('close', resolve))
    clearTimeout(late)
    return outcomeOf(report, said)
  })
}

/** These test files, by this Node, whose daemons run under Wine. */
export function runHere(node: WineNode, wanted: readonly string[]): Promise<Outcome> {
  return withFolder(async (folder) => {
    const report = join(folder, 'report.json')
    const { stdout, stderr } = await runCommand(
      process.execPath, [VITEST, ...words(report, wanted)],
      { directory: ROOT, environment: { WEFT_WINE: JSON.stringify(node) }, timeoutMs: RUN_MS },
    )
    return outcomeOf(report, stdout + stderr)
  })
}

async function withFolder<Value>(use: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-windows-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function outcomeOf(path: string, said: string): Outcome {
  if (!existsSync(path)) {
    return { passed: 0, failed: 1, skipped: 0, reasons: [`no report: ${said.trim().slice(-REASON_LENGTH_MAX)}`] }
  }
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as Report
  const reasons: string[] = []
  let [passed, skipped] = [0, 0]
  for (const file of testResults) {
    const place = file.name.slice(file.name.lastIndexOf('test'))
    const before = reasons.length
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'passed') passed += 1
      else if (status !== 'failed') skipped += 1
      else reasons.push(`${place}: ${fullName}: ${(failureMessages?.[0] ?? '').slice(0, REASON_LENGTH_MAX)}`)
    }
    if (file.status === 'failed' && reasons.length === before) {
      reasons.push(`${place}: ${(file.message ?? '').slice(0, REASON_LENGTH_MAX)}`)
    }
  }
  return { passed, failed: reasons.length, skipped, reasons }
}
