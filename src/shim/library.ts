/**
 * Loads the native library and binds its functions, each by its C prototype.
 * Used by shim.ts and pci.ts, which say what the functions mean.
 *
 * Each thread loads the library once; its code and its tables of files, regions and devices are the
 * process's.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'

/** The library that `make -C native` leaves. */
const NAME = process.platform === 'win32' ? 'shim.dll' : 'shim.so'
const DEFAULT_PATH = fileURLToPath(new URL(`../../.weft/build/${NAME}`, import.meta.url))

// koffi converts and checks the arguments itself; the types that count are those of the faces.
export type Native = (...args: any[]) => any

/**
 * The functions of the library at `path`, else at $WEFT_SHIM, else where `make -C native` leaves it.
 * Throws an Error in people's words when it is missing.
 */
export function loadLibrary<Name extends string>(
  prototypes: Readonly<Record<Name, string>>, path?: string,
): (name: Name) => Native {
  const place = path ?? process.env['WEFT_SHIM'] ?? DEFAULT_PATH
  if (!existsSync(place)) {
    throw new Error(`The native part is missing at ${place}. Run npm start once, it compiles it.`)
  }
  const library = koffi.load(place)
  return (name) => library.func(prototypes[name])
}

/** Memory of the library, mapped: no copy. */
export function viewOf(address: unknown, bytes: number): ArrayBuffer {
  return koffi.view(address, bytes)
}
