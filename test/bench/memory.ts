/** The built CLI as a process of its own, which says at its end how much memory it had. */

import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import { toStored } from '../../src/credentials/stored.ts'
import { type Home, runCli } from '../world/cli.ts'
import type { WorldAddresses } from '../world/main.ts'

const MIB = 2 ** 20
/** Loaded before the CLI. What is in use is what a collection leaves, and that a heap of any size can be. */
const PROBE = `
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
process.on('exit', () => {
  const resident = process.resourceUsage().maxRSS * 1024
  collect()
  process.stderr.write('\\nMEMORY ' + JSON.stringify([resident, process.memoryUsage().heapUsed]) + '\\n')
})
`

export interface Memory {
  /** MiB, at its largest. */
  readonly resident: number
  /** MiB, at the end, without garbage. */
  readonly heap: number
  readonly seconds: number
}

export async function measureMemory(file: string, lines: number, home: Home): Promise<Memory> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.setHeader('content-type', 'application/json').end('{"uri":"at://did:web:localhost/a.b.c/3k"}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const answers = join(home.path, 'answers.jsonl')
    await rm(answers, { force: true })
    const env = {
      ATPROTO_OAUTH_SESSION: await sessionAt(origin),
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PROBE)}`,
    }
    const world = { plcUrl: origin, handleResolverUrl: origin } as WorldAddresses
    const args = ['call', '--batch', file, '-o', answers, '--concurrency', '8']
    const began = performance.now()
    const { code, stderr } = await runCli(args, { home, env, world, limit: 300_000 })
    const seconds = (performance.now() - began) / 1000
    if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`)
    const answered = (await readFile(answers, 'utf8')).split('"status":200').length - 1
    const [, probe] = /^MEMORY (.*)$/m.exec(stderr) ?? []
    if (answered !== lines || !probe) throw new Error(`${answered} answers: ${stderr}`)
    const [resident, heap] = (JSON.parse(probe) as number[]).map((bytes) => Math.round(bytes / MIB))
    return { resident: resident!, heap: heap!, seconds }
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** A bundle, where members have the names of stored records. */
async function sessionAt(origin: string): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const session = {
    did: 'did:plc:abcdefghijklmnopqrstuvwx',
    dpopPrivateJwk: await exportJWK(privateKey),
    server: origin,
    issuer: origin,
    accessToken: 'an-access-token',
    accessTokenExpiresAt: Date.now() + 3_600_000,
  }
  return Buffer.from(JSON.stringify({ version: 1, ...toStored(session) })).toString('base64url')
}
