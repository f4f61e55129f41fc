/**
 * docs/RPC.md is what test/rpc-docs.ts makes of the methods today, and every example can be called.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { METHODS } from '../../../src/rpc/catalogue.ts'
import { openRpc } from '../../../src/rpc/open-rpc.ts'
import { RPC_DOCUMENT, rpcDocument } from '../../rpc-docs.ts'

test('docs/RPC.md is up to date; if not, run: node test/rpc-docs.ts', () => {
  expect(readFileSync(RPC_DOCUMENT, 'utf8')).toBe(rpcDocument())
})

test.each(METHODS)('the example of $name has parameters that are allowed', ({ params, example }) => {
  expect(params.safeParse(example).error?.issues ?? []).toEqual([])
})

test('each method is there once, and the OpenRPC document has all of them with their parameters', () => {
  const names = METHODS.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  const document = openRpc(METHODS, '1.2.3') as { methods: { name: string; params: { name: string; required: boolean }[] }[] }
  expect(document.methods.map(({ name }) => name)).toEqual(names)
  const add = document.methods.find(({ name }) => name === 'nvmf_subsystem_add_ns')!
  expect(add.params.map(({ name, required }) => [name, required])).toEqual([
    ['nqn', true], ['tgt_name', false], ['namespace', true],
  ])
})
