/**
 * A state folder that nothing can be written to: hosts are served all the same, and the operator is told once for
 * each kind of thing that will be forgotten.
 */
import { afterAll, expect, test } from 'vitest'
import { getLogPage, read } from '../command-bytes.ts'
import { NQN, configuration, startDaemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

afterAll(closeWires)

test('costs a warning, nothing else', async () => {
  // No folder can be made there, not by root either.
  const daemon = await startDaemon(configuration({ state: '/sys/weft-state' }))
  const at = await openSession(daemon.endpoint, { subnqn: NQN }, 1)
  await at.queue(1).must(read(1, 0, 1), { receive: 512 })
  const { data } = await at.admin.must(getLogPage(2, 128), { receive: 512 })
  expect(Number(data.readBigUInt64LE(64)), 'reads').toBe(1)
  const about = (subject: string) => (line: Record<string, unknown>): boolean =>
    new RegExp(`${subject}\\.json cannot be written`).test(JSON.stringify(line))
  for (const subject of ['health', 'events']) await daemon.line(about(subject), `a warning about ${subject}`)
  closeWires()
  await daemon.stop()
  for (const subject of ['health', 'events']) expect(daemon.lines.filter(about(subject)).length).toBe(1)
})
