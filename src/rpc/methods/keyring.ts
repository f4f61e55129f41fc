/**
 * Methods about keys: names for files with secrets, by which hosts are given theirs.
 * catalogue.ts lists them. Invariant: no secret is asked for, answered or kept, only where it is.
 */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import type { Draft } from '../../config/document.ts'
import { readSecretFile } from '../../config/keys.ts'
import { deviceName } from '../../config/schema.ts'
import { CODE, RpcError, exists, invalid } from '../error.ts'
import { method } from '../method.ts'

const name = deviceName.describe('Name of the key.')
const path = z.string({ error: 'an absolute path' }).refine(isAbsolute, { error: 'an absolute path' })

export const KEYRING_METHODS = [
  method('keyring_file_add_key', {
    summary: 'Gives a file with a secret (DHHC-1:…), readable by weft alone, a name.',
    params: { name, path: path.describe('Path of the file.') },
    result: 'true',
    changes: true,
    example: { name: 'host1', path: '/etc/weft/host1.key' },
    run: (params, { edit }) => edit((draft) => {
      const keyring = (draft.keyring ??= {}) as Draft
      if (Object.hasOwn(keyring, params.name)) throw exists(`There is a key ${params.name} already.`)
      const secret = readSecretFile(params.path)
      if (typeof secret === 'string') throw invalid(`path: ${secret}`)
      keyring[params.name] = params.path
      return true
    }),
  }),
  method('keyring_file_remove_key', {
    summary: 'Forgets the name of a key; hosts that were given it keep it.',
    params: { name },
    result: 'true',
    changes: true,
    example: { name: 'host1' },
    run: (params, { edit }) => edit((draft) => {
      const keyring = (draft.keyring ?? {}) as Draft
      if (!Object.hasOwn(keyring, params.name)) {
        throw new RpcError(CODE.NO_ENTRY, 'No such file or directory', [`There is no key ${params.name}.`])
      }
      delete keyring[params.name]
      return true
    }),
  }),
  method('keyring_get_keys', {
    summary: 'Lists the names of keys and the files that they stand for.',
    result: 'A list of objects: name, path, module, removed.',
    run: (_params, { document }) => Object.entries((document.draft.keyring ?? {}) as Record<string, string>)
      .map(([key, file]) => ({ name: key, path: file, module: 'keyring_file', removed: false })),
  }),
]
