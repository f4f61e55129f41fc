/**
 * One PCIe controller: from a function that somebody had before to queues that work, and back. The main thread has
 * it; controllers.ts decides when, the reactors drive the I/O queues that are created here.
 * NVMe Base 2.0, Controller Initialization, Controller Shutdown; NVMe over PCIe 1.0
 *
 *   start: disable ─▶ master ─▶ enable ─▶ Identify ─▶ queues ─▶ namespaces ─▶ events   (again after a reset)
 *
 * Invariant: the function masters the bus only between a disable that succeeded and the next failure; so memory
 * that commands of before named is reached by nobody once start() has begun.
 */
import { CNS, CSI, IDENTIFY_CONTROLLER, NAMESPACE_DESCRIPTOR, NIDT, OAES_BITS } from '../wire/identify.ts'
import { ERROR_ENTRY, ERROR_ENTRY_BYTES, LID, SMART_LOG } from '../wire/log-page.ts'
import { layoutOf, putBits } from '../wire/layout.ts'
import { FID } from '../wire/feature.ts'
import { CREATE_IO_CQ_BITS, CREATE_IO_SQ_BITS } from '../wire/pcie.ts'
import { ADMIN_OPCODE, NSID_ALL } from '../wire/sqe.ts'
import { takeU64 } from '../wire/value.ts'
import { CHANGED_ZONES, CHANGED_ZONES_MAX } from '../wire/zone.ts'
import { ADMIN_BYTES, ADMIN_DEPTH, type AdminAnswer, AdminQueue } from './admin.ts'
import { type ControllerFacts, controllerFacts, type NamespaceFacts, namespaceFacts } from './facts.ts'
import { type Clock, ControllerError } from './failure.ts'
import type { Dma, NvmeFunction } from './function.ts'
import { type QueuePlace, QUEUE_DEPTH_MAX, queueBytes, queuePlace } from './place.ts'
import { type Quirks, quirksOf } from './quirks.ts'
import { type Capabilities, doorbellOf, Registers } from './registers.ts'
import { zonedFacts } from './zoned-facts.ts'

/** Of one admin command. */
const ANSWER_MS = 10_000
const ABORT_MS = 5000
const EVENTS_MAX = 4
/** Critical warnings of all kinds; of what a controller may tell besides, changes of namespaces and zones. */
const WARNINGS_WANTED = 0x1f
const NOTICES_WANTED = putBits(OAES_BITS.namespaceAttributes, 1) | putBits(OAES_BITS.zones, 1)
const OURS_PAGE_BYTES = 4096
const STATUS_MASK = 0x47ff
const SMART_BYTES = layoutOf(SMART_LOG).bytes
/** Of a log in one command: a page. */
const NUMD = (bytes: number): number => (bytes / 4 - 1) << 16

export type ControllerSizing = {
  /** One queue pair for each. */
  readonly reactorCount: number
  readonly transferBytes: number
}

/** dw0: type | information << 8 | log << 16. nsid: of those that concern one namespace. */
export type DeviceEvent = {
  readonly type: number
  readonly information: number
  readonly log: number
  readonly nsid: number
}

export class NvmeController {
  readonly function: NvmeFunction
  readonly registers: Registers
  /** By NSID, those that are active. */
  namespaces: ReadonlyMap<number, NamespaceFacts> = new Map()
  onEvent: (event: DeviceEvent) => void = () => {}
  readonly #sizing: ControllerSizing
  readonly #clock: Clock
  readonly #quirks: Quirks
  #admin: AdminQueue | null = null
  #adminDma: Dma | null = null
  #queues: Dma[] = []
  #facts: ControllerFacts | null = null
  #capabilities: Capabilities | null = null
  #interrupts = false

  constructor(pci: NvmeFunction, sizing: ControllerSizing, clock: Clock) {
    this.function = pci
    this.registers = new Registers(pci, clock)
    this.#sizing = sizing
    this.#clock = clock
    this.#quirks = quirksOf(pci.vendor, pci.device)
  }

  get reactorCount(): number {
    return this.#sizing.reactorCount
  }

  /** Once it was started. */
  get facts(): ControllerFacts {
    if (this.#facts === null) throw new Error('a controller is asked for facts before it was started')
    return this.#facts
  }

  /** What a reactor has to know to drive its queue pair. */
  place(reactor: number): QueuePlace {
    const { strideBytes } = this.#capabilities!
    const qid = reactor + 1
    return queuePlace(this.#depth(), this.facts.transferBytes, {
      function: this.function.id, region: this.#queues[reactor]!.region, iova: this.#queues[reactor]!.iova,
      tailAt: doorbellOf(qid, false, strideBytes), headAt: doorbellOf(qid, true, strideBytes),
      vector: this.#interrupts ? qid : -1, qid, sgl: this.facts.sgl,
    })
  }

  /** From whatever state to one in which its queues are there, empty. Throws a ControllerError or a StartError. */
  async start(): Promise<void> {
    const { registers } = this
    const capabilities = this.#checked()
    await this.#stopIt(capabilities)
    this.#capabilities = capabilities
    this.#adminDma ??= this.function.allocate(ADMIN_BYTES)
    this.#admin ??= new AdminQueue(this.function, registers, this.#clock, this.#adminDma, capabilities.strideBytes)
    this.#admin.reset()
    this.function.setMaster(true)
    await registers.enable(this.#admin.sqIova, this.#admin.cqIova, ADMIN_DEPTH, capabilities)
    await this.#delay()
    await this.#identify(capabilities)
    await this.#createQueues()
    await this.scan()
    await this.#listen()
  }

  /**
   * Ends what the device does to memory: it masters the bus no more. Whether it is disabled, too, depends on
   * what is left of it.
   */
  stopMastering(): void {
    this.function.setMaster(false)
  }

  /** Lets the system have it, with everything that is set up here kept in mind. */
  giveUp(): void {
    this.function.giveUp()
  }

  /** Takes it again; start() is to follow. Throws a StartError. */
  takeAgain(): void {
    this.function.takeAgain()
    if (this.#interrupts) this.function.setInterrupts(this.#sizing.reactorCount + 1)
  }

  /** Which namespaces there are, and what they are like. */
  async scan(): Promise<void> {
    const list = await this.#identifyOf('Identify (namespaces)', 0, CNS.ACTIVE_NAMESPACES)
    const view = new DataView(list.data.buffer)
    const found = new Map<number, NamespaceFacts>()
    for (let at = 0; at < list.data.length; at += 4) {
      const nsid = view.getUint32(at, true)
      if (nsid === 0) break
      const { data } = await this.#identifyOf(`Identify (namespace ${nsid})`, nsid, CNS.NAMESPACE)
      const facts = namespaceFacts(nsid, data, this.#quirks)
      const served = facts === null ? null : await this.#withCommandSet(facts)
      if (served !== null) found.set(nsid, served)
    }
    this.namespaces = found
  }

  /** After an event about namespaces, of which the device tells again only when its log was read. */
  async rescan(): Promise<void> {
    await this.#admin!.ask({
      opcode: ADMIN_OPCODE.GET_LOG_PAGE, nsid: NSID_ALL, cdw10: LID.CHANGED_NAMESPACES | NUMD(OURS_PAGE_BYTES),
    }, ANSWER_MS)
    await this.scan()
  }

  /** Zones that have changed by themselves, by their first blocks; null: too many to name. Reading forgets them. */
  async changedZones(nsid: number): Promise<number[] | null> {
    const { data } = await this.#admin!.demand('The log of changed zones', {
      opcode: ADMIN_OPCODE.GET_LOG_PAGE, nsid, cdw10: LID.CHANGED_ZONES | NUMD(OURS_PAGE_BYTES),
    }, ANSWER_MS)
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    const count = view.getUint16(CHANGED_ZONES.count, true)
    if (count > CHANGED_ZONES_MAX) return null
    return Array.from({ length: count }, (_, k) => takeU64(view, CHANGED_ZONES.zslbas + 8 * k))
  }

  /** What went wrong last, and reading it has the device tell of errors again: the status, 0 = nothing. */
  async lastError(): Promise<number> {
    const { data } = await this.#admin!.demand('The error log', {
      opcode: ADMIN_OPCODE.GET_LOG_PAGE, nsid: NSID_ALL, cdw10: LID.ERRORS | NUMD(ERROR_ENTRY_BYTES),
    }, ANSWER_MS)
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    return view.getUint16(ERROR_ENTRY.status, true) >>> 1 & STATUS_MASK
  }

  /** The SMART log of the controller, as it is. */
  async smart(): Promise<Uint8Array> {
    const { data } = await this.#admin!.demand('The SMART log', {
      opcode: ADMIN_OPCODE.GET_LOG_PAGE, nsid: NSID_ALL, cdw10: LID.SMART | NUMD(SMART_BYTES),
    }, ANSWER_MS)
    return data.slice(0, SMART_BYTES)
  }

  /** Asks for the end of one command. False: the controller says that it could not, or nothing. */
  async abort(qid: number, cid: number): Promise<boolean> {
    const { status, dw0 } = await this.#admin!.ask({ opcode: ADMIN_OPCODE.ABORT, cdw10: qid | cid << 16 }, ABORT_MS)
    return status === 0 && (dw0 & 1) === 0
  }

  /** Looks after it: events, and whether it is still there. Throws a ControllerError when it is not. */
  tick(): void {
    if (this.function.isLost() || this.registers.isGone) {
      throw new ControllerError('gone', 'the device does not answer any more')
    }
    if (this.registers.isFatal) throw new ControllerError('fatal', 'the controller reports a fatal error (CSTS.CFS)')
    this.#admin?.tick()
  }

  /** Orderly, where it still listens; everything is given back. */
  async close(): Promise<void> {
    await this.registers.shutDown()
    if (this.#capabilities !== null) await this.registers.disable(this.#capabilities.readyMs).catch(() => {})
    this.function.setMaster(false)
    if (this.#interrupts) this.function.setInterrupts(0)
    for (const dma of this.#queues) this.function.release(dma)
    if (this.#adminDma !== null) this.function.release(this.#adminDma)
    this.function.close()
  }

  #checked(): Capabilities {
    if (this.registers.isGone) throw new ControllerError('gone', 'the device does not answer')
    const capabilities = this.registers.capabilities()
    if (!capabilities.nvm) throw new ControllerError('unfit', 'the controller does not have the NVM command set')
    if (capabilities.pageBytesMin > OURS_PAGE_BYTES) {
      throw new ControllerError('unfit', `its pages have at least ${capabilities.pageBytesMin} bytes, weft's 4096`)
    }
    return capabilities
  }

  /** Disables it; where that does not help, by a reset of the function. */
  async #stopIt({ readyMs }: Capabilities): Promise<void> {
    try {
      await this.registers.disable(readyMs)
    } catch (error) {
      this.function.setMaster(false)
      if (!(error instanceof ControllerError) || error.kind === 'gone' || !this.function.reset()) throw error
      await this.registers.disable(readyMs)
    }
    await this.#delay()
  }

  async #delay(): Promise<void> {
    if (this.#quirks.readyDelayMs !== 0) await this.#clock.pause(this.#quirks.readyDelayMs)
  }

  async #identify(capabilities: Capabilities): Promise<void> {
    const { data } = await this.#identifyOf('Identify (controller)', 0, CNS.CONTROLLER)
    let nvm: Uint8Array | null = null
    if (capabilities.commandSets) {
      const answer = await this.#admin!.ask({
        opcode: ADMIN_OPCODE.IDENTIFY, cdw10: CNS.CONTROLLER_OF_COMMAND_SET, cdw11: CSI.NVM << 24,
      }, ANSWER_MS)
      if (answer.status === 0) nvm = answer.data
    }
    const facts = controllerFacts(data, nvm, this.#sizing.transferBytes, this.#quirks)
    if (this.#facts !== null && facts.serial !== this.#facts.serial) {
      throw new ControllerError('unfit', `another device is in its place now (serial number ${facts.serial})`)
    }
    if (data[IDENTIFY_CONTROLLER.cntrltype]! > 1) {
      throw new ControllerError('unfit', 'it is no I/O controller')
    }
    this.#facts = facts
  }

  #depth(): number {
    return Math.min(QUEUE_DEPTH_MAX, this.#capabilities!.depthMax)
  }

  async #createQueues(): Promise<void> {
    const { reactorCount } = this.#sizing
    const wanted = reactorCount - 1
    const granted = await this.#admin!.demand('Set Features (number of queues)', {
      opcode: ADMIN_OPCODE.SET_FEATURES, cdw10: FID.NUMBER_OF_QUEUES, cdw11: wanted | wanted << 16,
    }, ANSWER_MS)
    const count = Math.min(granted.dw0 & 0xffff, granted.dw0 >>> 16) + 1
    if (count < reactorCount) {
      throw new ControllerError('unfit', `it has ${count} I/O queues, and weft has ${reactorCount} reactors`,
        `Start weft with --reactors ${count}.`)
    }
    if (this.#queues.length === 0) {
      this.#interrupts = this.function.vectors > reactorCount && this.function.setInterrupts(reactorCount + 1)
      const bytes = queueBytes(this.#depth(), this.facts.transferBytes)
      this.#queues = Array.from({ length: reactorCount }, () => this.function.allocate(bytes))
    }
    for (const [reactor, { memory }] of this.#queues.entries()) {
      new Uint8Array(memory).fill(0)
      await this.#createQueue(this.place(reactor))
    }
  }

  async #createQueue({ qid, depth, iova, cqAt, vector }: QueuePlace): Promise<void> {
    const size = (depth - 1) << 16
    const isArmed = vector >= 0
    await this.#admin!.demand('Create I/O Completion Queue', {
      opcode: ADMIN_OPCODE.CREATE_IO_CQ, prp1: iova + cqAt, cdw10: qid | size,
      cdw11: putBits(CREATE_IO_CQ_BITS.pc, 1) | putBits(CREATE_IO_CQ_BITS.ien, +isArmed) | (isArmed ? vector << 16 : 0),
    }, ANSWER_MS)
    await this.#admin!.demand('Create I/O Submission Queue', {
      opcode: ADMIN_OPCODE.CREATE_IO_SQ, prp1: iova, cdw10: qid | size,
      cdw11: putBits(CREATE_IO_SQ_BITS.pc, 1) | qid << 16,
    }, ANSWER_MS)
  }

  /** With what its command set adds; null: it has one that weft does not serve. */
  async #withCommandSet(facts: NamespaceFacts): Promise<NamespaceFacts | null> {
    const csi = await this.#commandSetOf(facts.nsid)
    if (csi === CSI.NVM) return facts
    if (csi !== CSI.ZNS) return null
    const ask = (nsid: number, cns: number): Promise<AdminAnswer> => this.#admin!.ask({
      opcode: ADMIN_OPCODE.IDENTIFY, nsid, cdw10: cns, cdw11: csi << 24,
    }, ANSWER_MS)
    const own = await ask(facts.nsid, CNS.NAMESPACE_OF_COMMAND_SET)
    const controller = await ask(0, CNS.CONTROLLER_OF_COMMAND_SET)
    if (own.status !== 0 || controller.status !== 0) return null
    const zoned = zonedFacts(own.data, controller.data, facts.format, this.facts.transferBytes)
    return zoned === null ? null : { ...facts, zoned }
  }

  /** Its command set; that of controllers that have only one is NVM. */
  async #commandSetOf(nsid: number): Promise<number> {
    if (!this.#capabilities!.commandSets) return CSI.NVM
    const { status, data } = await this.#admin!.ask(
      { opcode: ADMIN_OPCODE.IDENTIFY, nsid, cdw10: CNS.NAMESPACE_DESCRIPTORS }, ANSWER_MS,
    )
    if (status !== 0) return CSI.NVM
    for (let at = 0; at + 4 < data.length;) {
      const bytes = data[at + NAMESPACE_DESCRIPTOR.nidl]!
      if (bytes === 0) break
      if (data[at + NAMESPACE_DESCRIPTOR.nidt] === NIDT.CSI) return data[at + 4]!
      at += 4 + bytes
    }
    return CSI.NVM
  }

  /** Has it tell of events. A controller without some of them is asked for none. */
  async #listen(): Promise<void> {
    await this.#admin!.ask({
      opcode: ADMIN_OPCODE.SET_FEATURES, cdw10: FID.ASYNC_EVENTS, cdw11: WARNINGS_WANTED | (this.facts.events & NOTICES_WANTED),
    }, ANSWER_MS)
    for (let count = 0; count < Math.min(EVENTS_MAX, this.facts.eventsMax); count++) this.#awaitEvent()
  }

  #awaitEvent(): void {
    this.#admin!.send({ opcode: ADMIN_OPCODE.ASYNC_EVENT_REQUEST }, ({ status, dw0, dw1 }) => {
      if (status !== 0) return
      this.#awaitEvent()
      this.onEvent({ type: dw0 & 7, information: dw0 >>> 8 & 0xff, log: dw0 >>> 16 & 0xff, nsid: dw1 })
    })
  }

  #identifyOf(what: string, nsid: number, cns: number): Promise<AdminAnswer> {
    return this.#admin!.demand(what, { opcode: ADMIN_OPCODE.IDENTIFY, nsid, cdw10: cns }, ANSWER_MS)
  }
}
