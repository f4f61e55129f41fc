/**
 * `weft discover ADDRESS`: lists what a discovery service offers this host, as nvme-cli does;
 * follows its referrals; stays and tells what changes.     NVMe Base 2.0, Discovery Log Page.
 * main.ts → here → discovery-log.ts, host/host.ts.
 *
 * Invariant: following ends, whatever the services refer to: each is asked once, SERVICES_MAX in all.
 */
import { isIP } from 'node:net'
import { endpointText } from '../control/log.ts'
import type { HostSecrets } from '../host/authentication.ts'
import { HostError } from '../host/error.ts'
import { Host } from '../host/host.ts'
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import { EVENT } from '../wire/cqe.ts'
import { ASYNC_EVENT_BITS } from '../wire/feature.ts'
import { putBits } from '../wire/layout.ts'
import { REFERRAL, readDiscoveryLog } from './discovery-log.ts'
import type { DiscoveryLog, DiscoveryRecord, Wish } from './discovery-log.ts'

const SERVICES_MAX = 64
const KEEP_ALIVE_MS = 30_000

export type Service = {
  readonly address: string
  readonly port: number
  readonly nqn: string
  /** Left out or null: it asks for none. */
  readonly secrets?: HostSecrets | null
}

/** A service that was asked, and what it said, or why it did not. */
export type Discovery = Service & {
  readonly log: DiscoveryLog | null
  readonly failure: string
}

export type Watch = {
  /** Gets the log first, and then whenever it has changed; before: null the first time. */
  readonly changed: (before: DiscoveryLog | null, log: DiscoveryLog) => void
  /** Resolves when it has been enough. */
  readonly enough: Promise<void>
  readonly keepAliveMs?: number
}

const PLAIN: Wish = { extended: false, portLocal: false }

/** Throws a HostError. */
export async function discover(
  address: string, port: number, wish: Wish = PLAIN, nqn = DISCOVERY_NQN,
  secrets: HostSecrets | null = null,
): Promise<DiscoveryLog> {
  const host = await Host.open({ address, port, nqn, secrets })
  try {
    return await readDiscoveryLog(host, wish)
  } finally {
    await host.close()
  }
}

/** The service, and those that it and they refer to. Throws only when the first one fails. */
export async function follow(first: Service, wish: Wish = PLAIN): Promise<Discovery[]> {
  const found: Discovery[] = []
  const { secrets = null, ...start } = first
  const queue: Service[] = [start]
  const asked = new Set<string>()
  for (let service = queue.shift(); service !== undefined; service = queue.shift()) {
    const { address, port, nqn } = service
    const name = `${address.toLowerCase()} ${port} ${nqn}`
    if (asked.has(name) || found.length === SERVICES_MAX) continue
    asked.add(name)
    try {
      const log = await discover(address, port, wish, nqn, secrets)
      found.push({ ...service, log, failure: '' })
      queue.push(...log.records.flatMap(referralsOf))
    } catch (error) {
      if (!(error instanceof HostError) || found.length === 0) throw error
      found.push({ ...service, log: null, failure: error.message })
    }
  }
  return found
}

/** Stays connected until it has been enough. Throws a HostError. */
export async function watch(service: Service, wish: Wish, parts: Watch): Promise<void> {
  const { changed, enough, keepAliveMs = KEEP_ALIVE_MS } = parts
  const host = await Host.open({ ...service, keepAliveMs })
  let over = false
  void enough.then(() => {
    over = true
    host.interrupt()
  })
  try {
    await host.configureEvents(putBits(ASYNC_EVENT_BITS.discoveryLog, 1))
    let log = await readDiscoveryLog(host, wish)
    changed(null, log)
    while (!over) {
      const event = await host.event(keepAliveMs / 3)
      if (over) break
      if (event === null) await host.keepAlive()
      if (event !== EVENT.DISCOVERY_LOG_CHANGED >>> 0) continue
      const next = await readDiscoveryLog(host, wish)
      changed(log, next)
      log = next
    }
  } finally {
    await host.close()
  }
}

/** As `nvme discover` shows it. */
export function discoveryText({ generation, records }: DiscoveryLog): string {
  const lines = [
    `Discovery Log Number of Records ${records.length}, Generation counter ${generation}`,
  ]
  for (const [index, { attributes = [], ...fields }] of records.entries()) {
    lines.push(`=====Discovery Log Entry ${index}======`)
    for (const [name, value] of Object.entries(fields)) {
      lines.push(`${`${name}:`.padEnd(9)}${value}`)
    }
    for (const attribute of attributes) lines.push(`attr:    ${attribute}`)
  }
  return `${lines.join('\n')}\n`
}

/** Each service with what it said. */
export function followText(found: readonly Discovery[]): string {
  return found.map(({ log, failure, nqn, ...at }) => {
    const heading = `${endpointText(at)} ${nqn}`
    return `${heading}\n${log === null ? `${failure}\n` : discoveryText(log)}`
  }).join('\n')
}

/** One line for each entry that came or went. */
export function changeText(before: DiscoveryLog, after: DiscoveryLog): string {
  const [old, now] = [before.records.map(recordLine), after.records.map(recordLine)]
  const lines = [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ]
  return `Generation counter ${after.generation}\n${lines.map((line) => `${line}\n`).join('')}`
}

function recordLine(record: DiscoveryRecord): string {
  const { subtype, subnqn, traddr, trsvcid, trtype, attributes = [] } = record
  const at = traddr.includes(':') ? `[${traddr}]:${trsvcid}` : `${traddr}:${trsvcid}`
  return [`${subtype} ${subnqn} at ${trtype} ${at}`, ...attributes].join(', ')
}

function referralsOf({ subtype, trtype, traddr, trsvcid, subnqn }: DiscoveryRecord): Service[] {
  const port = Number(trsvcid)
  if (subtype !== REFERRAL || trtype !== 'tcp' || isIP(traddr) === 0) return []
  if (!Number.isInteger(port) || port < 1 || port > 65535) return []
  return [{ address: traddr, port, nqn: subnqn }]
}
