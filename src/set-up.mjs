/**
 * Sets up what weft needs and a fresh machine lacks. launch.mjs → here → npm, make, cc.
 *
 *   node_modules   as package-lock.json says                         npm ci
 *   a Node         the one that runs if new enough, else .weft/node  npm package `node`
 *   shim.so        native/ compiled to .weft/build                   make
 *
 * When nothing is missing it compares two digests and starts no process. Every failure is a
 * SetUpError: one sentence with its remedy. Everything it says goes to stderr.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync, constants, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, realpathSync,
  renameSync, rmSync, writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withLock } from './set-up-lock.mjs'

const NODE_VERSION = '24.21.0'
/** From these on Node strips types by itself: 22.18, 23.6, and every later line. */
const MINOR_WITH_TYPES = { 22: 18, 23: 6 }
const OUTPUT_LINES_SHOWN = 15
const UNREACHABLE =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH/

/** The folder of the package, also when `weft` is a link to it. */
export const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))))
/** Installed from an archive: Node strips no types below a folder of this name. */
export const packed = root.split(sep).includes('node_modules')

/** What went wrong and what to do about it, for the person who typed the command. */
export class SetUpError extends Error {}

let running = null

/**
 * Does what is missing. Returns the Node to run, the folder for its compiled code, and the shim
 * where it is not in its usual place: a package that the caller may not write to leaves the
 * caller's own cache.
 */
export async function setUp() {
  const own = join(root, '.weft')
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft')
  let state = own
  if (missing(own).length > 0) {
    if (!canWrite(existsSync(own) ? own : root)) {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
      state = join(cache, version)
    }
    if (missing(state).length > 0) await doMissing(state)
  }
  return {
    node: nodeOf(state),
    shim: state === own ? null : shimOf(state),
    cache: join(state, 'compiled'),
  }
}

async function doMissing(state) {
  try {
    mkdirSync(state, { recursive: true })
    await withLock(state, say, stopRunning, async () => {
      // Another start may have done it all while this one waited, so look again.
      for (const step of missing(state)) await step(state)
    })
  } catch (error) {
    if (/^(EACCES|EPERM|EROFS|ENOSPC)$/.test(error.code)) throw notPermitted(state, error)
    throw error
  }
}

/** The steps that are still to be done, in order. */
function missing(state) {
  const steps = []
  if (!dependenciesPresent(state)) steps.push(installDependencies)
  if (nodeOf(state) === null) steps.push(installNode)
  if (!shimPresent(state)) steps.push(compileShim)
  return steps
}

// ---- dependencies -----------------------------------------------------------------------------

/** A package that npm installed from a registry has no lock file: npm has seen to it already. */
function dependenciesPresent(state) {
  const lock = readText(join(root, 'package-lock.json'))
  if (lock === null) return true
  const installed = readText(join(root, 'node_modules', '.package-lock.json'))
  if (installed === null) return false
  const digest = digestOf(lock + installed)
  if (readText(join(state, 'installed')) === digest) return true
  if (!sameVersions(JSON.parse(lock).packages, JSON.parse(installed).packages)) return false
  if (canWrite(state)) writeFileSync(join(state, 'installed'), digest)
  return true
}

/** Optional packages are for other systems where they are absent. */
function sameVersions(wanted, found) {
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '' || (optional && found[path] === undefined)) continue
    if (found[path]?.version !== version) return false
  }
  return Object.keys(found).every((path) => wanted[path] !== undefined)
}

async function installDependencies(state) {
  if (!canWrite(root)) throw notPermitted(root)
  say('Installing dependencies (once) …')
  await npm('Installing the dependencies', ['ci', '--include=dev', '--prefix', root])
  if (!dependenciesPresent(state)) {
    throw new SetUpError('npm ci ended well, but node_modules is not what package-lock.json says. '
      + 'Remove node_modules and start again.')
  }
}

// ---- Node -------------------------------------------------------------------------------------

function nodeOf(state) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 23 || minor >= (MINOR_WITH_TYPES[major] ?? Infinity)) return process.execPath
  const node = join(state, 'node', NODE_VERSION, 'bin', 'node')
  return existsSync(node) ? node : null
}

/**
 * The npm package `node` fetches the right one of its platform packages in an install script, which
 * newer npm versions do not run unasked. A platform package needs no script.
 */
async function installNode(state) {
  say(`Installing Node ${NODE_VERSION} for weft alone (once): this one is ${process.version} …`)
  const prefix = join(state, `node-${process.pid}`)
  rmSync(prefix, { recursive: true, force: true })
  mkdirSync(prefix, { recursive: true })
  const options = ['--prefix', prefix, '--no-save', '--no-package-lock', '--ignore-scripts=false']
  const what = `Installing Node ${NODE_VERSION}`
  const platform = `node-${process.platform}-${process.arch}`
  await npm(what, ['install', ...options, `node@${NODE_VERSION}`])
  let found = await firstThatRuns(prefix, platform)
  if (found === null) {
    await npm(what, ['install', ...options, `${platform}@${NODE_VERSION}`])
    found = await firstThatRuns(prefix, platform)
  }
  if (found === null) {
    throw new SetUpError(`The Node ${NODE_VERSION} that npm installed does not run here. Install `
      + 'Node 22.18 or newer yourself (https://nodejs.org) and start again.')
  }
  const home = join(state, 'node', NODE_VERSION)
  mkdirSync(join(home, 'bin'), { recursive: true })
  // A link keeps the bytes when the rest of what npm brought goes.
  linkSync(found, join(home, 'bin', `node-${process.pid}`))
  renameSync(join(home, 'bin', `node-${process.pid}`), join(home, 'bin', 'node'))
  rmSync(prefix, { recursive: true, force: true })
}

async function firstThatRuns(prefix, platform) {
  const modules = join(prefix, 'node_modules')
  const places = ['node', platform, join('node', 'node_modules', platform)]
  for (const place of places) {
    const node = join(modules, place, 'bin', 'node')
    if (!existsSync(node)) continue
    const { status, output } = await execute(node, ['--version'])
    if (status === 0 && output.trim() === `v${NODE_VERSION}`) return node
  }
  return null
}

// ---- the native part --------------------------------------------------------------------------

function shimOf(state) {
  return join(state, 'build', process.platform === 'win32' ? 'shim.dll' : 'shim.so')
}

/** On Windows it comes from elsewhere, and nobody can tell from what it was made. */
function shimPresent(state) {
  if (!existsSync(shimOf(state))) return false
  return process.platform === 'win32' || readText(join(state, 'build', 'compiled')) === sourcesDigest()
}

function sourcesDigest() {
  const folder = join(root, 'native')
  const names = readdirSync(folder).filter((name) => /\.[ch]$|^Makefile$/.test(name)).sort()
  return digestOf(names.map((name) => name + readFileSync(join(folder, name))).join('\0'))
}

async function compileShim(state) {
  if (process.platform === 'win32') {
    throw new SetUpError(`The native part is missing at ${shimOf(state)}. weft does not compile it on Windows yet: `
      + 'make -C native CC=x86_64-w64-mingw32-gcc on Linux makes shim.dll (docs/WINDOWS.md), put it there.')
  }
  const digest = sourcesDigest()
  say('Compiling the native part (once) …')
  const folder = join(root, 'native')
  const build = join(state, 'build')
  mkdirSync(build, { recursive: true })
  const words = ['--no-print-directory', '-s', '-C', folder, `BUILD=${build}`]
  const compiler = process.env.CC ?? 'cc'
  const found = await execute(compiler.split(' ')[0], ['--version'])
  if (found.absent) throw new SetUpError(noCompiler('No C compiler'))
  const { status, output, absent } = await execute('make', words)
  if (absent) throw new SetUpError(noCompiler('No make'))
  if (/fatal error: linux\/\S+: No such file/.test(output)) {
    throw new SetUpError('The headers of the Linux kernel are missing: install linux-libc-dev '
      + '(Debian, Ubuntu), kernel-headers (Fedora) or linux-headers (Alpine), and start again.')
  }
  if (status !== 0) throw failed('Compiling the native part', output)
  writeFileSync(join(build, 'compiled'), digest)
}

function noCompiler(what) {
  return `${what} found: weft compiles a small native part once. Install one: `
    + 'apt-get install gcc make (Debian, Ubuntu), dnf install gcc make (Fedora), and start again.'
}

// ---- running other programs -------------------------------------------------------------------

/** Runs npm with its output kept back; throws a SetUpError that says why it failed. */
async function npm(what, words) {
  const env = { ...process.env, npm_config_update_notifier: 'false' }
  // What `npm --global`, `npm --prefix` and the like set for their own run is not meant for this.
  const meant = /^npm_config_(global|location|prefix|local_prefix|omit|workspaces?|dry_run|json)$/i
  for (const name of Object.keys(env)) {
    if (meant.test(name) || /^npm_(package|lifecycle)_/.test(name)) delete env[name]
  }
  const script = process.env.npm_execpath
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', ...words]
  const own = script !== undefined && basename(script) === 'npm-cli.js' && existsSync(script)
  const { status, output, absent } = own
    ? await execute(process.execPath, [script, ...quiet], env)
    : await execute('npm', quiet, env)
  if (absent) {
    throw new SetUpError('npm was not found, and weft needs it once to install its dependencies. '
      + 'Install it (apt-get install npm, dnf install npm) and start again.')
  }
  if (status === 0) return
  if (UNREACHABLE.test(output)) {
    throw new SetUpError(`${what} failed: the npm registry cannot be reached. Check the network, `
      + 'or name your proxy with npm config set https-proxy URL, and start again.')
  }
  if (/EACCES|EPERM|EROFS/.test(output)) throw notPermitted(root)
  if (/ENOSPC/.test(output)) {
    throw new SetUpError(`${what} failed: the disk is full. weft needs about 500 MB in ${root}.`)
  }
  throw failed(what, output)
}

/** A signal during the set-up ends the program that does it, too. */
function stopRunning(signal) {
  running?.kill(signal)
}

function execute(program, words, env = process.env) {
  return new Promise((done) => {
    const child = spawn(program, words, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    running = child
    let output = ''
    child.stdout.on('data', (text) => { output += text })
    child.stderr.on('data', (text) => { output += text })
    child.on('error', (error) => done({
      status: -1, output: String(error), absent: error.code === 'ENOENT',
    }))
    child.on('close', (status) => {
      running = null
      done({ status, output, absent: false })
    })
  })
}

// ---- small things -----------------------------------------------------------------------------

export function say(sentence) {
  process.stderr.write(`${sentence}\n`)
}

function failed(what, output) {
  const lines = output.trimEnd().split('\n')
  return new SetUpError(`${what} failed:\n${lines.slice(-OUTPUT_LINES_SHOWN).join('\n')}`)
}

function notPermitted(folder, error) {
  if (error?.code === 'ENOSPC') return new SetUpError(`The disk that holds ${folder} is full.`)
  return new SetUpError(`${folder} is not writable for you, and weft keeps what it sets up there. `
    + 'Start it once as the owner of that folder (sudo weft --version), or change the owner.')
}

function canWrite(folder) {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function digestOf(text) {
  return createHash('sha256').update(text).digest('hex')
}
