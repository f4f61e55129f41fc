/**
 * A report: what the target is doing, as plain data. Made by the observer from what the reactors have written to
 * shared memory; metrics.ts makes text of it for Prometheus, the command line for people.
 *
 * Counts are those since the target started, or since a namespace or a host has come; they only grow.
 */
import type { CommandClass } from '../controller/tally.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'

export type ClassReport = {
  readonly count: number
  readonly sumUs: number
  /** By bucket of reactor/histogram.ts. */
  readonly buckets: readonly number[]
}

export type NamespaceReport = {
  readonly nsid: number
  readonly kind: string
  /** '' where it has none. */
  readonly path: string
  readonly bytes: number
  readonly readBytes: number
  readonly writtenBytes: number
  readonly commands: Readonly<Record<CommandClass, ClassReport>>
  /** By name of the status (wire/status.ts), those that there were. */
  readonly errors: Readonly<Record<string, number>>
}

export type SubsystemReport = { readonly nqn: string; readonly namespaces: readonly NamespaceReport[] }

/** A controller: one host's association with one subsystem. */
export type HostReport = {
  readonly hostNqn: string
  readonly address: string
  readonly subsystem: string
  readonly controller: number
  /** I/O queues. */
  readonly queues: number
  readonly commands: number
  readonly bytes: number
  /** Commands that are not answered yet. */
  readonly outstanding: number
}

export type ReactorReport = {
  readonly reactor: number
  /** Time since it was opened, and what of it was not spent waiting. */
  readonly openUs: number
  readonly busyUs: number
  readonly turns: number
  readonly syscalls: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly commands: number
  readonly collections: number
  readonly connections: number
  readonly slots: number
  readonly slotsUsed: number
  readonly bufferBytes: number
  readonly bufferBytesUsed: number
}

export type Report = {
  readonly version: string
  readonly atMs: number
  readonly startedMs: number
  readonly residentBytes: number
  readonly cpuUs: number
  readonly listeners: readonly (Endpoint & { readonly service: 'nvm' | 'discovery' })[]
  readonly subsystems: readonly SubsystemReport[]
  readonly hosts: readonly HostReport[]
  readonly reactors: readonly ReactorReport[]
}
