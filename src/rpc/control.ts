/**
 * The control interface of a target that serves: the dispatcher, and what leads to it: the socket, and HTTP where the
 * configuration says so. cli starts it when the target stands and stops it before the target.
 */
import type { Config } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import { METHODS } from './catalogue.ts'
import type { Context } from './context.ts'
import { Dispatcher } from './dispatch.ts'
import { HttpServer } from './http-server.ts'
import { ControlServer } from './server.ts'

export type Control = {
  /** null: there is none. */
  readonly path: string | null
  /** Where it listens for HTTP; null: nowhere. */
  readonly http: Endpoint | null
  /** Resolves when what was in work has been answered. */
  close(): Promise<void>
}

/** Throws a StartError where the configuration names a place that cannot be had. */
export async function openControl(
  { control }: Pick<Config, 'control'>,
  parts: Pick<Context, 'target' | 'log' | 'version' | 'document' | 'reload' | 'upgrade'>,
): Promise<Control> {
  const { target: { live }, document, log } = parts
  const dispatcher = new Dispatcher(METHODS, {
    ...parts, methods: METHODS,
    edit: (change) => document.edit(live, change),
    refresh: async () => { await live.update(document.config) },
  })
  const server = await openSocket(control, dispatcher, log)
  const http = new HttpServer(dispatcher, log)
  try {
    await http.start(control.http ?? null)
  } catch (error) {
    await server?.close()
    throw error
  }
  live.watch((config) => http.configure(config.control.http ?? null))
  return {
    path: server?.path ?? null,
    get http() { return http.endpoint },
    close: async () => { await Promise.all([server?.close(), http.close()]) },
  }
}

/** null where there is none, or the default one cannot be had. */
async function openSocket(
  { path, required }: Config['control'], dispatcher: Dispatcher, log: Context['log'],
): Promise<ControlServer | null> {
  if (path === null) return null
  try {
    return await ControlServer.open(path, dispatcher)
  } catch (error) {
    if (required || !(error instanceof StartError)) throw error
    log.notice(`${error.message} This weft has no control socket; --control gives it one.`)
    return null
  }
}
