/** values: JSON values out of a stream, however its bytes come. */
import { describe, expect, test } from 'vitest'
import { Values, ValuesError } from '../../../src/rpc/values.ts'

const LIMIT = 1000

function take(values: Values, text: string | Buffer): string[] {
  return [...values.take(Buffer.from(text))]
}

describe('values', () => {
  test('without a newline, several in one piece, spaces between', () => {
    expect(take(new Values(LIMIT), '{"a":1}{"b":[2]} \n\t[3]')).toEqual(['{"a":1}', '{"b":[2]}', '[3]'])
  })

  test('byte by byte, with brackets, quotes and backslashes in texts', () => {
    const text = String.raw`{"a":"}\"]\\","é€":["{"]}[{}]`
    const values = new Values(LIMIT)
    const found = [...Buffer.from(text)].flatMap((byte) => take(values, Buffer.from([byte])))
    expect(found).toEqual([String.raw`{"a":"}\"]\\","é€":["{"]}`, '[{}]'])
    expect(values.begun).toBe(false)
  })

  test('one that has begun is waited for', () => {
    const values = new Values(LIMIT)
    expect(take(values, '{"a":')).toEqual([])
    expect(values.begun).toBe(true)
    expect(take(values, '1}')).toEqual(['{"a":1}'])
  })

  test('the limit is for one value, not for the stream', () => {
    const values = new Values(10)
    for (let count = 0; count < 5; count++) expect(take(values, '[1,2,3,4]')).toEqual(['[1,2,3,4]'])
    expect(() => take(values, '[1,2,3,4,5]')).toThrow('longer than 10 bytes')
  })

  test('of a value that never ends no more than the limit is kept', () => {
    const values = new Values(LIMIT)
    expect(() => {
      for (let count = 0; count < 100; count++) take(values, count === 0 ? '["' : 'x'.repeat(100))
    }).toThrow(ValuesError)
  })

  test.each([
    ['a word', 'GET / HTTP/1.1', 'begins with { or ['],
    ['a number', '1', 'begins with { or ['],
    ['65 brackets', '['.repeat(65), 'nested too deeply'],
    ['what is no UTF-8', Buffer.from([0x5b, 0x22, 0xc3, 0x28, 0x22, 0x5d]), 'not UTF-8'],
  ])('%s is refused', (_name, text, sentence) => {
    expect(() => take(new Values(LIMIT), text)).toThrow(sentence)
  })
})
