/** Statuses that commands of the simulated hosts may end with: SCT and SC. */
export const STATUS = {
  ABORTED: 0x07, FAILED_FUSED: 0x09, PREEMPTED: 0x1b, INTERRUPTED: 0x21, CONFLICT: 0x83, CAPACITY: 0x81, COMPARE_FAILURE: 0x285, WRITE_FAULT: 0x280, READ_ERROR: 0x281,
} as const
