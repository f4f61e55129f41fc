/**
 * The control interface of a target that serves: the dispatcher and the socket that leads to it.
 * cli starts it when the target stands and stops it before the target.
 */
import type { Config } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import { METHODS } from './catalogue.ts'
import type { Context } from './context.ts'
import { Dispatcher } from './dispatch.ts'
import { ControlServer } from './server.ts'

export type Control = {
  /** null: there is none. */
  readonly path: string | null
  /** Resolves when what was in work has been answered. */
  close(): Promise<void>
}

/** Throws a StartError where the configuration names a socket that cannot be had. */
export async function openControl(
  { control: { path, required } }: Pick<Config, 'control'>,
  parts: Pick<Context, 'target' | 'log' | 'version' | 'document' | 'reload'>,
): Promise<Control> {
  const none: Control = { path: null, close: () => Promise.resolve() }
  if (path === null) return none
  const { target: { live }, document } = parts
  const dispatcher = new Dispatcher(METHODS, {
    ...parts, methods: METHODS,
    edit: (change) => document.edit(live, change),
    refresh: async () => { await live.update(document.config) },
  })
  try {
    return await ControlServer.open(path, dispatcher)
  } catch (error) {
    if (required || !(error instanceof StartError)) throw error
    parts.log.notice(`${error.message} This weft has no control socket; --control gives it one.`)
    return none
  }
}
