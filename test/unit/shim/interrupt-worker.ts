/**
 * Plays a device on another thread: writes the word that is waited for, then fires its vector. It
 * begins late enough to find the waiting thread asleep, as a rule; either way the turn must end.
 */
import { workerData } from 'node:worker_threads'
import { loadPci } from '../../../src/shim/pci.ts'
import { loadShim } from '../../../src/shim/shim.ts'

const ASLEEP_MS = 50
const { device, vector, memory } = workerData as { device: number, vector: number, memory: number }

setTimeout(() => {
  new Int32Array(loadShim().regionView(memory, 4096))[0] = 1
  loadPci().interrupt(device, vector)
}, ASLEEP_MS)
