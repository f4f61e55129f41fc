/**
 * Threads: a wake ends a wait, two shims in two workers share files and regions and nothing else,
 * processors can be listed and pinned to.
 */
import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'vitest'
import { COUNTER, ENGINE, H } from '../../../src/shim/abi.ts'
import { errnoName, loadShim } from '../../../src/shim/shim.ts'
import { ENGINES, Rig, shim } from './rig.ts'

const SOURCES = {
  shim: new URL('../../../src/shim/shim.ts', import.meta.url).href,
  rig: new URL('./rig.ts', import.meta.url).href,
}

/** Runs `body` in a worker, with `shim`, `Rig`, `port` (the parent) and `given` in scope. */
function work(body: string, given: unknown): Worker {
  const source = `
    import { parentPort as port, workerData as given } from 'node:worker_threads'
    import { Rig, shim } from '${SOURCES.rig}'
    ${body}`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`),
    { workerData: given })
}

const message = <Value>(worker: Worker): Promise<Value> => new Promise((resolve, reject) => {
  worker.once('message', resolve)
  worker.once('error', reject)
})

/** Its messages in order: none is missed, however many come at once. */
async function* messages(worker: Worker): AsyncGenerator<unknown, void> {
  for await (const [each] of on(worker, 'message')) yield each
}

let rig: Rig | undefined
afterEach(() => {
  rig?.close()
  rig = undefined
})

describe.each(ENGINES)('$name', ({ engine }) => {
  test('a wake before the turn is not lost and is told once', () => {
    rig = new Rig({ engine })
    rig.words[H.WAIT_US] = 20_000_000
    expect(shim.wake(rig.id)).toBe(0)
    expect(rig.turn()).toBe(0)
    expect(rig.word(H.WOKEN)).toBe(1)
    rig.words[H.WAIT_US] = 0
    expect(rig.turn()).toBe(0)
    expect(rig.word(H.WOKEN)).toBe(0)
    expect(rig.counter(COUNTER.BLOCKS)).toBe(0)
  })

  const waits = [['sleeping', 0], ['spinning', -1]] as const
  test.each(waits)('a wake ends the wait of a %s shim', async (_, spinUs) => {
    // 60 s of wait against the test's 30: only the wake lets the worker go on.
    const worker = work(`
      const rig = new Rig({ engine: given.engine })
      rig.words[${H.SPIN_US}] = given.spinUs
      rig.words[${H.WAIT_US}] = 60_000_000
      port.postMessage(rig.id)
      const woken = []
      for (let i = 0; i < 3; i++) {
        woken.push(shim.turn(), rig.words[${H.WOKEN}])
        port.postMessage(i)
      }
      rig.close()
      port.postMessage(woken)`, { engine, spinUs })
    const said = messages(worker)
    const id = (await said.next()).value as number
    for (let i = 0; i < 3; i++) {
      setTimeout(() => shim.wake(id), 20)
      expect((await said.next()).value).toBe(i)
    }
    expect((await said.next()).value).toEqual([0, 1, 0, 1, 0, 1])
    await worker.terminate()
  })

  test('two shims in two workers, one region seen by both', async () => {
    const region = shim.regionCreate(1 << 20, false)
    const body = `
      const rig = new Rig({ engine: given.engine })
      const view = new Int32Array(shim.regionView(given.region, 1 << 20))
      rig.words[rig.buffer(0) >> 2] = given.value
      rig.copy([given.region, 4 * given.value], [0, rig.buffer(0)], 4)
      rig.turn()
      const { client, connection } = await rig.connect()
      client.write('hello')
      await rig.until('five bytes', () => rig.available(connection) === 5)
      const id = rig.id
      port.postMessage({ id, text: rig.consume(connection).toString() })
      await new Promise((resolve) => port.once('message', resolve))
      rig.close()
      process.exit()`
    const workers = [1, 2].map((value) => work(body, { engine, region, value }))
    const told = await Promise.all(workers.map((worker) =>
      message<{ id: number; text: string }>(worker)))
    expect(told.map(({ text }) => text)).toEqual(['hello', 'hello'])
    expect(told[0]!.id).not.toBe(told[1]!.id)
    expect(Array.from(new Int32Array(shim.regionView(region, 16)))).toEqual([0, 1, 2, 0])
    for (const worker of workers) {
      const exited = new Promise((resolve) => worker.once('exit', resolve))
      worker.postMessage('end')
      await exited
    }
    expect(shim.regionRelease(region)).toBe(0)
  })

  test('counters and the clock move', () => {
    rig = new Rig({ engine })
    rig.words[H.WAIT_US] = 2000
    rig.turn()
    const before = rig.word(H.NOW_US)
    rig.turn()
    expect((rig.word(H.NOW_US) - before) | 0).toBeGreaterThan(0)
    expect(rig.counter(COUNTER.TURNS)).toBe(2)
    expect(rig.counter(COUNTER.BLOCKS)).toBe(2)
    expect(rig.counter(COUNTER.SYSCALLS)).toBeGreaterThan(0)
  })
})

test('processors are listed and can be pinned to', async () => {
  const cpus = shim.cpus()
  expect(cpus.length).toBeGreaterThan(0)
  expect(cpus).toEqual([...cpus].sort((a, b) => a - b))
  const body = 'port.postMessage([shim.pin(given), shim.cpus(), shim.pin(100000)])'
  const pin = work(body, cpus.at(-1))
  expect(await message(pin)).toEqual([0, cpus, expect.any(Number)])
  await pin.terminate()
})

test('EPOLL is always permitted, on Windows IOCP', () => {
  const always = process.platform === 'win32' ? ENGINE.IOCP : ENGINE.EPOLL
  expect(shim.engines() & (1 << always)).not.toBe(0)
})

test('a missing library is told with its remedy, an errno by its name', () => {
  expect(() => loadShim('/nowhere/shim.so')).toThrow(/\/nowhere\/shim\.so.*npm start/)
  expect(errnoName(-98)).toBe('EADDRINUSE')
  expect(errnoName(98)).toBe('EADDRINUSE')
  expect(errnoName(-99999)).toBe('errno 99999')
})
