/**
 * The log: what an operator is told, one line for each event.
 * cli makes it, target and the control plane write to it; no reactor does, they send messages.
 *
 * Each event has a name, facts, and a sentence made here. With format 'json' a line is an object:
 * level, time, event, the facts, message. With 'text' it is the time and the sentence (text.ts).
 *
 * Invariant: a line is written before the method returns, so that none is lost when the process
 * ends.
 */
import { pino } from 'pino'
import { textLine } from './text.ts'
import type { LogRecord } from './text.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = 'text' | 'json'

export type LogOptions = {
  readonly format: LogFormat
  readonly level: LogLevel
  /** Escape sequences for colours; format 'text' only. */
  readonly colour: boolean
  /** Gets each line, with its newline. */
  readonly write: (line: string) => void
}

/** address is "192.0.2.7:51234" or "[2001:db8::7]:51234" wherever it is that of a host. */
type HostFacts = {
  readonly hostNqn: string
  readonly address: string
  readonly subsystem: string
}

export type Log = {
  /** The least that is written. */
  level: LogLevel
  /** The process is up and knows its configuration; nothing is open yet. */
  started(facts: { readonly version: string; readonly pid: number; readonly node: string }): void
  listening(facts: {
    readonly address: string
    readonly port: number
    readonly service?: 'nvm' | 'discovery'
  }): void
  /** Everything listens, hosts may connect. */
  ready(facts?: {
    readonly engine: string
    readonly reactors: number
    /** What a host types, one command for each subsystem. */
    readonly connect?: readonly string[]
  }): void
  hostConnected(facts: HostFacts & {
    readonly controller: number
    readonly queues?: number
    readonly keepAliveMs?: number
    readonly digests?: string
    /** Hash and DH group, where it had to authenticate. */
    readonly authentication?: string
  }): void
  hostDisconnected(facts: HostFacts & {
    readonly controller: number
    readonly reason: string
    readonly queues?: number
  }): void
  /** A host that may not, or cannot, connect. */
  refused(facts: HostFacts & { readonly reason: string }): void
  /** A host that did not show that it knows its key, or does not accept ours. */
  authenticationFailed(facts: HostFacts & {
    readonly controller: number
    readonly queue: number
    readonly reason: string
  }): void
  /** A host that is connected has authenticated again. */
  authenticatedAgain(facts: HostFacts & {
    readonly controller: number
    readonly authentication: string
  }): void
  deviceError(facts: {
    readonly subsystem: string
    readonly namespace: number
    readonly device: string
    readonly reason: string
  }): void
  connectionError(facts: {
    readonly address: string
    readonly reason: string
    readonly hostNqn?: string
    readonly subsystem?: string
    readonly controller?: number
    readonly queue?: number
  }): void
  /** Anything else an operator should know, in a sentence. */
  notice(sentence: string, facts?: Record<string, unknown>): void
  warning(sentence: string, facts?: Record<string, unknown>): void
  failure(sentence: string, facts?: Record<string, unknown>): void
  /** Somebody changed something over the control interface, or wanted to. */
  control(facts: {
    readonly method: string
    readonly client: string
    readonly outcome: string
  }): void
  /** Counters of the reactors, on request. */
  statistics(facts: { readonly reactors: readonly object[] }): void
  stopping(facts: { readonly reason: string }): void
  stopped(): void
}

export function createLog(options: LogOptions): Log {
  const { format, colour, write } = options
  const target = {
    write: format === 'json'
      ? write
      : (line: string) => write(textLine(JSON.parse(line) as LogRecord, colour)),
  }
  const out = pino({
    level: options.level,
    base: null,
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }) },
  }, target)
  return {
    get level() { return out.level as LogLevel },
    set level(level) { out.level = level },
    started: (facts) => out.debug({ event: 'started', ...facts }, `weft ${facts.version} starts.`),
    listening: (facts) => out.info({ event: 'listening', ...facts },
      `${facts.service === 'discovery' ? 'Discovery' : 'Listening'} on ${endpointText(facts)}.`),
    ready: (facts) => out.info({ event: 'ready', ...facts }, 'Ready: hosts may connect.'),
    hostConnected: (facts) => out.info({ event: 'hostConnected', ...facts },
      `${facts.hostNqn} at ${facts.address} connected to ${facts.subsystem} `
      + `as controller ${facts.controller}${queuesText(facts.queues)}`
      + `${facts.authentication ? `, authenticated (${facts.authentication})` : ''}.`),
    hostDisconnected: (facts) => out.info({ event: 'hostDisconnected', ...facts },
      `${facts.hostNqn} at ${facts.address} left ${facts.subsystem} `
      + `(controller ${facts.controller}): ${facts.reason}.`),
    refused: (facts) => out.warn({ event: 'refused', ...facts },
      `Refused ${facts.hostNqn} at ${facts.address} for ${facts.subsystem}: ${facts.reason}.`),
    authenticationFailed: (facts) => out.warn({ event: 'authenticationFailed', ...facts },
      `${facts.hostNqn} at ${facts.address} failed to authenticate to ${facts.subsystem} `
      + `(controller ${facts.controller}, queue ${facts.queue}): ${facts.reason}.`),
    authenticatedAgain: (facts) => out.info({ event: 'authenticatedAgain', ...facts },
      `${facts.hostNqn} at ${facts.address} authenticated again to ${facts.subsystem} `
      + `(controller ${facts.controller}, ${facts.authentication}).`),
    deviceError: (facts) => out.error({ event: 'deviceError', ...facts },
      `${facts.device} (namespace ${facts.namespace} of ${facts.subsystem}) failed: `
      + `${facts.reason}.`),
    connectionError: (facts) => out.warn({ event: 'connectionError', ...facts },
      `Connection from ${facts.address}${facts.hostNqn ? ` (${facts.hostNqn})` : ''} `
      + `ended by an error: ${facts.reason}.`),
    notice: (sentence, facts) => out.info({ event: 'notice', ...facts }, sentence),
    warning: (sentence, facts) => out.warn({ event: 'warning', ...facts }, sentence),
    failure: (sentence, facts) => out.error({ event: 'failure', ...facts }, sentence),
    control: (facts) => out.info({ event: 'control', ...facts },
      `Control: ${facts.method} by ${facts.client}: ${facts.outcome}.`),
    statistics: (facts) => out.info({ event: 'statistics', ...facts },
      `Statistics: ${JSON.stringify(facts.reactors)}.`),
    stopping: (facts) => out.info({ event: 'stopping', ...facts },
      `Stopping (${facts.reason}): hosts are told, acknowledged writes go to the medium.`),
    stopped: () => out.info({ event: 'stopped' }, 'Stopped.'),
  }
}

/** 127.0.0.1:4420, [::1]:4420 */
export function endpointText(endpoint: { address: string; port: number }): string {
  const { address, port } = endpoint
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function queuesText(queues: number | undefined): string {
  if (queues === undefined) return ''
  return ` with ${queues} I/O ${queues === 1 ? 'queue' : 'queues'}`
}
