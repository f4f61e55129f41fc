/**
 * The worker of one reactor: what the system gives its thread, the shim and the port to the control plane.
 * reactors.ts starts it, and another one when this has died; reactor-thread.ts is the reactor.
 *
 *   run ─ an invariant is broken ─▶ 'died' ─ its shim closes ─▶ 'buried' ─ sockets that were on their way ─▶ stop
 *
 * Invariant: when it says that it is buried, the kernel has nothing of it any more.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ReactorThread } from './reactor-thread.ts'
import type { ReactorSetup, ToControl, ToReactor } from './reactor/messages.ts'
import { loadShim } from './shim/shim.ts'

const port = parentPort!
const shim = loadShim()
const post = (message: ToControl): void => port.postMessage(message)
const thread = new ReactorThread(workerData as ReactorSetup, shim, {
  post, take: () => receiveMessageOnPort(port)?.message as ToReactor | undefined,
})

let dead = false

/** Throws the error again where it cannot end in order: the whole daemon does then. */
function die(error: Error): void {
  if (dead) return
  dead = true
  post({ type: 'died', reason: error.message, stack: error.stack ?? '' })
  if (!thread.bury()) {
    process.off('uncaughtException', die)
    throw error
  }
  port.on('message', (message: ToReactor) => {
    if (message.type === 'adopt') shim.socketClose(message.socket)
    else if (message.type === 'stop') process.exit(0)
  })
  post({ type: 'buried' })
}

process.on('uncaughtException', die)
thread.run().then(() => process.exit(0), die)
