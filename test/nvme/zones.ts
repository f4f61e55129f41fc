/**
 * Zones of a namespace of the fake controller: states, write pointers, limits, and what is reported of them. Written
 * by hand, with the numbers of the specification.           Zoned Namespace Command Set 1.1
 *
 *   EMPTY 1 ─▶ OPEN 2 (by writing), 3 (explicitly) ─▶ CLOSED 4 ─▶ FULL Eh ─ reset ─▶ EMPTY 1
 */

export type FakeZoned = {
  /** Blocks of a zone, and those of them that can be written. */
  readonly blocks: number
  readonly capacity: number
  /** ZDES: 64 bytes each. */
  readonly extension: number
  /** Open zones at a time. */
  readonly open: number
  readonly ozcs: number
  /** ZASL: 2^n × 4 KiB. */
  readonly zasl: number
}

const [EMPTY, IMPLICIT, EXPLICIT, CLOSED, FULL] = [1, 2, 3, 4, 0xe]
const [BOUNDARY, IS_FULL, INVALID_WRITE, TOO_MANY_OPEN, TRANSITION] = [0x41b8, 0x41b9, 0x41bc, 0x1be, 0x41bf]
const INVALID_FIELD = 0x4002
const NO_POINTER = 0xffff_ffff_ffff_ffffn

type Zone = { state: number; pointer: number; extension: Uint8Array | null }

export class FakeZones {
  readonly zoned: FakeZoned
  readonly all: Zone[]

  constructor(zoned: FakeZoned, blockCount: number) {
    this.zoned = zoned
    this.all = Array.from({ length: blockCount / zoned.blocks }, () => ({ state: EMPTY, pointer: 0, extension: null }))
  }

  /** Status of a read of these blocks. */
  read(lba: number, count: number): number {
    const { blocks, ozcs } = this.zoned
    const crosses = Math.floor(lba / blocks) !== Math.floor((lba + count - 1) / blocks)
    return crosses && (ozcs & 1) === 0 ? BOUNDARY : 0
  }

  /** Status of a write at lba; null: at the write pointer of the zone that begins at zslba. `at` is where it went. */
  write(lba: number, count: number, appends: boolean): { status: number; at: number } {
    const { blocks, capacity } = this.zoned
    const index = Math.floor(lba / blocks)
    const zone = this.all[index]!
    const start = index * blocks
    const failed = (status: number): { status: number; at: number } => ({ status, at: 0 })
    if (appends && lba !== start) return failed(INVALID_FIELD)
    if (zone.state === FULL) return failed(IS_FULL)
    if (zone.pointer + count > capacity) return failed(BOUNDARY)
    if (!appends && lba !== start + zone.pointer) return failed(INVALID_WRITE)
    if (zone.state === EMPTY || zone.state === CLOSED) {
      if (this.#open() >= this.zoned.open) return failed(TOO_MANY_OPEN)
      zone.state = IMPLICIT
    }
    const at = start + zone.pointer
    zone.pointer += count
    if (zone.pointer === capacity) zone.state = FULL
    return { status: 0, at }
  }

  /** A Zone Management Send. extension: what came with it. */
  manage(lba: number, cdw13: number, extension: Uint8Array): number {
    const all = (cdw13 >>> 8 & 1) === 1
    if (!all && lba % this.zoned.blocks !== 0) return INVALID_FIELD
    const chosen = all ? this.all : [this.all[lba / this.zoned.blocks]!]
    const statuses = chosen.map((zone) => this.#act(zone, cdw13 & 0xff, extension))
    return all ? 0 : statuses[0]!
  }

  /** The bytes that a Zone Management Receive returns at most. */
  report(lba: number, cdw13: number, bytes: number): Buffer {
    const [extended, filter, partial] = [cdw13 & 0xff, cdw13 >>> 8 & 0xff, cdw13 >>> 16 & 1]
    const state = [0, EMPTY, IMPLICIT, EXPLICIT, CLOSED, FULL][filter]!
    const step = 64 + (extended === 1 ? this.zoned.extension * 64 : 0)
    const listed = [...this.all.entries()].filter(([index, zone]) =>
      (index + 1) * this.zoned.blocks > lba && (filter === 0 || zone.state === state))
    const fitting = listed.slice(0, Math.floor((bytes - 64) / step))
    const page = Buffer.alloc(64 + fitting.length * step)
    page.writeBigUInt64LE(BigInt(partial === 1 ? fitting.length : listed.length), 0)
    for (const [place, [index, zone]] of fitting.entries()) {
      const at = 64 + place * step
      page[at] = 2
      page[at + 1] = zone.state << 4
      page[at + 2] = zone.extension === null ? 0 : 0x80
      page.writeBigUInt64LE(BigInt(this.zoned.capacity), at + 8)
      page.writeBigUInt64LE(BigInt(index * this.zoned.blocks), at + 16)
      page.writeBigUInt64LE(zone.state === FULL ? NO_POINTER : BigInt(index * this.zoned.blocks + zone.pointer), at + 24)
      if (extended === 1 && zone.extension !== null) page.set(zone.extension, at + 64)
    }
    return page
  }

  #act(zone: Zone, action: number, extension: Uint8Array): number {
    const isOpen = zone.state === IMPLICIT || zone.state === EXPLICIT
    switch (action) {
      case 1:
        if (!isOpen && zone.state !== CLOSED) return TRANSITION
        zone.state = CLOSED
        return 0
      case 2:
        zone.state = FULL
        return 0
      case 3:
        if (zone.state === FULL) return TRANSITION
        if (!isOpen && this.#open() >= this.zoned.open) return TOO_MANY_OPEN
        zone.state = EXPLICIT
        return 0
      case 4:
        Object.assign(zone, { state: EMPTY, pointer: 0, extension: null })
        return 0
      case 0x10:
        if (zone.state !== EMPTY) return TRANSITION
        zone.extension = extension
        zone.state = CLOSED
        return 0
      default:
        return TRANSITION
    }
  }

  #open(): number {
    return this.all.filter(({ state }) => state === IMPLICIT || state === EXPLICIT).length
  }
}
