/**
 * Loads TypeScript where Node refuses to: below node_modules, when weft was installed from an
 * archive. launch.mjs passes it with --import, which worker threads inherit.
 *
 * Columns and lines stay as they are (types become spaces), so traces need no source map.
 */
import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'

registerHooks({
  load(url, context, nextLoad) {
    if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
    const source = stripTypeScriptTypes(readFileSync(fileURLToPath(url), 'utf8'))
    return { format: 'module', source, shortCircuit: true }
  },
})
