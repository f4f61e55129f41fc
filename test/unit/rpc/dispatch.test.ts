/** dispatch: JSON-RPC 2.0 by the letter, with methods that the test makes. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError } from '../../../src/config/mistake.ts'
import { StartError } from '../../../src/config/start-error.ts'
import { createLog } from '../../../src/control/log.ts'
import type { Context } from '../../../src/rpc/context.ts'
import { Dispatcher } from '../../../src/rpc/dispatch.ts'
import { noDevice } from '../../../src/rpc/error.ts'
import { method } from '../../../src/rpc/method.ts'

type Line = { event: string; message: string; method?: string; client?: string; outcome?: string }

const count = z.int({ error: 'a whole number' }).describe('How many.')

class Stage {
  readonly lines: Line[] = []
  readonly order: string[] = []
  readonly #dispatcher: Dispatcher

  constructor() {
    const plain = { summary: 'S.', result: 'R.' }
    const fail = (name: string, error: unknown) => method(name, {
      ...plain, changes: true, run: () => { throw error as Error },
    })
    this.#dispatcher = new Dispatcher([
      method('add', { ...plain, params: { one: count, other: count }, run: ({ one, other }) => one + other }),
      method('nothing', { ...plain, run: () => undefined }),
      method('later', {
        ...plain, changes: true, params: { name: z.string({ error: 'a text' }) },
        run: async ({ name }) => {
          this.order.push(`${name} begins`)
          await new Promise((resolve) => { setImmediate(resolve) })
          this.order.push(`${name} ends`)
          return name
        },
      }),
      fail('busy', noDevice('It has gone.')),
      fail('start', new StartError('Port 1 is taken.', 'Choose another.')),
      fail('config', new ConfigError('weft.json', [{ path: ['a', 0], sentence: 'found 1, allowed: 2' }])),
      fail('broken', new TypeError('x is not a function')),
    ], {
      log: createLog({
        format: 'json', level: 'info', colour: false,
        write: (line) => { this.lines.push(JSON.parse(line) as Line) },
      }),
    } as Context)
  }

  async ask(request: unknown): Promise<unknown> {
    const text = typeof request === 'string' ? request : JSON.stringify(request)
    const answer = await this.#dispatcher.answer(text, 'a test')
    return answer === null ? null : JSON.parse(answer) as unknown
  }
}

const call = (method_: string, params?: unknown, id: unknown = 1) => ({ jsonrpc: '2.0', id, method: method_, params })

describe('a call', () => {
  test('is answered with its result and its id', async () => {
    const stage = new Stage()
    expect(await stage.ask(call('add', { one: 1, other: 2 }))).toEqual({ jsonrpc: '2.0', id: 1, result: 3 })
    expect(await stage.ask(call('nothing', {}, 'text'))).toEqual({ jsonrpc: '2.0', id: 'text', result: null })
    expect(await stage.ask(call('nothing', undefined, null))).toEqual({ jsonrpc: '2.0', id: null, result: null })
    expect(await stage.ask({ method: 'nothing', id: 7 })).toEqual({ jsonrpc: '2.0', id: 7, result: null })
  })

  test('without an id is a notification: done, not answered', async () => {
    const stage = new Stage()
    expect(await stage.ask({ jsonrpc: '2.0', method: 'later', params: { name: 'x' } })).toBeNull()
    expect(stage.order).toEqual(['x begins', 'x ends'])
    expect(await stage.ask({ jsonrpc: '2.0', method: 'absent' })).toBeNull()
  })

  test('of wrong parameters: each mistake with where, what was found, what is allowed', async () => {
    const answer = await new Stage().ask(call('add', { one: '1', othr: 2 }))
    expect(answer).toEqual({
      jsonrpc: '2.0', id: 1,
      error: {
        code: -32602, message: 'Invalid parameters',
        data: [
          'one: found "1", allowed: a whole number',
          'other: found nothing, allowed: a whole number',
          '(top level): unknown key "othr", did you mean "other"? allowed: one, other',
        ],
      },
    })
    expect(await new Stage().ask(call('add', [1, 2]))).toMatchObject({ error: { code: -32602 } })
  })

  test.each([
    ['busy', -19, 'No such device', ['It has gone.']],
    ['start', -32602, 'Invalid parameters', ['Port 1 is taken. Choose another.']],
    ['config', -32602, 'Invalid parameters', ['a[0]: found 1, allowed: 2']],
    ['absent', -32601, 'Method not found', ['There is no method "absent"; rpc_get_methods lists them.']],
  ])('%s fails with %d', async (name, code, message, data) => {
    expect(await new Stage().ask(call(name))).toEqual({ jsonrpc: '2.0', id: 1, error: { code, message, data } })
  })

  test('a mistake of ours says nothing of the inside, the log does', async () => {
    const stage = new Stage()
    expect(await stage.ask(call('broken'))).toEqual({
      jsonrpc: '2.0', id: 1, error: { code: -32603, message: 'Internal error' },
    })
    expect(stage.lines.find(({ event }) => event === 'failure')?.message).toContain('x is not a function')
  })
})

describe('what is no call', () => {
  test.each([
    ['{"method"', -32700], ['[1,', -32700], ['[]', -32600], ['[1]', -32600],
    ['{"jsonrpc":"1.0","method":"nothing","id":1}', -32600],
    ['{"jsonrpc":"2.0","method":1,"id":1}', -32600], ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"jsonrpc":"2.0","method":"nothing","id":{}}', -32600],
  ])('%s: %d', async (text, code) => {
    const answer = await new Stage().ask(text)
    const first = Array.isArray(answer) ? answer[0] as object : answer
    expect(first).toMatchObject({ jsonrpc: '2.0', error: { code } })
  })
})

describe('a batch', () => {
  test('is answered in its order, one call after the other, notifications left out', async () => {
    const stage = new Stage()
    const answer = await stage.ask([
      call('later', { name: 'a' }, 1), { jsonrpc: '2.0', method: 'later', params: { name: 'b' } }, 3,
      call('later', { name: 'c' }, 2), call('absent', {}, 4),
    ])
    expect(answer).toMatchObject([
      { id: 1, result: 'a' }, { id: null, error: { code: -32600 } }, { id: 2, result: 'c' },
      { id: 4, error: { code: -32601 } },
    ])
    expect(stage.order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  })

  test('of notifications alone is not answered; one of too many calls is refused', async () => {
    const stage = new Stage()
    expect(await stage.ask([{ jsonrpc: '2.0', method: 'nothing' }])).toBeNull()
    const many = Array.from({ length: 1001 }, (_, id) => call('later', { name: 'x' }, id))
    expect(await stage.ask(many)).toMatchObject({ id: null, error: { code: -32600 } })
    expect(stage.order).toEqual([])
  })
})

test('what changes something has a line in the log, with who and what came of it', async () => {
  const stage = new Stage()
  await stage.ask([call('later', { name: 'a' }), call('busy'), call('add', { one: 1, other: 1 })])
  expect(stage.lines.filter(({ event }) => event === 'control')).toMatchObject([
    { method: 'later', client: 'a test', outcome: 'done' },
    { method: 'busy', client: 'a test', outcome: 'refused (-19 No such device)' },
  ])
})

