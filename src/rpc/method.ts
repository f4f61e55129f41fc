/**
 * A method of the control interface: its name, what it is for, its parameters as a zod schema, and
 * what it does. Everything that is told about a method comes from here: validation and its errors,
 * `weft rpc METHOD --help`, rpc.discover, docs/RPC.md.     methods/* make them, dispatch.ts runs them
 *
 * Invariant: run() gets only what the schema has accepted.
 */
import { z } from 'zod'
import { section } from '../config/schema.ts'
import { mistake, pathText, valueAt, type Path } from '../config/mistake.ts'
import type { Context } from './context.ts'
import { RpcError, invalid } from './error.ts'

export type Method = {
  readonly name: string
  /** A sentence. */
  readonly summary: string
  /** An object. */
  readonly params: z.ZodObject
  /** What comes back, in words. */
  readonly result: string
  /** It changes what is served, or how: worth a line of the log. */
  readonly changes: boolean
  /** Parameters of a call that could be made. */
  readonly example: Readonly<Record<string, unknown>>
  /** Checks the parameters, then does it. Throws RpcError. */
  readonly call: (params: unknown, context: Context) => unknown
}

type Definition<Shape extends z.ZodRawShape> = {
  readonly summary: string
  readonly params?: Shape
  readonly result: string
  readonly changes?: true
  readonly example?: Readonly<Record<string, unknown>>
  readonly run: (params: z.output<z.ZodObject<Shape>>, context: Context) => unknown
}

export function method<Shape extends z.ZodRawShape>(
  name: string, { summary, params, result, changes, example, run }: Definition<Shape>,
): Method {
  const schema = section((params ?? {}) as Shape)
  return {
    name, summary, params: schema as unknown as z.ZodObject, result, changes: changes ?? false,
    example: example ?? {},
    call: (given, context) => {
      const parsed = schema.safeParse(given ?? {})
      if (!parsed.success) throw wrong(given ?? {}, parsed.error.issues)
      return run(parsed.data as z.output<z.ZodObject<Shape>>, context)
    },
  }
}

/** Where, what was found, what is allowed: a line for each mistake. */
function wrong(given: unknown, issues: readonly z.core.$ZodIssue[]): RpcError {
  return invalid(...issues.flatMap(({ code, message, path }) => {
    const place = path as Path
    const sentences = code === 'unrecognized_keys' ? message.split('\n')
      : [mistake(place, valueAt(given, place), message).sentence]
    return sentences.map((sentence) => `${pathText(place)}: ${sentence}`)
  }))
}
