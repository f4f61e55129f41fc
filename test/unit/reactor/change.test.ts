/**
 * Changes: done when every reactor has acknowledged them, or when one has ended.
 */
import { expect, test } from 'vitest'
import { Changes } from '../../../src/reactor/change.ts'
import type { ToReactor } from '../../../src/reactor/messages.ts'

function rig() {
  const posted: ToReactor[] = []
  const done: string[] = []
  const changes = new Changes(2, (message) => posted.push(message))
  const post = (name: string): void => {
    void changes.post({ kind: 'retire', indices: [] }).then(() => done.push(name))
  }
  const settled = async (): Promise<string[]> => {
    await Promise.resolve()
    return done
  }
  return { changes, posted, post, settled }
}

test('each with an id of its own, done when both have acknowledged it', async () => {
  const { changes, posted, post, settled } = rig()
  post('first')
  post('second')
  const ids = posted.map((each) => (each as { id: number }).id)
  expect(new Set(ids).size).toBe(2)
  changes.acknowledged(ids[1]!, 0)
  changes.acknowledged(ids[0]!, 0)
  changes.acknowledged(ids[1]!, 1)
  expect(await settled()).toEqual(['second'])
  changes.acknowledged(ids[0]!, 1)
  expect(await settled()).toEqual(['second', 'first'])
})

test('everything is done when a reactor has ended, also what comes later', async () => {
  const { changes, posted, post, settled } = rig()
  post('before')
  changes.abandon()
  post('after')
  changes.acknowledged(1, 0)
  expect(await settled()).toEqual(['before', 'after'])
  expect(posted.length).toBe(1)
})

test('one that has died is waited for no more, its successor acknowledges what comes later', async () => {
  const { changes, posted, post, settled } = rig()
  post('open')
  post('acknowledged by the one that dies')
  changes.acknowledged(2, 1)
  changes.acknowledged(1, 0)
  changes.lost(1)
  expect(await settled()).toEqual(['open'])
  post('later')
  changes.acknowledged(2, 0)
  changes.acknowledged(3, 0)
  expect(await settled()).toEqual(['open', 'acknowledged by the one that dies'])
  changes.acknowledged(3, 1)
  expect(await settled()).toHaveLength(3)
  expect(posted).toHaveLength(3)
})
