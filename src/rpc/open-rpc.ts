/**
 * The methods as an OpenRPC document, and the parameters of one as rows for help and documentation.
 * methods/framework.ts answers rpc.discover with it; cli and the generator of docs/RPC.md use the rows.
 */
import { z } from 'zod'
import type { Method } from './method.ts'

type Schema = {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly description?: string
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
}

export type Row = {
  /** Of a parameter in another: "listen_address.traddr". */
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly description: string
}

export function schemaOf({ params }: Method): Schema {
  return z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' }) as Schema
}

/** Parameters, and what is in those that are objects, one below the other. */
export function rowsOf(method: Method): Row[] {
  return rows(schemaOf(method), '')
}

export function openRpc(methods: readonly Method[], version: string): object {
  return {
    openrpc: '1.3.2',
    info: { title: 'weft control interface', version },
    methods: methods.map((method) => {
      const { properties = {}, required = [] } = schemaOf(method)
      return {
        name: method.name, summary: method.summary, paramStructure: 'by-name',
        params: Object.entries(properties).map(([name, schema]) => ({
          name, required: required.includes(name), schema,
          ...(schema.description === undefined ? {} : { description: schema.description }),
        })),
        result: { name: 'result', description: method.result, schema: {} },
      }
    }),
  }
}

function rows({ properties = {}, required = [] }: Schema, above: string): Row[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const name = `${above}${key}`
    const inner = schema.items?.properties === undefined ? schema : schema.items
    return [
      { name, type: typeText(schema), required: required.includes(key), description: schema.description ?? '' },
      ...rows(inner, schema.items === undefined ? `${name}.` : `${name}[].`),
    ]
  })
}

function typeText(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((each) => JSON.stringify(each)).join(' or ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(' or ')
  if (schema.type === 'array') return schema.items === undefined ? 'list' : `list of ${typeText(schema.items)}`
  return typeof schema.type === 'object' ? schema.type.join(' or ') : schema.type ?? 'anything'
}
