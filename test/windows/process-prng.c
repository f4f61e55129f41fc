/*
 * process-prng.c: bcryptprimitives.dll with the one function that programs written in Rust ask of it,
 * and that Wine 8 lacks: vitest's parser is one. wine.ts builds it into the prefix; Windows has its own.
 */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
  while (count) {
    ULONG part = count > 1u << 20 ? 1u << 20 : (ULONG)count;
    if (!RtlGenRandom(bytes, part)) return FALSE;
    bytes += part;
    count -= part;
  }
  return TRUE;
}
