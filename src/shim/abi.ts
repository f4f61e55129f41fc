/**
 * The numbers of native/shim.h: word indices, states, flags, codes. Tables only, no behaviour.
 * Read by everything that touches the arena (tcp, queue, device, reactor); the meanings are in
 * shim.h, beside each name.
 *
 * Word indices count int32 words from the start of their structure: view[(at >> 2) + C.STATE].
 *
 * Invariant: every value equals the C one; test/unit/shim/abi.test.ts asks a C compiler.
 */

export const SHIM_VERSION = 3

/** Sizes of the structures in the arena, in int32 words. */
export const WORDS = {
  HEADER: 1024, CONNECTION: 16, COMPLETION: 4, COPY: 8, TX: 16, OP: 16, LIMITS: 16, FACTS: 16, QUEUE: 16,
  PCI_FACTS: 16,
} as const

/** Header words, arena offset = 4 × index. COUNTERS is where the doubles begin, in words too. */
export const H = {
  VERSION: 0, ENGINE: 1, NOW_MS: 2, NOW_US: 3, SPIN_US: 4, WAIT_US: 5, READY: 6, COMPLETIONS: 7,
  TOUCHED: 8, COPIES: 9, OPS: 10, WOKEN: 11, NEWS: 12, HUGE: 13,
  CONNECTIONS_AT: 16, READY_AT: 17, COMPLETIONS_AT: 18, TOUCHED_AT: 19, COPIES_AT: 20, OPS_AT: 21,
  SCRATCH_AT: 22, TX_AT: 23, BUFFERS_AT: 24, RX_AT: 25, QUEUES_AT: 26,
  COUNTERS: 128,
} as const

/** Counters: index of a double from byte 4 × H.COUNTERS. */
export const COUNTER = {
  TURNS: 0, SYSCALLS: 1, RECEIVES: 2, SENDS: 3, RECEIVED_BYTES: 4, SENT_BYTES: 5, COPIED_BYTES: 6,
  OPS: 7, BLOCKS: 8, BUSY_US: 9, DOORS: 10,
} as const

/** Words of a connection's control block. */
export const C = {
  STATE: 0, ERROR: 1, RX_HEAD: 2, RX_TAIL: 3, TX_HEAD: 4, TX_TAIL: 5, FLAGS: 6,
  PLACE_REGION: 7, PLACE_LO: 8, PLACE_HI: 9, PLACE_BYTES: 10, TOUCHED: 11,
} as const

/** C.STATE. */
export const STATE = { FREE: 0, OPEN: 1, ENDED: 2, CLOSED: 3 } as const

/** C.FLAGS, bits. */
export const FLAG = { PAUSE: 1, FINISH: 2, CLOSE: 4 } as const

/** Words of a completion. */
export const COMPLETION = { TOKEN: 0, RESULT: 1 } as const

/** Words of a copy. */
export const COPY = {
  TARGET_REGION: 0, TARGET_LO: 1, TARGET_HI: 2, SOURCE_REGION: 3, SOURCE_LO: 4, SOURCE_HI: 5,
  BYTES: 6,
} as const

/** Words of a tx entry. */
export const T = {
  FLAGS: 0, HEADER_BYTES: 1, PAD_BYTES: 2, REGION: 3, LO: 4, HI: 5, BYTES: 6,
  DATA_DIGEST: 7, HEADER: 8,
} as const

/** T.FLAGS, bits. */
export const TX = { HEADER_DIGEST: 1, DATA_DIGEST: 2 } as const

/** Words of an op. */
export const O = {
  CODE: 0, TOKEN: 1, FILE: 2, FLAGS: 3, REGION: 4, LO: 5, HI: 6, BYTES: 7, AT_LO: 8, AT_HI: 9,
  RANGE_LO: 10, RANGE_HI: 11, OTHER_REGION: 12, OTHER_LO: 13, OTHER_HI: 14,
} as const

/** O.CODE; FUA alone belongs in O.FLAGS. */
export const OP = {
  READ: 1, WRITE: 2, SYNC: 3, DISCARD: 4, ZERO: 5, MEMORY_ZERO: 6, COMPARE: 7, MOVE: 8,
  FUA: 1,
} as const

export const ENGINE = { AUTO: 0, URING: 1, EPOLL: 2, IOCP: 3 } as const

/** Flags of fileOpen, bits. */
export const FILE = { CREATE: 1, READ_ONLY: 2, BUFFERED: 4, GROW: 8 } as const

/** How a range of a file is erased. */
export const ERASE = { DISCARD: 1, FILL: 2, SYNC: 3 } as const

/** Words of struct shim_limits. */
export const LIMITS = {
  VERSION: 0, ENGINE: 1, CONNECTIONS_MAX: 2, RX_BYTES: 3, TX_ENTRIES: 4, COPIES_MAX: 5, OPS_MAX: 6,
  BUFFER_BYTES: 7, SOCKET_BUFFER_BYTES: 8, HUGE: 9,
} as const

/** Words of struct shim_file_facts. */
export const FACTS = {
  BLOCK_DEVICE: 0, DIRECT: 1, DIRECT_ERRNO: 2, LOGICAL_BYTES: 3, PHYSICAL_BYTES: 4,
  MEMORY_ALIGN_BYTES: 5, DISCARD: 6, ZERO: 7, BYTES_LO: 8, BYTES_HI: 9, CREATED: 10,
  READ_ONLY: 11, ROTATIONAL: 12, OPTIMAL_BYTES: 13, DISCARD_BYTES: 14, BOUNDARY_BYTES: 15,
} as const

/** Words of a queue of a device. */
export const Q = {
  RING: 0, TAIL: 1, HEAD: 2, WATCH_AT: 3, WATCH_MASK: 4, WATCH_VALUE: 5,
} as const

/** Q.RING, bits. */
export const RING = { TAIL: 1, HEAD: 2 } as const

/** How a PCI device is reached: MEMORY .. UIO; what befell it, bits: WANTED, ERROR, LOST. */
export const PCI = {
  MEMORY: 0, VFIO: 1, IOMMUFD: 2, UIO: 3, WANTED: 1, ERROR: 2, LOST: 4,
} as const

/** Words of struct shim_pci_facts. */
export const PCI_FACTS = { BAR_BYTES: 0, VECTORS: 1, RESET: 2, TRANSLATED: 3 } as const
