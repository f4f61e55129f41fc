/**
 * The Windows suite, on Linux: weft built by mingw-w64 and run by Node for Windows under Wine.
 * npm run test:windows → run → wine, suites.
 *
 *   1 the shim compiles for Windows without a warning
 *   2 unit tests, under Wine
 *   3 a host on Linux checks every byte, ends the process, asks it to stop: served.test.ts
 *   4 the conformance suite on Linux, against daemons under Wine
 *
 *   node test/windows/run.ts [--only REGEXP]      of the names of these four
 *
 * Everything runs one after the other, since Wine starves what shares a prefix with it. Closes with
 * 'N passed, N failed', which counts tests.
 * Invariant: what was started in the prefix is ended before this program ends.
 */
import { parseArgs } from 'node:util'
import { requireCommand } from '../guest/command.ts'
import { CONFORMANCE, runHere, runUnderWine, UNITS, type Outcome } from './suites.ts'
import { buildShim, endWine, keepWine, prepareWine } from './wine.ts'
import type { WineNode } from './process.ts'

type Step = { readonly name: string; readonly run: (node: WineNode) => Promise<Outcome> }

const ONE: Outcome = { passed: 1, failed: 0, skipped: 0, reasons: [] }

const STEPS: readonly Step[] = [
  { name: 'the shim is compiled for Windows', run: async () => ONE },
  { name: 'unit tests under Wine', run: (node) => runUnderWine(node, UNITS) },
  { name: 'a host on Linux, a target under Wine', run: (node) => runHere(node, ['test/windows']) },
  { name: 'conformance of a target under Wine', run: (node) => runHere(node, CONFORMANCE) },
]

const say = (sentence: string): void => void process.stdout.write(`${sentence}\n`)

async function attempt({ name, run }: Step, node: WineNode): Promise<Outcome> {
  const began = Date.now()
  let outcome: Outcome
  try {
    outcome = await run(node)
  } catch (error) {
    outcome = { passed: 0, failed: 1, skipped: 0, reasons: [(error as Error).message] }
  }
  const { passed, failed, skipped, reasons } = outcome
  const seconds = Math.round((Date.now() - began) / 1000)
  for (const reason of reasons) say(`not ok ${name}: ${reason}`)
  if (failed === 0) say(`ok ${name}: ${passed} passed, ${skipped} skipped, ${seconds} s`)
  return outcome
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })
  const wanted = new RegExp(values.only)
  const node = await prepareWine(say)
  await buildShim()
  say(`${await requireCommand('wine', ['--version'])}`.trim())
  keepWine(node)
  let [passed, failed] = [0, 0]
  try {
    for (const step of STEPS.filter(({ name }) => wanted.test(name))) {
      const outcome = await attempt(step, node)
      passed += outcome.passed
      failed += outcome.failed
    }
  } finally {
    await endWine()
  }
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  say(`not ok the suite: ${(error as Error).message}`)
  say('0 passed, 1 failed')
  process.exitCode = 1
}
