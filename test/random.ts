/**
 * Random numbers that a seed repeats: xorshift32. Tests print the seed in their titles.
 */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = (seed * 2654435761) >>> 0 || 1
  }

  /** A whole number from 0 to limit - 1. */
  below(limit: number): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return (this.state >>> 0) % limit
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }

  bytes(count: number): Buffer {
    const data = Buffer.alloc(count)
    for (let at = 0; at < count; at += 1) data.writeUInt8(this.below(256), at)
    return data
  }
}
