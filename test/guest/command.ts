/**
 * Runs one program of this machine to its end and collects what it said.
 * Called by machine.ts, kernel.ts and initramfs.ts; calls only node:child_process.
 *
 * Invariant: a command has no standard input and a bounded run time: the suite cannot hang on it.
 */
import { spawn } from 'node:child_process'

/** status is the exit status, or 128 when a signal ended the program. */
export type Outcome = { readonly status: number; readonly stdout: string; readonly stderr: string }

export type CommandOptions = {
  readonly directory?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 300_000
const STATUS_SIGNALLED = 128

/** Resolves with the outcome whatever the status; rejects only when the program cannot start. */
export function runCommand(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      cwd: options.directory,
      env: { ...process.env, LC_ALL: 'C', ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    child.on('error', reject)
    child.on('close', (status) => {
      resolve({ status: status ?? STATUS_SIGNALLED, stdout, stderr })
    })
  })
}

/** Like runCommand, but a status other than 0 is an error with the command and its last words. */
export async function requireCommand(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const outcome = await runCommand(program, parameters, options)
  if (outcome.status === 0) return outcome.stdout
  const words = (outcome.stderr || outcome.stdout).trim().split('\n').slice(-3).join(' / ')
  throw new Error(`${program} ${parameters.slice(0, 4).join(' ')} … ended with ` +
    `status ${outcome.status}: ${words}`)
}
