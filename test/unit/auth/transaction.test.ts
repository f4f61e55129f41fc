/**
 * A transaction that is given up: what both sides had agreed on is in no memory any more.
 */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Secret } from '../../../src/auth/secret.ts'
import { Transaction } from '../../../src/auth/transaction.ts'
import { CHAP, HASHES, HOST_SECRET, REPLY, GROUP_BYTES, head, negotiate } from '../../authentication-bytes.ts'

const GROUP = 1
const TID = 7

/** agree: called when the other's value is there; resolves when the test says so. */
async function awaitingReply() {
  const shared = Buffer.alloc(GROUP_BYTES[GROUP]!, 7)
  let agreed: () => void = () => {}
  const transaction = new Transaction({
    keys: { nqn: 'nqn.host', key: Secret.parse(HOST_SECRET) as Secret, controllerKey: null, hashes: [1], groups: [GROUP] },
    host: 'nqn.host', subsystem: 'nqn.subsystem', random: randomBytes, nextSeqnum: () => 1,
    exchanges: { offer: async (bytes) => ({
      value: Buffer.alloc(bytes, 1), agree: () => new Promise((resolve) => { agreed = () => resolve(shared) }),
    }) },
  })
  await transaction.send(negotiate(TID, { hashes: [1], groups: [GROUP] }))
  await transaction.receive(4096)
  expect(transaction.stage).toBe('reply')
  const message = head(16 + 2 * HASHES[1][1] + GROUP_BYTES[GROUP]!, CHAP, REPLY, TID)
  message.writeUInt8(HASHES[1][1], 6)
  message.writeUInt16LE(GROUP_BYTES[GROUP]!, 10)
  const replied = transaction.send(message)
  return { transaction, shared, replied, agree: () => agreed() }
}

test.each([['before', true], ['after', false]])('%s both sides have agreed on a secret, it is zeroed', async (_when, first) => {
  const { transaction, shared, replied, agree } = await awaitingReply()
  if (first) transaction.abandon()
  agree()
  await replied
  transaction.abandon()
  expect(transaction.proven).toBe(false)
  expect(shared.every((byte) => byte === 0)).toBe(true)
})
