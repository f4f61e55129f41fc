/**
 * What was changed over the control interface, as it is kept: the configuration that is served, and
 * the one that a person had written when it was changed. document.ts keeps and reads it.
 */
import { z } from 'zod'
import { configSchema } from './schema.ts'
import type { Subject } from './state-store.ts'

export type KeptConfiguration = {
  /** As somebody wrote it: the file with the flags. */
  readonly base: Record<string, unknown>
  /** As it is served: the same form. */
  readonly configuration: Record<string, unknown>
}

const fields = z.record(z.string(), z.unknown(), { error: 'an object' })
const shape = z.strictObject({ base: fields, configuration: fields }, {
  error: 'an object with: base, configuration',
})

export const KEPT_CONFIGURATION: Subject<KeptConfiguration> = {
  name: 'configuration',
  version: 1,
  schema: {
    // The text is kept as it was written, so the schema only looks at it.
    safeParse: (value) => {
      const outer = shape.safeParse(value)
      if (!outer.success) return outer
      const inner = configSchema.safeParse(outer.data.configuration)
      if (inner.success) return outer
      const issues = inner.error.issues.map((issue) => ({ ...issue, path: ['configuration', ...issue.path] }))
      return { success: false, error: new z.ZodError(issues) as z.ZodError<KeptConfiguration> }
    },
  },
}
