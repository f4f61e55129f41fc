/**
 * An owner of slots for tests that need no connection: it sends, and has an index.
 */
import type { Owner } from '../../../src/reactor/slots.ts'

export const ownerOf = (index = 0): Owner => ({
  index, sends: true, slotCount: 0, commandCount: 0, transferredBlocks: 0,
})
