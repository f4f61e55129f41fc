/**
 * Looks for discovery services by multicast DNS while a daemon runs, and again while it ends. A test
 * runs it in a network namespace of its own: test → announcement-program → src/main.ts.
 *
 *   node test/announcement-program.ts INTERFACE-ADDRESS CONFIGURATION
 *
 * Prints one JSON object a line: what was announced unasked, answered, and withdrawn.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import multicastDns, { type DnsMessage, type DnsRecord } from 'multicast-dns'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const TYPE = '_nvme-disc._tcp.local'

const [address, config] = process.argv.slice(2)
const heard = multicastDns({ interface: address!, bind: '0.0.0.0' })

const pointers = ({ answers = [] }: DnsMessage): DnsRecord[] =>
  answers.filter(({ name, type }) => name === TYPE && type === 'PTR')

/** The first response that satisfies `wanted`. */
function response(wanted: (message: DnsMessage) => boolean): Promise<DnsMessage> {
  return new Promise((resolve) => heard.on('response', (message) => {
    if (wanted(message)) resolve(message)
  }))
}

function tell(what: string, { answers = [], additionals = [] }: DnsMessage): void {
  const records = [...answers, ...additionals].map(({ type, name, ttl, data }) => {
    const texts = Array.isArray(data) ? data.map((each) => Buffer.from(each as Uint8Array).toString()) : data
    return { type, name, ttl, data: texts }
  })
  console.log(JSON.stringify({ what, records }))
}

const announced = response((message) => pointers(message).some(({ ttl }) => ttl !== 0))
const daemon = spawn(process.execPath, [MAIN, 'serve', '--config', config!], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
createInterface({ input: daemon.stdout }).on('line', () => {})
tell('announced', await announced)
const answered = response((message) => pointers(message).length > 0 && (message.additionals ?? []).length > 0)
heard.query([{ name: TYPE, type: 'PTR' }])
tell('answered', await answered)
const gone = response((message) => pointers(message).some(({ ttl }) => ttl === 0))
daemon.kill('SIGTERM')
tell('withdrawn', await gone)
daemon.once('exit', (status) => {
  console.log(JSON.stringify({ what: 'exit', status }))
  heard.destroy()
})
