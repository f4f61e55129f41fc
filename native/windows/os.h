/*
 * os.h: the headers of Windows in the one order that works, and the calls between the files of this
 * folder. Included by these files only, before core.h.
 *
 *   iocp.c ──▶ file.c (handles, what waits), socket.c, error.c
 *
 * Invariant: a handle is stored as an int32_t; only 32 bits of one count.
 */
#ifndef WEFT_WINDOWS_OS_H
#define WEFT_WINDOWS_OS_H
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00      /* Windows 10, Server 2016 */
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <winioctl.h>
#include <mmsystem.h>
#include "../core.h"

static inline HANDLE handle_of(int32_t number) { return (HANDLE)(intptr_t)number; }
static inline int32_t number_of(HANDLE handle) { return (int32_t)(intptr_t)handle; }
static inline SOCKET socket_of(int32_t number) { return (SOCKET)(uint32_t)number; }

/* error.c: an error of Windows or Winsock as a positive number of Linux. */
int error_number(DWORD error);
static inline int error_last(void) { return -error_number(GetLastError()); }
static inline int error_of_socket(void) { return -error_number((DWORD)WSAGetLastError()); }

/* file.c. The handle through which the shim reads and writes a file: of its own, since one can be
 * tied to one port only. 0 or -errno. */
int file_handle(int32_t file, struct shim *shim, HANDLE *handle);

/* Whether a transfer begins, ends and lies in memory as the file's sectors ask for. */
bool file_aligned(const struct op *op);

/* socket.c: Winsock is there. 0 or -errno. */
int sockets_begin(void);

#endif
