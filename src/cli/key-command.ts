/**
 * `weft key` on the command line: makes secrets for DH-HMAC-CHAP and checks them, as
 * nvme gen-dhchap-key and check-dhchap-key do. main.ts → here → auth/secret.ts.
 *
 * Invariant: a secret is never an argument, where every user of the machine could read it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { SECRET_BYTES, SECRET_FORM, Secret, TRANSFORMS, type Transform } from '../auth/secret.ts'
import { readSecretFile } from '../config/keys.ts'
import { HostError } from '../host/error.ts'

const STANDARD_INPUT = '-'
const OWNER_ONLY = 0o600

/** nvme-cli takes transformed secrets of these lengths only; of any when used as they are. */
const FITTING: Record<Transform, number> = { none: 32, 'sha-256': 32, 'sha-384': 48, 'sha-512': 64 }

type GenerateOptions = {
  readonly bytes?: string
  readonly transform: Transform
  readonly file?: string
}

export function keyCommand(): Command {
  return new Command('key')
    .description('Make or check the secret that a host or a controller authenticates with')
    .addCommand(generateCommand())
    .addCommand(checkCommand())
}

function generateCommand(): Command {
  return new Command('generate')
    .description('Make a secret, for both sides: "key" of the host here, --dhchap-secret there')
    .addOption(new Option('--transform <name>', 'how it is bound to the NQN of its owner')
      .choices(TRANSFORMS).default('sha-256'))
    .addOption(new Option('--bytes <count>', 'of the secret (as many as the transform has)')
      .choices(SECRET_BYTES.map(String)))
    .option('--file <path>', 'write it to a new file that only you may read')
    .addHelpText('after', `
Examples:
  $ weft key generate --file host1.key
  $ weft key generate --transform sha-512
`)
    .action(({ bytes, transform, file }: GenerateOptions) => {
      const fitting = FITTING[transform]
      const count = bytes === undefined ? fitting : Number(bytes)
      if (transform !== 'none' && count !== fitting) {
        throw new HostError(`nvme-cli takes a secret with ${transform} only when it has `
          + `${fitting} bytes, not ${count}.`)
      }
      const text = `${Secret.generate(count, transform).reveal()}\n`
      if (file === undefined) process.stdout.write(text)
      else writeNew(file, text)
    })
}

function checkCommand(): Command {
  return new Command('check')
    .description('Say what a secret is, or what is wrong with it, without showing it')
    .argument('<file>', `the file with the secret, or ${STANDARD_INPUT} for standard input`)
    .addHelpText('after', `
Examples:
  $ weft key check host1.key
  $ nvme gen-dhchap-key | sed 's/.*: //' | weft key check -
`)
    .action((file: string) => {
      const piped = file === STANDARD_INPUT
      const secret = piped ? Secret.parse(readFileSync(0, 'utf8').trim()) : readSecretFile(file)
      if (typeof secret === 'string') {
        const sentence = piped ? `This is no secret: ${secret}.` : `${upperFirst(secret)}.`
        throw new HostError(`${sentence}\nWhat is allowed: ${SECRET_FORM}.`)
      }
      const { bytes, transform } = secret
      const how = transform === 'none' ? 'used as it is' : `transformed with ${transform}`
      process.stdout.write(`A good secret of ${bytes} bytes, ${how}.\n`)
    })
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: OWNER_ONLY })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new HostError(`${path} cannot be written: ${message}.`)
    throw new HostError(`${path} is there already, and a key is not replaced. Name another file.`)
  }
  process.stdout.write(`${path} holds a new secret, and only you may read it.\n`)
}

function upperFirst(sentence: string): string {
  return /^[a-z]+ /.test(sentence) ? sentence[0]!.toUpperCase() + sentence.slice(1) : sentence
}
