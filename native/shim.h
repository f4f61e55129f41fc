/*
 * shim.h: the whole boundary between TypeScript and the machine. The same on every system.
 *
 * One reactor = one thread = one shim. A reactor opens its shim on its own thread; every call
 * without "any thread" below must come from that thread. Nothing here knows NVMe or its PDUs:
 * the shim moves, checksums and waits for bytes; TypeScript decides what they mean.
 *
 * Memory. Each shim has one arena (region 0): a single mapping, smaller than 2 GiB, that TypeScript
 * sees as an Int32Array. Further memory (memory namespaces, blocks shared by all reactors) is a
 * region with an id >= 1, process-wide, visible to every shim. A place in memory is always
 * (region, offset lo, offset hi), and every place that crosses from TypeScript is checked against
 * its region: a place outside is our own mistake; shim_turn() answers -EFAULT and touches nothing.
 *
 * The arena, in this order; the header holds the offsets:
 *   header | connections | ready | completions | touched | copies | ops | queues | scratch
 *          | tx rings | buffers | rx rings (each mapped twice in a row, so that no run of bytes
 *          ever wraps)
 *
 * A turn. TypeScript writes copies, ops, tx entries, placements, and the list of touched
 * connections, and calls shim_turn(). The shim then, in this order: performs the copies; submits
 * the ops; rings the doors of the queues; for each connection that was touched, was adopted, or was ready in the turn before,
 * sends what is queued and arms its receive; reaps; spins for at most SPIN_US and then blocks for
 * at most WAIT_US while there is nothing, on any connection, op or queue; fills ready and completions; returns how many ready
 * connections and completions there are in all (0 = time ran out or woken). The two sides alternate
 * on one thread, so no word needs an atomic; wake() is the one exception and is internal.
 *
 * Errors are -errno of Linux everywhere, on Windows too (mapped there).
 */
#ifndef WEFT_SHIM_H
#define WEFT_SHIM_H
#include <stdint.h>

#if defined(_WIN32)
#define SHIM_API __declspec(dllexport)
#else
#define SHIM_API __attribute__((visibility("default")))
#endif

#define SHIM_VERSION 3

/* ---- opening --------------------------------------------------------------------------------- */

enum { SHIM_ENGINE_AUTO = 0, SHIM_ENGINE_URING = 1, SHIM_ENGINE_EPOLL = 2, SHIM_ENGINE_IOCP = 3 };

/* All sizes are chosen by TypeScript (src/limits.ts) before serving. 16 words. */
struct shim_limits {
  int32_t version;            /* SHIM_VERSION */
  int32_t engine;             /* SHIM_ENGINE_*; AUTO takes the best that this kernel permits */
  int32_t connections_max;    /* 1 .. 4096 */
  int32_t rx_bytes;           /* receive ring of one connection; power of two, >= 64 KiB */
  int32_t tx_entries;         /* send ring of one connection; power of two, >= 64 */
  int32_t copies_max;         /* copy descriptors a turn */
  int32_t ops_max;            /* ops submitted a turn; also the most that may be outstanding */
  int32_t buffer_bytes;       /* buffer area, multiple of 4096; 4096-aligned in memory */
  int32_t socket_buffer_bytes;/* SO_SNDBUF and SO_RCVBUF of a connection; 0 = the system's choice */
  int32_t huge;               /* 1 = the buffer area is made of reserved huge pages where there are
                                 enough; bytes are rounded up to whole ones */
  int32_t reserved[6];        /* 0 */
};

/* Opens this thread's shim; touches no memory it need not. Returns the shim's id (>= 0) or
 * -errno. -EBUSY: the thread has one already. -EPERM/-ENOSYS: engine URING was forced and the
 * kernel refuses it. -EFBIG: the arena would reach 2 GiB. -ENOBUFS: a device without an IOMMU is
 * open, and there are too few huge pages for the buffers. */
SHIM_API int32_t shim_open(const struct shim_limits *limits);
/* Closes every connection and op of this thread's shim, waits for them, frees the arena. Listeners,
 * files and regions stay. */
SHIM_API int32_t shim_close(void);
SHIM_API void *shim_arena(void);            /* address of this thread's arena, for koffi.view */
SHIM_API double shim_arena_bytes(void);

/* ---- the arena ------------------------------------------------------------------------------- */

/* Header words (int32 each, arena offset = 4 * index). T: TypeScript writes it, S: the shim. */
enum {
  SHIM_H_VERSION = 0,         /* S */
  SHIM_H_ENGINE = 1,          /* S  SHIM_ENGINE_* in use */
  SHIM_H_NOW_MS = 2,          /* S  monotonic milliseconds, modulo 2^32, when the turn ended */
  SHIM_H_NOW_US = 3,          /* S  the same in microseconds */
  SHIM_H_SPIN_US = 4,         /* T  how long a turn spins before it blocks; -1 = poll mode: it spins
                                    for WAIT_US instead of blocking */
  SHIM_H_WAIT_US = 5,         /* T  how long it then blocks; 0 = not at all */
  SHIM_H_READY = 6,           /* S  entries in ready */
  SHIM_H_COMPLETIONS = 7,     /* S  entries in completions */
  SHIM_H_TOUCHED = 8,         /* T  entries in touched; the turn sets it to 0 */
  SHIM_H_COPIES = 9,          /* T  entries in copies; the turn sets it to 0 */
  SHIM_H_OPS = 10,            /* T  entries in ops; the turn sets it to 0 */
  SHIM_H_WOKEN = 11,          /* S  1 when somebody called shim_wake() since the last turn */
  SHIM_H_NEWS = 12,           /* S  queues of devices that have news, see SHIM_Q_WATCH_AT */
  SHIM_H_HUGE = 13,           /* S  1 when the buffer area is made of reserved huge pages */
  SHIM_H_CONNECTIONS_AT = 16, /* S  byte offsets of the areas, from here on */
  SHIM_H_READY_AT = 17,
  SHIM_H_COMPLETIONS_AT = 18,
  SHIM_H_TOUCHED_AT = 19,
  SHIM_H_COPIES_AT = 20,
  SHIM_H_OPS_AT = 21,
  SHIM_H_SCRATCH_AT = 22,     /*    64 KiB, for TypeScript's own use, 4096-aligned */
  SHIM_H_TX_AT = 23,          /*    ring of connection c at TX_AT + c * 64 * tx_entries */
  SHIM_H_BUFFERS_AT = 24,
  SHIM_H_RX_AT = 25,          /*    ring of connection c at RX_AT + c * 2 * rx_bytes */
  SHIM_H_QUEUES_AT = 26,      /*    queue q at QUEUES_AT + 64 * q */
  SHIM_H_COUNTERS = 128       /* S  doubles from this word on (byte offset 512), see SHIM_N_* */
};
enum { /* counters: index of a double at byte offset 512 */
  SHIM_N_TURNS = 0, SHIM_N_SYSCALLS = 1, SHIM_N_RECEIVES = 2, SHIM_N_SENDS = 3,
  SHIM_N_RECEIVED_BYTES = 4, SHIM_N_SENT_BYTES = 5, SHIM_N_COPIED_BYTES = 6, SHIM_N_OPS = 7,
  SHIM_N_BLOCKS = 8,
  SHIM_N_BUSY_US = 9,         /* all time since opening but that of spinning and blocking in vain */
  SHIM_N_DOORS = 10           /* doors rung */
};

/* A connection's control block: 16 words at CONNECTIONS_AT + 64 * connection. */
enum {
  SHIM_C_STATE = 0,           /* S  SHIM_STATE_* */
  SHIM_C_ERROR = 1,           /* S  errno that ended it (positive), 0 = the peer closed in order */
  SHIM_C_RX_HEAD = 2,         /* T  bytes consumed  } positions, modulo 2^32, mask rx_bytes - 1; */
  SHIM_C_RX_TAIL = 3,         /* S  bytes received  } S sets both to 0 when it arms an empty ring */
  SHIM_C_TX_HEAD = 4,         /* S  entries sent    } counts, modulo 2^32; mask tx_entries - 1 */
  SHIM_C_TX_TAIL = 5,         /* T  entries queued  } T may set both to 0 when equal */
  SHIM_C_FLAGS = 6,           /* T  SHIM_F_* */
  SHIM_C_PLACE_REGION = 7,    /* T  placement: the next PLACE_BYTES bytes of the stream, after */
  SHIM_C_PLACE_LO = 8,        /*    those in the ring (there must be none: place only with */
  SHIM_C_PLACE_HI = 9,        /*    an empty ring), go here, and what follows to the ring */
  SHIM_C_PLACE_BYTES = 10,    /* T  sets; S counts it down, and moves PLACE_LO/HI on, as bytes
                                    arrive. Set to 0 it is taken back, but a receive in flight may
                                    still write there until the connection is CLOSED */
  SHIM_C_TOUCHED = 11         /* T  1 while listed in touched (so that it is listed once); the turn
                                    sets it to 0 */
};
enum {
  SHIM_STATE_FREE = 0,
  SHIM_STATE_OPEN = 1,
  SHIM_STATE_ENDED = 2,       /* peer closed or error: nothing more is received or sent; bytes
                                 received before stay readable */
  SHIM_STATE_CLOSED = 3       /* nothing of it is in flight any more: its memory may be reused, and
                                 shim_release() called */
};
enum {
  SHIM_F_PAUSE = 1,           /* do not arm a receive (backpressure); one that is armed stays so */
  SHIM_F_FINISH = 2,          /* once all that is queued is sent, end the sending side (FIN) */
  SHIM_F_CLOSE = 4            /* drop what is queued, cancel what is in flight, then CLOSED */
};

/* ready: one int32 a connection whose control block changed (bytes received, entries sent, state);
 * each at most once a turn.
 * completions: 4 words each: token, result (>= 0 or -errno), 0, 0. Of ops and of accepts. */

/* copies: 8 words each: 0 target region, 1 target lo, 2 target hi, 3 source region, 4 source lo,
 *         5 source hi, 6 bytes, 7 reserved 0. Source and target must not overlap. */

/* tx entry: 16 words. Sent as: header, header digest?, padding, payload, data digest?; gathered,
 * no copy. Without a payload there is no data digest. Entry and payload must stay until TX_HEAD
 * is past. */
enum {
  SHIM_T_FLAGS = 0,           /* SHIM_TX_* */
  SHIM_T_HEADER_BYTES = 1,    /* 0 .. 28 with a digest, .. 32 without */
  SHIM_T_PAD_BYTES = 2,       /* 0 .. 128 zero bytes between header and payload */
  SHIM_T_REGION = 3, SHIM_T_LO = 4, SHIM_T_HI = 5, SHIM_T_BYTES = 6,  /* payload; BYTES 0 = none */
  SHIM_T_DATA_DIGEST = 7,     /* S  the digest is put here */
  SHIM_T_HEADER = 8           /* header bytes; a digest is put after them */
};
enum { SHIM_TX_HEADER_DIGEST = 1, SHIM_TX_DATA_DIGEST = 2 };  /* CRC32C, little-endian */

/* op: 16 words. Completes once, with its token. Several ops are not ordered among each other. A
 * range beyond the end of a file is answered with the result -EINVAL, a change of a read-only
 * one -EROFS. */
enum {
  SHIM_O_CODE = 0, SHIM_O_TOKEN = 1, SHIM_O_FILE = 2, SHIM_O_FLAGS = 3,
  SHIM_O_REGION = 4, SHIM_O_LO = 5, SHIM_O_HI = 6, SHIM_O_BYTES = 7,  /* memory side */
  SHIM_O_AT_LO = 8, SHIM_O_AT_HI = 9,                                 /* position in the file */
  SHIM_O_RANGE_LO = 10, SHIM_O_RANGE_HI = 11,    /* DISCARD, ZERO, MEMORY_ZERO: how many */
  SHIM_O_OTHER_REGION = 12, SHIM_O_OTHER_LO = 13, SHIM_O_OTHER_HI = 14   /* COMPARE, MOVE: other side */
};
enum {
  SHIM_OP_READ = 1,           /* file -> memory. result 0, or -errno; a short read is -EIO */
  SHIM_OP_WRITE = 2,          /* memory -> file. SHIM_OP_FUA: on the medium before it completes */
  SHIM_OP_SYNC = 3,           /* data and the size that is needed to read it, on the medium */
  SHIM_OP_DISCARD = 4,        /* deallocate: reads as zero afterwards (the file keeps its size) */
  SHIM_OP_ZERO = 5,           /* zeroes, space stays allocated where the system can; FUA as above;
                                 -EOPNOTSUPP: TypeScript must write the zeroes */
  SHIM_OP_MEMORY_ZERO = 6,    /* RANGE bytes at (REGION, LO, HI) become zero; whole pages of a
                                 region go back to the system. A large range takes several turns */
  SHIM_OP_COMPARE = 7,        /* BYTES at (REGION..) and (OTHER..): result 0 equal, 1 different */
  SHIM_OP_MOVE = 8            /* BYTES at (REGION..) to (OTHER..), which may overlap */
};
enum { SHIM_OP_FUA = 1 };

/* One turn, as described on top. Returns ready + completions, or -errno of a broken contract
 * (-EFAULT: a place outside its region; -EINVAL: an index or a size out of range), after which the
 * shim only takes shim_close(). */
SHIM_API int32_t shim_turn(void);
/* Any thread: makes the turn of shim `id`, running or next, return without waiting. */
SHIM_API int32_t shim_wake(int32_t id);

/* ---- sockets --------------------------------------------------------------------------------- */

/* Any thread. Binds and listens. address: IPv4 or IPv6 literal ("0.0.0.0", "::"; "::" is IPv6
 * only, so that both may listen on one port; "fe80::1%eth0"). port 0: the system's choice, see
 * shim_address. Returns a socket (>= 0) or -errno. */
SHIM_API int32_t shim_listen(const char *address, int32_t port, int32_t backlog);
/* Any thread. A socket that is connected to a numeric address, to be adopted, or -errno: -ETIMEDOUT
 * after wait_ms, -ECONNREFUSED, … Blocks as long as that takes. */
SHIM_API int32_t shim_connect(const char *address, int32_t port, int32_t wait_ms);
/* Accepts on `listener` from now on: each accepted socket is a completion (token, socket or
 * -errno). After an error accepting pauses for 100 ms. token >= 0x40000000 by convention of
 * TypeScript; the shim does not interpret it. At most 64 listeners a shim. */
SHIM_API int32_t shim_accept(int32_t listener, int32_t token);
/* Stops accepting; the listener itself stays open until shim_socket_close. No completion with that
 * token comes after the next turn. */
SHIM_API int32_t shim_accept_stop(int32_t listener);
/* Takes a connected socket into this shim, on any reactor: no delay, buffers, keep-alive.
 * Returns the connection index or -errno (-ENOSPC: connections_max reached; the socket is the
 * caller's still). */
SHIM_API int32_t shim_adopt(int32_t socket);
/* Frees a CLOSED connection's index. -EBUSY: it is not CLOSED. */
SHIM_API int32_t shim_release(int32_t connection);
/* Any thread. Closes a listener or a socket that was not adopted. */
SHIM_API int32_t shim_socket_close(int32_t socket);
/* Any thread. Writes "address port" (address without brackets; IPv4-mapped IPv6 as IPv4) of the
 * local (remote = 0) or remote (1) end to out, NUL-terminated, at most 64 bytes. 0 or -errno. */
SHIM_API int32_t shim_address(int32_t socket, int32_t remote, char *out);
/* Any thread. Sends text as one datagram to the Unix socket at path; a path that begins with @ is an
 * abstract one. 0 or -errno. */
SHIM_API int32_t shim_notify(const char *path, const char *text);
/* Any thread. Sockets for another process: it opens an inbox, a Unix socket at path (a descriptor, to be
 * closed with shim_socket_close, or -errno); pass sends 1 to 200 sockets there, which stay open here too
 * (0 or -errno); take waits for them and says how many came (the first max of them), or -ETIMEDOUT. */
SHIM_API int32_t shim_inbox(const char *path);
SHIM_API int32_t shim_pass(const char *path, const int32_t *sockets, int32_t count);
SHIM_API int32_t shim_take(int32_t inbox, int32_t *sockets, int32_t max, int32_t wait_ms);

/* ---- memory ---------------------------------------------------------------------------------- */

/* Any thread. Zeroed memory, pages given when touched; huge pages where the system has them to
 * spare (huge = 1). Returns a region id >= 1, or -errno. At most 4096 regions at a time. */
SHIM_API int32_t shim_region_create(double bytes, int32_t huge);
/* Any thread. A region keeps its address and what is in it; further bytes are zero. -ENOMEM: there is
 * no room behind it (a huge one may grow to 64 GiB, or to four times what it was made with). Nobody
 * may use what is cut off any more. */
SHIM_API int32_t shim_region_resize(int32_t region, double bytes);
/* Any thread; takes as long as it takes. Fills a range with `pattern`, four bytes over and over; whole
 * pages of a range that becomes zero go back to the system. Nobody may use it. 0 or -EINVAL. */
SHIM_API int32_t shim_region_erase(int32_t region, double at, double bytes, int32_t pattern);
SHIM_API int32_t shim_region_release(int32_t region);   /* any thread; nobody may use it any more */
SHIM_API void *shim_region_address(int32_t region);     /* any thread; for koffi.view */
/* CRC32C of bytes at a place, after the copies that are queued so far (they are performed now, so
 * that what they bring counts); the caller checks nothing, the shim checks bounds (0 when outside,
 * and the next shim_turn answers -EFAULT). */
SHIM_API uint32_t shim_crc32c(int32_t region, int32_t lo, int32_t hi, int32_t bytes);
/* CRC32C of `count` runs of `bytes` in the arena, each `stride` after the one before, of bytes that
 * no queued copy writes: int32 number k of them to result_at + 4 * k, which is aligned. 0 or
 * -EFAULT (a run or a result outside; the next shim_turn says so too). */
SHIM_API int32_t shim_crc32c_series(int32_t at, int32_t bytes, int32_t stride, int32_t count,
                                    int32_t result_at);

/* ---- files ----------------------------------------------------------------------------------- */

enum {
  SHIM_FILE_CREATE = 1,        /* create it when it does not exist, sparse, `bytes` large */
  SHIM_FILE_READ_ONLY = 2,
  SHIM_FILE_BUFFERED = 4,      /* do not even try O_DIRECT */
  SHIM_FILE_GROW = 8           /* extend a smaller file to `bytes` */
};
/* What was opened. 16 words. */
struct shim_file_facts {
  int32_t block_device;        /* 1 = block device, 0 = regular file */
  int32_t direct;              /* 1 = O_DIRECT in use */
  int32_t direct_errno;        /* why not, when it was tried (EINVAL: the file system cannot) */
  int32_t logical_bytes;       /* unit and alignment of file positions; 1 = any (buffered) */
  int32_t physical_bytes;      /* preferred unit; 0 = unknown */
  int32_t memory_align_bytes;  /* alignment that memory needs */
  int32_t discard;             /* 1 = DISCARD works */
  int32_t zero;                /* 1 = ZERO works without writing */
  int32_t bytes_lo, bytes_hi;  /* size */
  int32_t created;             /* 1 = it was created by this call */
  int32_t read_only;
  int32_t rotational;
  int32_t optimal_bytes;       /* large transfers are best in multiples of it; 0 = unknown */
  int32_t discard_bytes;       /* unit in which DISCARD gives space back; 0 = unknown */
  int32_t boundary_bytes;      /* transfers should not cross multiples of it; 0 = there is none */
};
/* Any thread. Opens and locks (exclusive for writers, shared for readers; a block device also
 * O_EXCL, so that a mounted one is refused). Returns a file id >= 0 for every shim, or -errno:
 * -EWOULDBLOCK locked by another process, -EBUSY a mounted or claimed device, -ENOENT, -EACCES,
 * -EISDIR, -ENODEV not a file or block device, … */
SHIM_API int32_t shim_file_open(const char *path, int32_t flags, double bytes,
                                struct shim_file_facts *facts);
/* Any thread. Re-reads the size into facts (0 or -errno); ops are checked against it from then
 * on. */
SHIM_API int32_t shim_file_facts(int32_t file, struct shim_file_facts *facts);
/* Any thread. Makes a regular file this large; further bytes are zero. No op may reach beyond `bytes`
 * any more. 0 or -errno: -EINVAL a block device, -EROFS opened read-only, -ENOSPC, -EFBIG, … */
SHIM_API int32_t shim_file_resize(int32_t file, double bytes);
/* FILL: with `pattern`, four bytes over and over; DISCARD: gives the range back, it reads
 * as zero (-EOPNOTSUPP: not here); SYNC: everything onto the medium, without a range. */
enum { SHIM_ERASE_DISCARD = 1, SHIM_ERASE_FILL = 2, SHIM_ERASE_SYNC = 3 };
/* Any thread; takes as long as it takes. No op may touch the range. 0 or -errno. */
SHIM_API int32_t shim_file_erase(int32_t file, double at, double bytes, int32_t how,
                                 int32_t pattern);
SHIM_API int32_t shim_file_close(int32_t file);         /* any thread; no op may be outstanding */

/* ---- PCI devices ------------------------------------------------------------------------------ */

/*
 * A device is the process's, like a file: an id that every thread may use, unless it says otherwise.
 * Its registers are BAR 0. What it may reach by itself is DMA memory: the buffer area of every
 * arena, and what shim_dma_create() made; each is told to the IOMMU once, when the first device that
 * needs it is opened or when the memory is made, and forgotten when one of both goes.
 *
 * A device sees memory at an address of its own. Within 2 MiB (aligned in region and arena) it is
 * contiguous, further it need not be: ask for each 2 MiB once.
 *
 * A device that is gone or has its memory switched off reads as all ones, and writes to it are lost.
 */
enum {
  SHIM_PCI_MEMORY = 0,   /* no device: its registers are a region; name: the region's id */
  SHIM_PCI_VFIO = 1,     /* VFIO container and group. path: /dev/vfio/GROUP, name: 0000:03:00.0 */
  SHIM_PCI_IOMMUFD = 2,  /* VFIO device and iommufd. path: /dev/vfio/devices/vfioN; name: unused */
  SHIM_PCI_UIO = 3       /* no IOMMU: physical addresses, no interrupts. path: /dev/uioN, name: the
                            device's folder in sysfs */
};
/* What was opened. 16 words. */
struct shim_pci_facts {
  int32_t bar_bytes;     /* of BAR 0 */
  int32_t vectors;       /* MSI-X vectors that may be armed; 0: it can only be polled */
  int32_t reset;         /* 1 = shim_pci_reset() works */
  int32_t translated;    /* 1 = an IOMMU confines what the device may reach */
  int32_t reserved[12];
};
/* Any thread. Takes the device for this process, its memory space on and bus mastering off. An id
 * >= 0, or -errno: -EBUSY somebody has it, -EPERM/-EACCES, -ENODEV not there or not bound, -ENOENT no
 * such path, -ENOMEM memory may not be locked (RLIMIT_MEMLOCK), -EOPNOTSUPP this kernel lacks it,
 * -ENOBUFS (UIO) DMA memory is not made of huge pages, or its place is not told (CAP_SYS_ADMIN). */
SHIM_API int32_t shim_pci_open(int32_t access, const char *name, const char *path,
                               struct shim_pci_facts *facts);
/* Bus mastering off, and the device given back. -EBUSY: a queue of it is open. */
SHIM_API int32_t shim_pci_close(int32_t device);
/* One 32-bit access to a register, at a multiple of 4; outside of the BAR reads as all ones. A
 * write is ordered behind everything that this thread wrote to memory before. */
SHIM_API int32_t shim_pci_read(int32_t device, int32_t at);
SHIM_API int32_t shim_pci_write(int32_t device, int32_t at, int32_t value);   /* 0 or -EINVAL */
/* Configuration space: 1, 2 or 4 bytes at their alignment. */
SHIM_API double shim_pci_config_read(int32_t device, int32_t at, int32_t bytes); /* or -errno */
SHIM_API int32_t shim_pci_config_write(int32_t device, int32_t at, int32_t bytes, int32_t value);
/* The device may (1) or may not (0) reach memory by itself. Switch on only what was reset. */
SHIM_API int32_t shim_pci_master(int32_t device, int32_t on);
/* Resets the function, which keeps its configuration, and switches its memory space on. 0 or -errno
 * (-EOPNOTSUPP). */
SHIM_API int32_t shim_pci_reset(int32_t device);
/* Vectors 0 .. count - 1 have an event each from now on; 0: none. Call it while no queue with a
 * vector is open. 0 or -errno. */
SHIM_API int32_t shim_pci_interrupts(int32_t device, int32_t count);
/* How often a vector has fired since this was called last; for who has no shim. -EINVAL: no such. */
SHIM_API int32_t shim_pci_interrupted(int32_t device, int32_t vector);
SHIM_API int32_t shim_pci_interrupt(int32_t device, int32_t vector);  /* as if the device had */
/* What befell the device since it was opened, bits. */
enum {
  SHIM_PCI_WANTED = 1,   /* the system wants it back (unplugged, unbound): close it */
  SHIM_PCI_ERROR = 2,    /* the bus reported an error that was not corrected */
  SHIM_PCI_LOST = 4      /* a register access failed: it is gone, or was, until shim_pci_reset() */
};
SHIM_API int32_t shim_pci_state(int32_t device);

/* Any thread. A region of zeroed DMA memory, 2 MiB-aligned, of huge pages where some are reserved;
 * shim_region_release() when no device uses it. An id or -errno (-ENOBUFS as shim_open()). */
SHIM_API int32_t shim_dma_create(double bytes);
/* Where the device finds a place of DMA memory (region 0: this thread's buffer area): two words, lo
 * and hi, to out. 0 or -EFAULT: not DMA memory. */
SHIM_API int32_t shim_dma_address(int32_t device, int32_t region, int32_t lo, int32_t hi,
                                  int32_t *out);
/* The other way round, for who plays a SHIM_PCI_MEMORY device; NULL when any of it is outside. */
SHIM_API void *shim_dma_pointer(int32_t lo, int32_t hi, int32_t bytes);

/* A queue pair of a device, driven by this thread: two doors that a turn rings, and one word of
 * memory that it waits for. 16 words. */
enum {
  SHIM_Q_RING = 0,            /* T  SHIM_RING_*: doors that the next turn rings; it sets it to 0 */
  SHIM_Q_TAIL = 1,            /* T  what it writes to the door of submissions */
  SHIM_Q_HEAD = 2,            /* T  what it writes to the door of completions */
  SHIM_Q_WATCH_AT = 3,        /* T  there is news when the word here in the queue's region, */
  SHIM_Q_WATCH_MASK = 4,      /* T  and this, */
  SHIM_Q_WATCH_VALUE = 5      /* T  is this. MASK 0: nothing is expected, and the turn may block; else
                                    a queue without a vector keeps it from blocking */
};
enum { SHIM_RING_TAIL = 1, SHIM_RING_HEAD = 2 };
/* Doors are registers; region is where its rings are; vector: of shim_pci_interrupts(), -1 = none.
 * The queue's number, 0 .. 63 for each shim, or -errno. */
SHIM_API int32_t shim_queue_open(int32_t device, int32_t tail_at, int32_t head_at, int32_t region,
                                 int32_t vector);
SHIM_API int32_t shim_queue_close(int32_t queue);       /* its doors are rung no more */

/* ---- threads --------------------------------------------------------------------------------- */

SHIM_API int32_t shim_pin(int32_t cpu);                 /* pins the calling thread; 0 or -errno */
/* Any thread. The processors this process may use, ascending; how many were written. */
SHIM_API int32_t shim_cpus(int32_t *cpus, int32_t max);
SHIM_API int32_t shim_engines(void);   /* any thread; bit per SHIM_ENGINE_* permitted here */

#endif
