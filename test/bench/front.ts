/**
 * A program that knows only app passwords, as far as it costs anything: undici, and one local token. The front is the
 * built CLI, in a process of its own.
 */
import { once } from 'node:events'
import { parse } from 'dotenv'
import { Pool } from 'undici'
import { formatCredentials } from '../../src/credentials/write.ts'
import type { Credentials } from '../../src/model.ts'
import { type Home, spawnCli } from '../world/cli.ts'
import type { WorldAddresses } from '../world/main.ts'
import { cpuOf } from './line-client.ts'

export interface Post {
  readonly $type: string
  readonly text: string
  readonly createdAt: string
}

export async function startFrontClient(
  credentials: Credentials,
  home: Home,
  world: WorldAddresses,
  concurrency: number,
) {
  const env = parse(formatCredentials(credentials, 'dotenv'))
  const cli = spawnCli(['run', '--format', 'dotenv'], { home, env, world })
  let printed = ''
  for await (const text of cli.stdout.setEncoding('utf8')) {
    printed += text
    if (/^ATPROTO_OAUTH_RUN_PASSWORD=.*\n/m.test(printed)) break
  }
  const { ATPROTO_OAUTH_RUN_URL: url = '', ATPROTO_OAUTH_RUN_PASSWORD: password } = parse(printed)
  const pool = new Pool(url, { connections: concurrency })
  const json = { 'content-type': 'application/json' }
  const post = async (nsid: string, body: object, headers: Record<string, string> = {}) => {
    const request = { method: 'POST', path: `/xrpc/${nsid}`, headers: { ...json, ...headers } } as const
    const { statusCode, body: response } = await pool.request({ ...request, body: JSON.stringify(body) })
    return { statusCode, response: (await response.json()) as { uri?: string; accessJwt?: string } }
  }
  const login = await post('com.atproto.server.createSession', { identifier: credentials.did, password })
  const headers = { authorization: `Bearer ${login.response.accessJwt}` }
  const create = async (record: Post) => {
    const input = { repo: credentials.did, collection: record.$type, record }
    const { statusCode, response } = await post('com.atproto.repo.createRecord', input, headers)
    return statusCode === 200 && response.uri !== undefined
  }
  return {
    /** Milliseconds of processor time that the front has used; `undefined` where it cannot be read. */
    frontCpu: () => cpuOf(cli.pid!),
    /** @returns how many were created */
    async send(posts: readonly Post[]): Promise<number> {
      let next = 0
      let created = 0
      const worker = async () => {
        for (let record = posts[next++]; record; record = posts[next++]) if (await create(record)) created += 1
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      return created
    },
    async close(): Promise<void> {
      await pool.close()
      const ended = once(cli, 'exit')
      cli.kill('SIGINT')
      await ended
    },
  }
}
