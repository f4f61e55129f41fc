/**
 * A fake NVMe controller: registers, queues and phases in ordinary memory, as a PCIe device has them, with faults
 * on demand. Nothing of src is used: offsets and bytes are written by hand here.   NVMe Base 2.0; PCIe transport 1.0
 *
 *   registers ── step() ──▶ fetch from SQs ─▶ commands.ts ─▶ CQs, with a phase ─▶ interrupt()
 *
 * It notices what a driver must not do, and lists it in `violations`: memory that is not there, PRPs that do not
 * begin a page, a doorbell that names no entry, DMA before it masters the bus.
 */
import { type Command, type FakeMedium, NamespaceMedia, executeAdmin, executeIo } from './commands.ts'
import type { FakeZoned } from './zones.ts'

export type FakeOptions = {
  readonly namespaces: readonly FakeMedium[]
  readonly serial: string
  readonly mqes: number
  /** CAP.TO, in 500 ms. */
  readonly timeout: number
  readonly stride: number
  readonly mdts: number
  readonly sgls: number
  readonly oncs: number
  readonly vwc: number
  /** I/O queues that it grants. */
  readonly queues: number
  readonly cssIocs: boolean
  readonly oaes: number
}

export const FAKE_DEFAULTS: FakeOptions = {
  namespaces: [{ nsid: 1, blockBytes: 512, blockCount: 8192, dlfeat: 9, noiob: 0, metadataBytes: 0, csi: 0 }],
  serial: 'FAKE0001', mqes: 63, timeout: 2, stride: 0, mdts: 5, sgls: 0, oncs: 0x8d, vwc: 7, queues: 4, cssIocs: false,
  oaes: 1 << 8 | 1 << 27,
}

export type Faults = {
  /** CSTS.RDY never becomes 1; never becomes 0 again. */
  neverReady: boolean
  neverIdle: boolean
  fatal: boolean
  gone: boolean
  /** So many completions are never written. */
  lose: number
  /** So many have the phase of the round before. */
  wrongPhase: number
  /** The next completion names a command that nobody sent. */
  stray: boolean
  /** Commands on I/O queues are fetched, and wait until it is false again. */
  slow: boolean
  /** Blocks that cannot be read (281h) or written (280h), of any namespace. */
  bad: Set<number>
  /** By opcode, of I/O commands: a status. */
  refuse: Map<number, number>
  /** Abort commands answer that they aborted nothing. */
  noAbort: boolean
  /** FLR does not work. */
  noReset: boolean
}

/** A queue as the controller sees it. */
type Queue = { iova: number; depth: number; head: number; tail: number; phase: number; cqid: number; vector: number }

const [CAP, VS, CC, CSTS, AQA, ASQ, ACQ, DOORBELLS] = [0x00, 0x08, 0x14, 0x1c, 0x24, 0x28, 0x30, 0x1000]
export const BAR_BYTES = 0x4000

export class FakeNvme {
  readonly options: FakeOptions
  readonly faults: Faults = {
    neverReady: false, neverIdle: false, fatal: false, gone: false, lose: 0, wrongPhase: 0, stray: false, slow: false,
    bad: new Set(), refuse: new Map(), noAbort: false, noReset: false,
  }
  /** Every command that was fetched, in order. */
  readonly seen: Command[] = []
  readonly violations: string[] = []
  readonly media: NamespaceMedia
  /** It may reach memory. */
  master = false
  /** By vector: how often. */
  interrupts = 0
  /** Zones that the next read of their log names. */
  readonly changedZones: number[] = []
  /** The block that the Zone Append under way begins at. */
  appended = 0
  readonly #words: Int32Array
  readonly #reach: (iova: number, bytes: number) => Uint8Array | null
  readonly #fire: (vector: number) => void
  readonly #sqs = new Map<number, Queue>()
  readonly #cqs = new Map<number, Queue>()
  #enabled = false
  #slow: Command[] = []
  #events: Command[] = []
  #told: { readonly dw0: number; readonly nsid: number }[] = []

  /** registers: BAR 0. reach: memory as the device sees it. fire: an interrupt. */
  constructor(
    registers: Int32Array, options: Partial<FakeOptions>,
    reach: (iova: number, bytes: number) => Uint8Array | null, fire: (vector: number) => void = () => {},
  ) {
    this.options = { ...FAKE_DEFAULTS, ...options }
    this.#words = registers
    this.#reach = reach
    this.#fire = fire
    this.media = new NamespaceMedia(this.options.namespaces)
    this.#powerOn()
  }

  /** Looks at the registers, and does what they ask for. True when there was something. */
  step(): boolean {
    if (this.faults.gone) {
      this.#words.fill(-1)
      return false
    }
    if (this.faults.fatal && this.#enabled) this.#put(CSTS, this.#get(CSTS) | 2)
    const cc = this.#get(CC)
    if ((cc & 1) === 1 && !this.#enabled && !this.faults.neverReady) this.#enable()
    if ((cc & 1) === 0 && this.#enabled && !this.faults.neverIdle) this.#disable()
    if ((cc >>> 14 & 3) !== 0) this.#put(CSTS, this.#get(CSTS) & ~0xc | 8)
    if (!this.#enabled || this.faults.fatal) return false
    let busy = false
    for (const [qid, queue] of this.#sqs) busy = this.#fetch(qid, queue) || busy
    if (!this.faults.slow) {
      for (const command of this.#slow.splice(0)) this.#execute(command)
    }
    return busy
  }

  /** The bus resets the function. */
  reset(): boolean {
    if (this.faults.noReset) return false
    this.faults.neverIdle = false
    this.#disable()
    this.#put(CC, 0)
    return true
  }

  /** It is pulled out, and put in again. */
  plug(): void {
    this.faults.gone = false
    this.#powerOn()
  }

  /** An event for an Asynchronous Event Request, now or when there is one. */
  event(type: number, information: number, log: number, nsid = 0): void {
    this.#told.push({ dw0: type | information << 8 | log << 16, nsid })
    this.#tell()
  }

  /** Of the first namespace with zones. */
  get zoned(): FakeZoned | undefined {
    return this.options.namespaces.find(({ zoned }) => zoned !== undefined)?.zoned
  }

  get enabled(): boolean {
    return this.#enabled
  }

  /** Commands that are fetched and not answered, but those that wait for events. */
  get waiting(): number {
    return this.#slow.length
  }

  /** Bytes at the device's end of a command's data, in the order in which its PRPs or SGL name them. */
  runs(command: Command, bytes: number): Uint8Array[] {
    if (command.psdt === 1) return [this.#at(command.prp1, bytes)]
    const first = Math.min(bytes, 4096 - command.prp1 % 4096)
    const runs = [this.#at(command.prp1, first)]
    let rest = bytes - first
    if (rest > 0 && rest <= 4096) runs.push(this.#page(command.prp2, rest))
    else if (rest > 0) {
      const list = this.#at(command.prp2, 8 * Math.ceil(rest / 4096))
      if (command.prp2 % 4096 + list.length > 4096) this.violations.push('a PRP list crosses a page')
      const view = new DataView(list.buffer, list.byteOffset, list.length)
      for (let at = 0; rest > 0; at += 8, rest -= 4096) {
        runs.push(this.#page(Number(view.getBigUint64(at, true)), Math.min(rest, 4096)))
      }
    }
    return runs
  }

  createCq(qid: number, iova: number, depth: number, vector: number): void {
    this.#cqs.set(qid, { iova, depth, head: 0, tail: 0, phase: 1, cqid: qid, vector })
  }

  createSq(qid: number, iova: number, depth: number, cqid: number): boolean {
    if (!this.#cqs.has(cqid)) return false
    this.#sqs.set(qid, { iova, depth, head: 0, tail: 0, phase: 0, cqid, vector: -1 })
    return true
  }

  /** Ends a command that is waiting; false: there is no such. */
  abort(qid: number, cid: number): boolean {
    const at = this.#slow.findIndex((each) => each.qid === qid && each.cid === cid)
    if (at === -1 || this.faults.noAbort) return false
    this.#answer(this.#slow.splice(at, 1)[0]!, 0x07, 0)
    return true
  }

  /** An Asynchronous Event Request came. */
  await(command: Command): void {
    this.#events.push(command)
    this.#tell()
  }

  #powerOn(): void {
    const { mqes, timeout, stride, cssIocs } = this.options
    this.#words.fill(0)
    this.#put(CAP, mqes | 1 << 16 | timeout << 24)
    this.#put(CAP + 4, stride | 1 << 5 | (cssIocs ? 1 << 11 : 0))
    this.#put(VS, 0x0001_0400)
    this.#enabled = false
    this.#disable()
  }

  #enable(): void {
    const aqa = this.#get(AQA)
    this.createCq(0, this.#wide(ACQ), (aqa >>> 16 & 0xfff) + 1, 0)
    this.createSq(0, this.#wide(ASQ), (aqa & 0xfff) + 1, 0)
    this.#enabled = true
    this.#put(CSTS, 1)
  }

  #disable(): void {
    this.#sqs.clear()
    this.#cqs.clear()
    this.#slow = []
    this.#events = []
    this.#enabled = false
    this.#words.fill(0, DOORBELLS >> 2)
    this.#put(CSTS, 0)
  }

  #fetch(qid: number, queue: Queue): boolean {
    const tail = this.#words[this.#doorbell(qid, 0)]!
    if (tail < 0 || tail >= queue.depth) {
      this.violations.push(`tail ${tail} of a queue of ${queue.depth}`)
      return false
    }
    let busy = false
    while (queue.head !== tail && this.#sqs.get(qid) === queue) {
      busy = true
      const entry = this.#at(queue.iova + 64 * queue.head, 64)
      queue.head = (queue.head + 1) % queue.depth
      const command = decode(qid, entry)
      this.seen.push(command)
      if (qid !== 0 && this.faults.slow) this.#slow.push(command)
      else this.#execute(command)
    }
    return busy
  }

  #execute(command: Command): void {
    if (command.qid !== 0) {
      const refused = this.faults.refuse.get(command.opcode)
      const status = refused ?? executeIo(this, command)
      const at = command.opcode === 0x7d ? this.appended : 0
      return this.#answer(command, status, at, Math.floor(at / 2 ** 32))
    }
    const answer = executeAdmin(this, command)
    if (answer !== null) this.#answer(command, answer.status, answer.dw0)
  }

  /** status: SC, SCT << 8, DNR << 14. */
  #answer(command: Command, status: number, dw0: number, dw1 = 0): void {
    if (command.qid !== 0 && this.faults.lose > 0) {
      this.faults.lose--
      return
    }
    const sq = this.#sqs.get(command.qid)
    const cq = sq === undefined ? undefined : this.#cqs.get(sq.cqid)
    if (sq === undefined || cq === undefined) return
    const head = this.#words[this.#doorbell(cq.cqid, 1)]!
    if ((cq.tail + 1) % cq.depth === head) this.violations.push(`completion queue ${cq.cqid} is full`)
    const entry = this.#at(cq.iova + 16 * cq.tail, 16)
    const words = new Int32Array(entry.buffer, entry.byteOffset, 4)
    const stale = command.qid !== 0 && this.faults.wrongPhase > 0
    if (stale) this.faults.wrongPhase--
    const stray = command.qid !== 0 && this.faults.stray
    if (stray) this.faults.stray = false
    words[0] = dw0
    words[1] = dw1
    words[2] = sq.head | command.qid << 16
    Atomics.store(words, 3, (stray ? 0xfff0 : command.cid) | (stale ? cq.phase ^ 1 : cq.phase) << 16 | status << 17)
    if (++cq.tail === cq.depth) {
      cq.tail = 0
      cq.phase ^= 1
    }
    if (cq.vector >= 0) {
      this.interrupts++
      this.#fire(cq.vector)
    }
  }

  #tell(): void {
    while (this.#told.length !== 0 && this.#events.length !== 0) {
      const { dw0, nsid } = this.#told.shift()!
      this.#answer(this.#events.shift()!, 0, dw0, nsid)
    }
  }

  #doorbell(qid: number, completions: 0 | 1): number {
    return (DOORBELLS + (2 * qid + completions) * (4 << this.options.stride)) >> 2
  }

  #page(iova: number, bytes: number): Uint8Array {
    if (iova % 4096 !== 0) this.violations.push(`PRP entry ${iova.toString(16)} does not begin a page`)
    return this.#at(iova, bytes)
  }

  #at(iova: number, bytes: number): Uint8Array {
    const found = this.master ? this.#reach(iova, bytes) : null
    if (found !== null) return found
    this.violations.push(`${bytes} bytes at ${iova.toString(16)} ${this.master ? 'are not there' : 'before it is master'}`)
    return new Uint8Array(bytes)
  }

  #get(at: number): number {
    return Atomics.load(this.#words, at >> 2)
  }

  #put(at: number, value: number): void {
    Atomics.store(this.#words, at >> 2, value | 0)
  }

  #wide(at: number): number {
    return (this.#get(at) >>> 0) + (this.#get(at + 4) >>> 0) * 2 ** 32
  }
}

function decode(qid: number, entry: Uint8Array): Command {
  const view = new DataView(entry.slice().buffer)
  return {
    qid, opcode: view.getUint8(0), psdt: view.getUint8(1) >> 6, cid: view.getUint16(2, true), nsid: view.getUint32(4, true),
    prp1: Number(view.getBigUint64(24, true)), prp2: Number(view.getBigUint64(32, true)),
    slba: Number(view.getBigUint64(40, true)), nlb: view.getUint16(48, true) + 1, control: view.getUint16(50, true),
    cdw10: view.getUint32(40, true), cdw11: view.getUint32(44, true), cdw12: view.getUint32(48, true),
    cdw13: view.getUint32(52, true),
  }
}
