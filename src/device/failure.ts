/**
 * What the devices of a reactor report when they fail: messages to the control plane, which logs them.
 * reactor-thread gives both to device/open.ts.
 */
import type { ToControl } from '../reactor/messages.ts'
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'

type Report = (code: number, operation: string) => void

/** Of devices that have an errno, and of those that answer with a status. */
export function failureReports(
  nqn: string, { nsid, device }: NamespaceSnapshot, post: (message: ToControl) => void,
): [failed: Report, refused: Report] {
  const facts = { type: 'device-error', subsystem: nqn, nsid, path: 'path' in device ? device.path : '' } as const
  return [
    (errno, operation) => post({ ...facts, errno, operation }),
    (status, operation) => post({ ...facts, errno: 0, operation, status }),
  ]
}
