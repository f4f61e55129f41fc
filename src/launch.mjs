#!/usr/bin/env node
/**
 * The command `weft`, and what npm start and npm test run: sets up what is missing (set-up.mjs),
 * then becomes src/main.ts, or with --run FILE that file, on a Node that runs TypeScript as it is.
 *
 * Plain JavaScript without dependencies, as is set-up.mjs: it must start on any Node from 18 on.
 * The exit status is that of the program; a signal that ends the one ends the other.
 */
import { spawn } from 'node:child_process'
import { dirname, delimiter, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SetUpError, packed, root, say, setUp } from './set-up.mjs'

try {
  await launch(process.argv.slice(2))
} catch (error) {
  say(error instanceof SetUpError ? error.message : `weft could not start: ${error.stack ?? error}`)
  process.exit(1)
}

async function launch(words) {
  const { node, shim, cache } = await setUp()
  const run = words[0] === '--run'
  if (run && words.length < 2) throw new SetUpError('--run needs the file to run.')
  const file = run ? resolve(root, words[1]) : join(root, 'src', 'main.ts')
  const flags = ['--disable-warning=ExperimentalWarning']
  // Node strips no types in a package that was installed from an archive; this does it instead.
  if (packed) flags.push('--import', pathToFileURL(join(root, 'src', 'strip-types.mjs')).href)
  const env = { ...process.env }
  if (run) env.PATH = dirname(node) + delimiter + (env.PATH ?? '')
  // A start takes 0.4 s of processor time with it, 0.9 s without.
  env.NODE_COMPILE_CACHE ??= cache
  if (shim !== null) env.WEFT_SHIM ??= shim
  become(node, [...flags, file, ...words.slice(run ? 2 : 0)], env)
}

/** Ends as `node` would: in its place where Node can do that, else as its parent. */
function become(node, words, env) {
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.removeAllListeners('warning')
    process.execve(node, [node, ...words], env)
  }
  const child = spawn(node, words, { stdio: 'inherit', env })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    say(`${node} cannot be run: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (status, signal) => {
    if (signal === null) process.exit(status)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // A signal that does not end a process leaves the shell's way of saying it.
    setTimeout(() => process.exit(1), 100)
  })
}
