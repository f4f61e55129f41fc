/**
 * Writes docs/RPC.md from the methods of src/rpc:   node test/rpc-docs.ts
 * test/unit/rpc/rpc-docs.test.ts calls rpcDocument() and fails when the file is not up to date.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { METHODS } from '../src/rpc/catalogue.ts'
import type { Method } from '../src/rpc/method.ts'
import { rowsOf } from '../src/rpc/open-rpc.ts'

export const RPC_DOCUMENT = fileURLToPath(new URL('../docs/RPC.md', import.meta.url))

const INTRODUCTION = `# The control interface

Made by \`node test/rpc-docs.ts\` from \`src/rpc\`; \`weft rpc METHOD --help\` and \`rpc.discover\` (an
OpenRPC document) say the same.

A weft that serves is controlled by JSON-RPC 2.0 over a Unix socket that only its owner may use:
\`--control PATH\`, or \`"control"\` in the configuration; \`off\`, or \`false\`, for none. When nobody
says, it is \`$RUNTIME_DIRECTORY/weft.sock\` for a service, \`/run/weft/weft.sock\` for root, and
\`$XDG_RUNTIME_DIR/weft.sock\` for others; \`\\\\.\\pipe\\weft\` on Windows. Methods that SPDK's target has
too have its names, parameters and answers, so its \`rpc.py -s PATH\` and what is built on it work.

    weft rpc                                              lists the methods
    weft rpc nvmf_get_subsystems
    weft rpc nvmf_subsystem_add_ns nqn=NQN namespace.bdev_name=Malloc0
    weft rpc bdev_malloc_create '{"name": "Malloc0", "block_size": 512, "num_blocks": 2097152}'
    rpc.py -s /run/weft/weft.sock nvmf_get_subsystems

**Over HTTP** it is there where the configuration says so: \`--http ADDRESS:PORT --http-token FILE\`, or

    "control": { "http": { "address": "0.0.0.0", "port": 9421, "tokenFile": "token",
                           "certificateFile": "weft.pem", "keyFile": "weft.key" } }

A request is a \`POST /\` with one call or one batch, and \`Authorization: Bearer TOKEN\`; clients of SPDK's
HTTP proxy send the token as the password of any user (\`Basic\`). Answers have status 200, those that are
none 204; 401 is for a wrong token, 413 for more than 4 MiB. Without a certificate it listens on the
loopback only, unless \`"plain": true\` (\`--http-plain\`) insists. Who has the token can read and write all
that is served. A reload reads the three files again: a new token counts from the next request on, a
new certificate from the next connection on. Web pages are refused, whatever they know.

    weft rpc nvmf_get_subsystems --url https://192.0.2.10:9421 --token token --ca weft.pem
    curl --cacert weft.pem -H "Authorization: Bearer $(cat token)" https://192.0.2.10:9421/ \\
      -d '{"jsonrpc": "2.0", "id": 1, "method": "nvmf_get_subsystems"}'

**Requests** may come in pieces, several at once, with or without newlines; each is at most 4 MiB.
Those of one connection are answered one after the other. A batch has at most 1000 calls, which are
made in order. A client that does not take its answer within 30 seconds is cut off; there are at
most 64 at a time.

**Changes** are in force on every reactor, and on the medium, when they are answered. They are kept in
the state folder (\`--state\`), in a file named after the configuration file; the configuration file
itself is never written. At the next start, and on a reload, what was changed in the file and what was
changed over this interface are merged; where both have changed the same, the file counts, and the
log says so. To forget all changes, stop weft and remove the kept file; one that is broken, or from
a newer weft, is refused with line and reason, and left as it is. What is in devices of memory is
not kept. A change that the file system refuses is refused, and nothing has changed then.

**Devices** that have a name ("devices" in the configuration, \`bdev_*_create\` here) are there whether a
namespace uses them or not, each for one namespace at a time. A device that stands in a namespace
of the configuration itself is listed as \`NQN/NSID\` and goes with it.

**Errors** have SPDK's codes and messages, and in \`data\` a sentence for each mistake: where, what was
found, what is allowed.

| code | message | |
|---|---|---|
| -32700 | Parse error | it is no JSON; the connection is closed where the next request cannot be found |
| -32600 | Invalid Request | it is no call |
| -32601 | Method not found | |
| -32602 | Invalid parameters | also what cannot be served: \`data\` says why |
| -32603 | Internal error | also what cannot be kept |
| -2, -17, -19 | No such file or directory, File exists, No such device | of keys and devices |
`

export function rpcDocument(): string {
  const index = METHODS.map(({ name, summary }) => `- [${name}](#${name.replace('.', '')}): ${summary}`)
  return `${[INTRODUCTION, '## Methods', '', ...index, '', ...METHODS.map(section)].join('\n').trimEnd()}\n`
}

function section(method: Method): string {
  const rows = rowsOf(method).map(({ name, type, required, description }) =>
    `| \`${name}\` | ${type.replaceAll('|', '\\|')} | ${required ? 'required' : ''} | ${description.replaceAll('|', '\\|')} |`)
  const table = rows.length === 0 ? ['It takes no parameters.'] : ['| parameter | | | |', '|---|---|---|---|', ...rows]
  const example = JSON.stringify({ jsonrpc: '2.0', id: 1, method: method.name, params: method.example })
  return [
    `### ${method.name}`, '', method.summary, '', ...table, '', `Answers: ${method.result}`, '', `    ${example}`, '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(RPC_DOCUMENT, rpcDocument())
