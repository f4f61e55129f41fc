/**
 * Where and of what a measurement was taken: processor, kernel, Node, commit.   bench.ts → machine.
 * Every figure is printed with it, because ratios travel between machines and absolutes do not.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

export type Machine = {
  readonly processor: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
  /** Files of the working tree differ from the commit. */
  readonly changed: boolean
  readonly date: string
  readonly virtual: boolean
}

export function describeMachine(folder: string): Machine {
  const git = (...words: string[]): string => {
    try {
      return execFileSync('git', words, { cwd: folder, encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    } catch {
      return ''
    }
  }
  const processors = cpus()
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: git('rev-parse', '--short=10', 'HEAD') || 'unknown',
    changed: git('status', '--porcelain', '--untracked-files=no') !== '',
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    virtual: isVirtual(),
  }
}

/** Numbers of the processors, in order. */
export function availableCpus(): number[] {
  return cpus().map((_, index) => index)
}

export function machineLine(machine: Machine): string {
  const { processor, cores, memoryGib, kernel, node, commit, changed, date, virtual } = machine
  return `${processor}, ${cores} cores${virtual ? ' (virtual)' : ''}, ${memoryGib} GiB; `
    + `Linux ${kernel}; Node ${node}; commit ${commit}${changed ? ' + changes' : ''}; ${date} UTC`
}

function isVirtual(): boolean {
  try {
    return / hypervisor /.test(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return false
  }
}
