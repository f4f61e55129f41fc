/**
 * What of the multicast-dns package is used: it comes without types. announcement.ts imports them.
 */
declare module 'multicast-dns' {
  export type DnsQuestion = { readonly name: string; readonly type: string }

  export type DnsRecord = {
    readonly name: string
    readonly type: string
    readonly ttl?: number
    /** The cache flush bit: what was known under this name and type is not true any more. */
    readonly flush?: boolean
    readonly data: unknown
  }

  export type DnsMessage = {
    readonly id?: number
    readonly questions?: readonly DnsQuestion[]
    readonly answers?: readonly DnsRecord[]
    readonly additionals?: readonly DnsRecord[]
  }

  export type DnsSender = { readonly address: string; readonly port: number }

  export type Multicast = {
    on(event: 'query' | 'response', listener: (message: DnsMessage, from: DnsSender) => void): void
    on(event: 'error' | 'warning', listener: (error: Error) => void): void
    query(questions: readonly DnsQuestion[], sent?: (error?: Error | null) => void): void
    respond(message: DnsMessage, sent?: (error?: Error | null) => void): void
    respond(message: DnsMessage, to: DnsSender, sent?: (error?: Error | null) => void): void
    destroy(closed?: () => void): void
  }

  export type MulticastOptions = {
    readonly type?: 'udp4' | 'udp6'
    readonly interface?: string
    readonly bind?: string
    readonly ip?: string
    readonly port?: number
    readonly reuseAddr?: boolean
    readonly loopback?: boolean
  }

  export default function multicastDns(options?: MulticastOptions): Multicast
}
