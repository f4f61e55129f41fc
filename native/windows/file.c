/*
 * file.c: files, on Windows: opening with a lock, what the system says about them, and a handle for
 * each shim. Called by TypeScript on any thread; op.c looks files up through file_use(), iocp.c
 * takes its handles through file_handle().
 *
 *   path → CreateFile → lock → sparse, size → sectors? → FSCTL_SET_ZERO_DATA? → table
 *
 * The base handle waits and is for everything but reading and writing; a shim's own handle is tied
 * to its port. The lock is one byte far beyond what any file has.
 * Invariant: nothing is written to, or changed in, a file whose lock was refused.
 */
#include "os.h"
#include <stdlib.h>
#include <string.h>

enum { PATH_CHARS = 32768, SECTOR_BYTES = 512, SHARE_ALL = 7, LOCK_AT_HIGH = 0x7ffffffe };

struct file {
  atomic_bool open;
  HANDLE base;
  bool read_only, direct;
  uint32_t unit_bytes;             /* of positions, sizes and memory; 1: any */
  _Atomic uint64_t bytes;
  struct shim_file_facts facts;
  HANDLE handles[SHIMS_MAX];       /* each touched by the thread of its shim only; NULL: none */
};
static struct file files[FILES_MAX];
static struct mutex mutex = MUTEX_FREE;

int file_use(int32_t file, struct file_use *use) {
  if (file < 0 || file >= FILES_MAX) return -EINVAL;
  if (!atomic_load_explicit(&files[file].open, memory_order_acquire)) return -EINVAL;
  use->fd = file;
  use->read_only = files[file].read_only;
  use->bytes = atomic_load_explicit(&files[file].bytes, memory_order_relaxed);
  return 0;
}

/* ---- what a shim does with one ---------------------------------------------------------------- */

static DWORD access_of(bool read_only) {
  return read_only ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
}

static HANDLE reopen(HANDLE base, bool read_only, bool direct) {
  DWORD flags = FILE_FLAG_OVERLAPPED | (direct ? FILE_FLAG_NO_BUFFERING : 0);
  HANDLE handle = ReOpenFile(base, access_of(read_only), SHARE_ALL, flags);
  return handle == INVALID_HANDLE_VALUE ? NULL : handle;
}

int file_handle(int32_t id, struct shim *shim, HANDLE *handle) {
  struct file *file = &files[id];
  *handle = file->handles[shim->id];
  if (*handle) return 0;
  HANDLE made = reopen(file->base, file->read_only, file->direct);
  if (!made) return error_last();
  if (!CreateIoCompletionPort(made, handle_of(shim->waker->event), 0, 0)) {
    int error = error_last();
    CloseHandle(made);
    return error;
  }
  file->handles[shim->id] = made;
  *handle = made;
  return 0;
}

bool file_aligned(const struct op *op) {
  uint64_t unit = files[op->fd].unit_bytes;
  return ((op->at | op->bytes | (uintptr_t)op->memory) & (unit - 1)) == 0;
}

static int zero_range(HANDLE base, uint64_t at, uint64_t bytes) {
  FILE_ZERO_DATA_INFORMATION range;
  DWORD none = 0;
  range.FileOffset.QuadPart = (LONGLONG)at;
  range.BeyondFinalZero.QuadPart = (LONGLONG)(at + bytes);
  return DeviceIoControl(base, FSCTL_SET_ZERO_DATA, &range, sizeof range, NULL, 0, &none, NULL)
    ? 0 : error_last();
}

static int32_t write_waiting(HANDLE base, const struct op *op) {
  OVERLAPPED at = {.Offset = (DWORD)op->at, .OffsetHigh = (DWORD)(op->at >> 32)};
  DWORD done = 0;
  return WriteFile(base, op->memory, (DWORD)op->bytes, &done, &at) ? (int32_t)done : error_last();
}

/* What waits: a flush, ranges that become zero, and what erase.c writes. Any thread. */
int32_t op_execute(struct op *op) {
  const struct file *file = &files[op->fd];
  if (op->syncing || op->code == SHIM_OP_SYNC) {
    return file->read_only || FlushFileBuffers(file->base) ? 0 : error_last();
  }
  if (op->code == SHIM_OP_WRITE) return write_waiting(file->base, op);
  if (op->code != SHIM_OP_DISCARD && op->code != SHIM_OP_ZERO) return -EINVAL;
  return zero_range(file->base, op->at, op->bytes);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* UTF-8 to what the system takes; the caller frees it. */
static WCHAR *wide_path(const char *path) {
  WCHAR *wide = malloc(PATH_CHARS * sizeof *wide);
  if (!wide) return NULL;
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_CHARS)) return wide;
  free(wide);
  return NULL;
}

static int open_path(const WCHAR *path, int32_t flags, struct shim_file_facts *facts,
                     HANDLE *base) {
  bool read_only = (flags & SHIM_FILE_READ_ONLY) != 0;
  DWORD attributes = GetFileAttributesW(path);
  DWORD how = OPEN_EXISTING;
  if (wcsncmp(path, L"\\\\.\\", 4) == 0) return -ENODEV; /* drives and other devices */
  if (attributes == INVALID_FILE_ATTRIBUTES) {
    if (read_only || !(flags & SHIM_FILE_CREATE)) return error_last();
    how = CREATE_NEW;
  } else if (attributes & FILE_ATTRIBUTE_DIRECTORY) {
    return -EISDIR;
  }
  *base = CreateFileW(path, access_of(read_only), SHARE_ALL, NULL, how, FILE_ATTRIBUTE_NORMAL,
                      NULL);
  if (*base == INVALID_HANDLE_VALUE) return error_last();
  facts->created = how == CREATE_NEW;
  if (GetFileType(*base) == FILE_TYPE_DISK) return 0;
  CloseHandle(*base);
  return -ENODEV;
}

static void put_size(struct shim_file_facts *facts, uint64_t bytes) {
  facts->bytes_lo = (int32_t)(uint32_t)bytes;
  facts->bytes_hi = (int32_t)(uint32_t)(bytes >> 32);
}

static int set_size(HANDLE base, uint64_t bytes) {
  FILE_END_OF_FILE_INFO end;
  end.EndOfFile.QuadPart = (LONGLONG)bytes;
  return SetFileInformationByHandle(base, FileEndOfFileInfo, &end, sizeof end) ? 0 : error_last();
}

static int lock_and_size(HANDLE base, int32_t flags, uint64_t wanted,
                         struct shim_file_facts *facts) {
  bool read_only = (flags & SHIM_FILE_READ_ONLY) != 0;
  OVERLAPPED at = {.OffsetHigh = LOCK_AT_HIGH};
  DWORD how = LOCKFILE_FAIL_IMMEDIATELY | (read_only ? 0 : LOCKFILE_EXCLUSIVE_LOCK), none = 0;
  LARGE_INTEGER size;
  if (!LockFileEx(base, how, 0, 1, 0, &at)) {
    return GetLastError() == ERROR_IO_PENDING ? -EWOULDBLOCK : error_last();
  }
  if (facts->created) DeviceIoControl(base, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &none, NULL);
  if (!GetFileSizeEx(base, &size)) return error_last();
  uint64_t bytes = (uint64_t)size.QuadPart;
  bool grows = facts->created || (flags & SHIM_FILE_GROW && !read_only);
  int result = grows && bytes < wanted ? set_size(base, wanted) : 0;
  put_size(facts, grows && bytes < wanted ? wanted : bytes);
  return result;
}

/* ---- what the system says ------------------------------------------------------------------- */

/* Sectors of the volume: as the file's storage says, else as its volume does. */
static void find_sectors(HANDLE base, const WCHAR *path, struct shim_file_facts *facts) {
  FILE_STORAGE_INFO storage;
  DWORD a = 0, sector = 0, b = 0, c = 0;
  facts->logical_bytes = SECTOR_BYTES;
  facts->physical_bytes = SECTOR_BYTES;
  if (GetFileInformationByHandleEx(base, FileStorageInfo, &storage, sizeof storage)) {
    facts->logical_bytes = (int32_t)storage.LogicalBytesPerSector;
    facts->physical_bytes = (int32_t)storage.PhysicalBytesPerSectorForPerformance;
  } else {
    WCHAR *volume = malloc(PATH_CHARS * sizeof *volume);
    if (volume && GetVolumePathNameW(path, volume, PATH_CHARS) &&
        GetDiskFreeSpaceW(volume, &a, &sector, &b, &c) && sector) {
      facts->logical_bytes = facts->physical_bytes = (int32_t)sector;
    }
    free(volume);
  }
  facts->memory_align_bytes = facts->logical_bytes;
}

static void find_direct(HANDLE base, const WCHAR *path, int32_t flags,
                        struct shim_file_facts *facts) {
  find_sectors(base, path, facts);
  if (!(flags & SHIM_FILE_BUFFERED)) {
    HANDLE tried = reopen(base, facts->read_only, true);
    facts->direct = tried != NULL;
    if (tried) CloseHandle(tried);
    else facts->direct_errno = error_number(GetLastError());
  }
  if (facts->direct) return;
  facts->logical_bytes = 1;
  facts->memory_align_bytes = 1;
}

/* Zeroing is tried beyond the end, where nobody reads: it makes no file longer. */
static void find_abilities(HANDLE base, struct shim_file_facts *facts) {
  FILE_BASIC_INFO basic;
  uint64_t bytes = wide(facts->bytes_lo, facts->bytes_hi);
  if (facts->read_only || zero_range(base, bytes, SECTOR_BYTES) < 0) return;
  facts->zero = 1;
  if (!GetFileInformationByHandleEx(base, FileBasicInfo, &basic, sizeof basic)) return;
  facts->discard = (basic.FileAttributes & FILE_ATTRIBUTE_SPARSE_FILE) != 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int32_t insert(HANDLE base, const struct shim_file_facts *facts) {
  int32_t id = 0;
  mutex_lock(&mutex);
  while (id < FILES_MAX && atomic_load(&files[id].open)) id++;
  if (id < FILES_MAX) {
    struct file *file = &files[id];
    file->base = base;
    file->read_only = facts->read_only != 0;
    file->direct = facts->direct != 0;
    file->unit_bytes = (uint32_t)facts->logical_bytes;
    file->facts = *facts;
    memset(file->handles, 0, sizeof file->handles);
    atomic_store(&file->bytes, wide(facts->bytes_lo, facts->bytes_hi));
    atomic_store_explicit(&file->open, true, memory_order_release);
  }
  mutex_unlock(&mutex);
  return id < FILES_MAX ? id : -ENFILE;
}

static int32_t open_wide(const WCHAR *path, int32_t flags, uint64_t bytes,
                         struct shim_file_facts *facts) {
  HANDLE base;
  int32_t result = open_path(path, flags, facts, &base);
  if (result < 0) return result;
  facts->read_only = (flags & SHIM_FILE_READ_ONLY) != 0;
  result = lock_and_size(base, flags, bytes, facts);
  if (result == 0) {
    find_direct(base, path, flags, facts);
    find_abilities(base, facts);
    result = insert(base, facts);
  }
  if (result >= 0) return result;
  CloseHandle(base);
  if (facts->created) DeleteFileW(path);
  return result;
}

int32_t shim_file_open(const char *path, int32_t flags, double bytes,
                       struct shim_file_facts *facts) {
  const int32_t known = SHIM_FILE_CREATE | SHIM_FILE_READ_ONLY | SHIM_FILE_BUFFERED |
                        SHIM_FILE_GROW;
  if (!path || !facts || flags & ~known) return -EINVAL;
  if (!(bytes >= 0 && bytes <= 9007199254740991.0)) return -EINVAL;
  memset(facts, 0, sizeof *facts);
  WCHAR *wide = wide_path(path);
  if (!wide) return -EINVAL;
  int32_t result = open_wide(wide, flags, (uint64_t)bytes, facts);
  free(wide);
  return result;
}

int32_t shim_file_facts(int32_t file, struct shim_file_facts *facts) {
  if (file < 0 || file >= FILES_MAX || !facts) return -EINVAL;
  LARGE_INTEGER size;
  int result = -EINVAL;
  mutex_lock(&mutex);
  if (atomic_load(&files[file].open)) {
    result = GetFileSizeEx(files[file].base, &size) ? 0 : error_last();
    if (result == 0) {
      put_size(&files[file].facts, (uint64_t)size.QuadPart);
      atomic_store(&files[file].bytes, (uint64_t)size.QuadPart);
      *facts = files[file].facts;
    }
  }
  mutex_unlock(&mutex);
  return result;
}

int32_t shim_file_resize(int32_t file, double bytes) {
  if (file < 0 || file >= FILES_MAX) return -EINVAL;
  if (!(bytes >= 0 && bytes <= 9007199254740991.0)) return -EINVAL;
  int result = -EINVAL;
  mutex_lock(&mutex);
  if (atomic_load(&files[file].open)) {
    result = files[file].read_only ? -EROFS : set_size(files[file].base, (uint64_t)bytes);
    if (result == 0) {
      put_size(&files[file].facts, (uint64_t)bytes);
      atomic_store(&files[file].bytes, (uint64_t)bytes);
    }
  }
  mutex_unlock(&mutex);
  return result;
}

int32_t shim_file_close(int32_t id) {
  int result = -EINVAL;
  if (id < 0 || id >= FILES_MAX) return result;
  mutex_lock(&mutex);
  struct file *file = &files[id];
  if (atomic_load(&file->open)) {
    for (int i = 0; i < SHIMS_MAX; i++) if (file->handles[i]) CloseHandle(file->handles[i]);
    CloseHandle(file->base);
    atomic_store(&file->open, false);
    result = 0;
  }
  mutex_unlock(&mutex);
  return result;
}
