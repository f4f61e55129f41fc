/**
 * The worker of one reactor: what the system gives its thread, the shim and the port to the control plane.
 * target.ts starts it; reactor-thread.ts is the reactor.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ReactorThread } from './reactor-thread.ts'
import type { ReactorSetup, ToReactor } from './reactor/messages.ts'
import { loadShim } from './shim/shim.ts'

const port = parentPort!
await new ReactorThread(workerData as ReactorSetup, loadShim(), {
  post: (message) => port.postMessage(message),
  take: () => receiveMessageOnPort(port)?.message as ToReactor | undefined,
}).run()
process.exit(0)
