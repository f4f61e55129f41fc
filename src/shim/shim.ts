/**
 * The native shim, seen from TypeScript: one function for each one of native/shim.h.
 * Called by the reactor (turn, sockets), the control plane (listen, files, regions) and the tests.
 *
 * Errors are numbers: 0 or more is success, less than 0 is -errno (see errnoName). Nothing here
 * throws but loadShim. PCI devices: pci.ts. koffi is used in this folder only.
 *
 * Invariant: turn, crc32c and crc32cSeries are koffi's own functions, nothing around them
 * (14 to 34 ns a call).
 */
import { FACTS, LIMITS, SHIM_VERSION, WORDS } from './abi.ts'
import { ERRNO } from './errno.ts'
import { loadLibrary, type Native, viewOf } from './library.ts'

/** What is allocated when a shim opens; see struct shim_limits for the ranges. */
export type ShimLimits = {
  /** ENGINE.* of abi.ts. */
  readonly engine: number
  readonly connectionsMax: number
  readonly rxBytes: number
  readonly txEntries: number
  readonly copiesMax: number
  readonly opsMax: number
  readonly bufferBytes: number
  readonly socketBufferBytes: number
  /** Buffers of reserved huge pages, where there are enough. */
  readonly huge?: boolean
}

/** What was opened; see struct shim_file_facts. */
export type FileFacts = {
  readonly blockDevice: boolean
  readonly direct: boolean
  /** Positive errno of the refused O_DIRECT, 0 when it was not refused. */
  readonly directErrno: number
  readonly logicalBytes: number
  readonly physicalBytes: number
  readonly memoryAlignBytes: number
  readonly discard: boolean
  readonly zero: boolean
  readonly bytes: number
  readonly created: boolean
  readonly readOnly: boolean
  readonly rotational: boolean
  readonly optimalBytes: number
  readonly discardBytes: number
  readonly boundaryBytes: number
}

export type OpenedFile = { readonly file: number; readonly facts: FileFacts }

export type Shim = {
  readonly open: (limits: ShimLimits) => number
  readonly close: () => number
  /** The whole arena, mapped: no copy. Dead after close(). */
  readonly arena: () => ArrayBuffer
  readonly turn: () => number
  readonly wake: (id: number) => number
  /** A socket, or -errno. port 0 lets the system choose; see address(). */
  readonly listen: (address: string, port: number, backlog: number) => number
  /** A connected socket, or -errno. Blocks for waitMs at most. */
  readonly connect: (address: string, port: number, waitMs: number) => number
  readonly accept: (listener: number, token: number) => number
  readonly acceptStop: (listener: number) => number
  readonly adopt: (socket: number) => number
  readonly release: (connection: number) => number
  readonly socketClose: (socket: number) => number
  /** "address port" of the local or the remote end; '' when the socket has none (any more). */
  readonly address: (socket: number, remote: boolean) => string
  /** One datagram to a Unix socket; one that begins with @ is abstract. 0 or -errno. */
  readonly notify: (path: string, text: string) => number
  /** Where sockets of another process arrive: a Unix socket at path, or -errno. */
  readonly inbox: (path: string) => number
  /** To the inbox at path; they stay open here too. 0 or -errno. */
  readonly pass: (path: string, sockets: readonly number[]) => number
  /** What was passed, or -errno. Blocks for waitMs at most. */
  readonly take: (inbox: number, waitMs: number) => number[] | number
  readonly regionCreate: (bytes: number, huge: boolean) => number
  /** It keeps its place and what is in it; 0 or -errno. */
  readonly regionResize: (region: number, bytes: number) => number
  /** Fills it with a pattern of 32 bits, on a thread of its own; resolves with 0 or -errno. */
  readonly regionErase: (region: number, at: number, bytes: number, pattern: number) => Promise<number>
  readonly regionRelease: (region: number) => number
  /** The first `bytes` of a region, mapped: no copy. Dead after regionRelease(). */
  readonly regionView: (region: number, bytes: number) => ArrayBuffer
  readonly crc32c: (region: number, lo: number, hi: number, bytes: number) => number
  /** int32 digests of count runs in the arena, to the words at resultAt. */
  readonly crc32cSeries: (
    at: number, bytes: number, stride: number, count: number, resultAt: number,
  ) => number
  /** flags: FILE.* of abi.ts. A negative number is -errno. */
  readonly fileOpen: (path: string, flags: number, bytes: number) => OpenedFile | number
  readonly fileFacts: (file: number) => FileFacts | number
  /** how: ERASE of abi.ts. On a thread of its own; resolves with 0 or -errno. */
  readonly fileErase: (file: number, how: number, at: number, bytes: number, pattern: number) => Promise<number>
  /** Regular files only; 0 or -errno. */
  readonly fileResize: (file: number, bytes: number) => number
  readonly fileClose: (file: number) => number
  readonly pin: (cpu: number) => number
  /** The processors this process may use, ascending. */
  readonly cpus: () => number[]
  /** Bit n = ENGINE n is permitted here. */
  readonly engines: () => number
}

const ADDRESS_BYTES = 64
const CPUS_MAX = 1024
const PASSED_MAX = 200

/** Structures cross as void * to an Int32Array, which koffi keeps in place during the call. */
const PROTOTYPES = {
  shim_open: 'int32_t shim_open(const void *limits)',
  shim_close: 'int32_t shim_close()',
  shim_arena: 'void *shim_arena()',
  shim_arena_bytes: 'double shim_arena_bytes()',
  shim_turn: 'int32_t shim_turn()',
  shim_wake: 'int32_t shim_wake(int32_t id)',
  shim_listen: 'int32_t shim_listen(const char *address, int32_t port, int32_t backlog)',
  shim_connect: 'int32_t shim_connect(const char *address, int32_t port, int32_t wait_ms)',
  shim_accept: 'int32_t shim_accept(int32_t listener, int32_t token)',
  shim_accept_stop: 'int32_t shim_accept_stop(int32_t listener)',
  shim_adopt: 'int32_t shim_adopt(int32_t socket)',
  shim_release: 'int32_t shim_release(int32_t connection)',
  shim_socket_close: 'int32_t shim_socket_close(int32_t socket)',
  shim_address: 'int32_t shim_address(int32_t socket, int32_t remote, void *out)',
  shim_notify: 'int32_t shim_notify(const char *path, const char *text)',
  shim_inbox: 'int32_t shim_inbox(const char *path)',
  shim_pass: 'int32_t shim_pass(const char *path, const void *sockets, int32_t count)',
  shim_take: 'int32_t shim_take(int32_t inbox, void *sockets, int32_t max, int32_t wait_ms)',
  shim_region_create: 'int32_t shim_region_create(double bytes, int32_t huge)',
  shim_region_erase: 'int32_t shim_region_erase(int32_t region, double at, double bytes, int32_t pattern)',
  shim_region_resize: 'int32_t shim_region_resize(int32_t region, double bytes)',
  shim_region_release: 'int32_t shim_region_release(int32_t region)',
  shim_region_address: 'void *shim_region_address(int32_t region)',
  // Declared signed, since koffi boxes what is no int32.
  shim_crc32c: 'int32_t shim_crc32c(int32_t region, int32_t lo, int32_t hi, int32_t bytes)',
  shim_crc32c_series: 'int32_t shim_crc32c_series(int32_t at, int32_t bytes, int32_t stride, '
    + 'int32_t count, int32_t result_at)',
  shim_file_open:
    'int32_t shim_file_open(const char *path, int32_t flags, double bytes, void *facts)',
  shim_file_facts: 'int32_t shim_file_facts(int32_t file, void *facts)',
  shim_file_erase: 'int32_t shim_file_erase(int32_t file, double at, double bytes, int32_t how, int32_t pattern)',
  shim_file_resize: 'int32_t shim_file_resize(int32_t file, double bytes)',
  shim_file_close: 'int32_t shim_file_close(int32_t file)',
  shim_pin: 'int32_t shim_pin(int32_t cpu)',
  shim_cpus: 'int32_t shim_cpus(void *cpus, int32_t max)',
  shim_engines: 'int32_t shim_engines()',
} as const

/**
 * Loads the library at `path`, else at $WEFT_SHIM, else where `make -C native` leaves it.
 * Throws an Error in people's words when it is missing or of another version.
 */
export function loadShim(path?: string): Shim {
  const library = loadLibrary(PROTOTYPES, path)
  const open = library('shim_open')
  const arenaAddress = library('shim_arena')
  const arenaBytes = library('shim_arena_bytes')
  const address = library('shim_address')
  const regionCreate = library('shim_region_create')
  const regionAddress = library('shim_region_address')
  const fileOpen = library('shim_file_open')
  const fileFacts = library('shim_file_facts')
  const cpus = library('shim_cpus')
  return {
    open: (limits) => open(limitWords(limits)),
    close: library('shim_close'),
    arena: () => viewOf(arenaAddress(), arenaBytes()),
    turn: library('shim_turn'),
    wake: library('shim_wake'),
    listen: library('shim_listen'),
    connect: library('shim_connect'),
    accept: library('shim_accept'),
    acceptStop: library('shim_accept_stop'),
    adopt: library('shim_adopt'),
    release: library('shim_release'),
    socketClose: library('shim_socket_close'),
    address: (socket, remote) => {
      const out = Buffer.alloc(ADDRESS_BYTES)
      if (address(socket, remote ? 1 : 0, out) < 0) return ''
      return out.toString('latin1', 0, out.indexOf(0))
    },
    notify: library('shim_notify'),
    inbox: (path) => library('shim_inbox')(path),
    pass: (path, sockets) => library('shim_pass')(path, Int32Array.from(sockets), sockets.length),
    take: (inbox, waitMs) => {
      const words = new Int32Array(PASSED_MAX)
      const count: number = library('shim_take')(inbox, words, PASSED_MAX, waitMs)
      return count < 0 ? count : Array.from(words.subarray(0, count))
    },
    regionCreate: (bytes, huge) => regionCreate(bytes, huge ? 1 : 0),
    regionErase: (region, at, bytes, pattern) => elsewhere(library('shim_region_erase'), region, at, bytes, pattern),
    regionResize: (region, bytes) => library('shim_region_resize')(region, bytes),
    regionRelease: library('shim_region_release'),
    regionView: (region, bytes) => viewOf(regionAddress(region), bytes),
    crc32c: library('shim_crc32c'),
    crc32cSeries: library('shim_crc32c_series'),
    fileOpen: (path, flags, bytes) => {
      const words = new Int32Array(WORDS.FACTS)
      const file: number = fileOpen(path, flags, bytes, words)
      return file < 0 ? file : { file, facts: decodeFacts(words) }
    },
    fileFacts: (file) => {
      const words = new Int32Array(WORDS.FACTS)
      const result: number = fileFacts(file, words)
      return result < 0 ? result : decodeFacts(words)
    },
    fileErase: (file, how, at, bytes, pattern) => elsewhere(library('shim_file_erase'), file, at, bytes, how, pattern),
    fileResize: (file, bytes) => library('shim_file_resize')(file, bytes),
    fileClose: library('shim_file_close'),
    pin: library('shim_pin'),
    cpus: () => {
      const words = new Int32Array(CPUS_MAX)
      const count: number = cpus(words, CPUS_MAX)
      return Array.from(words.subarray(0, Math.max(count, 0)))
    },
    engines: library('shim_engines'),
  }
}

/** Why open() refused, for who starts the target. */
export function openReason(errno: number): string {
  if (-errno !== ERRNO.ENOBUFS) return errnoName(errno)
  return 'its buffers must be huge pages, since a device is driven without an IOMMU, and too few are '
    + 'reserved. Reserve more and start again: echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
}

/** The name of an error number of either sign: errnoName(-98) is 'EADDRINUSE'. */
export function errnoName(errno: number): string {
  const positive = Math.abs(errno)
  for (const [name, value] of Object.entries(ERRNO)) {
    if (value === positive) return name
  }
  return `errno ${positive}`
}

/** Calls it on a thread that koffi keeps for what takes long. */
function elsewhere(native: Native, ...args: number[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = (native as unknown as { async: Native }).async
    call(...args, (error: Error | null, result: number) => error === null ? resolve(result) : reject(error))
  })
}

function limitWords(limits: ShimLimits): Int32Array {
  const words = new Int32Array(WORDS.LIMITS)
  words[LIMITS.VERSION] = SHIM_VERSION
  words[LIMITS.ENGINE] = limits.engine
  words[LIMITS.CONNECTIONS_MAX] = limits.connectionsMax
  words[LIMITS.RX_BYTES] = limits.rxBytes
  words[LIMITS.TX_ENTRIES] = limits.txEntries
  words[LIMITS.COPIES_MAX] = limits.copiesMax
  words[LIMITS.OPS_MAX] = limits.opsMax
  words[LIMITS.BUFFER_BYTES] = limits.bufferBytes
  words[LIMITS.SOCKET_BUFFER_BYTES] = limits.socketBufferBytes
  words[LIMITS.HUGE] = limits.huge === true ? 1 : 0
  return words
}

function decodeFacts(words: Int32Array): FileFacts {
  const at = (index: number): number => words[index] ?? 0
  return {
    blockDevice: at(FACTS.BLOCK_DEVICE) !== 0,
    direct: at(FACTS.DIRECT) !== 0,
    directErrno: at(FACTS.DIRECT_ERRNO),
    logicalBytes: at(FACTS.LOGICAL_BYTES),
    physicalBytes: at(FACTS.PHYSICAL_BYTES),
    memoryAlignBytes: at(FACTS.MEMORY_ALIGN_BYTES),
    discard: at(FACTS.DISCARD) !== 0,
    zero: at(FACTS.ZERO) !== 0,
    bytes: at(FACTS.BYTES_HI) * 2 ** 32 + (at(FACTS.BYTES_LO) >>> 0),
    created: at(FACTS.CREATED) !== 0,
    readOnly: at(FACTS.READ_ONLY) !== 0,
    rotational: at(FACTS.ROTATIONAL) !== 0,
    optimalBytes: at(FACTS.OPTIMAL_BYTES),
    discardBytes: at(FACTS.DISCARD_BYTES),
    boundaryBytes: at(FACTS.BOUNDARY_BYTES),
  }
}
