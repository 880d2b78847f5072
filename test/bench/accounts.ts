/** What 1,000 stored sessions cost: the list, and the choice of one of them. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SessionRecord } from '../../src/model.ts'
import { sealed } from '../../src/node/store/records.ts'
import { createHome, LAUNCHER } from '../world/cli.ts'
import { compare, type Program } from './processes.ts'

const COUNT = 1_000

const [few, many] = [await createHome(), await createHome()]
try {
  await store(few.state, 1)
  await store(many.state, COUNT)
  const chosen = 'did:web:a0.example.com'
  const call = ['call', 'com.atproto.server.getSession', '--dry-run', '--account']
  const program = (name: string, state: string, args: readonly string[]): Program => ({
    name,
    args: [LAUNCHER, ...args],
    env: { ATPROTO_OAUTH_HOME: state },
  })
  process.stdout.write(`${COUNT} stored sessions, medians of paired runs on this machine:\n`)
  for (const [what, args] of [
    ['the list', ['accounts', '--offline']],
    ['names for the shell', ['accounts', '--names']],
    ['call --account DID', [...call, chosen]],
    ['call --account NAME', [...call, 'chosen']],
  ] as const) {
    const { first, second } = compare(program(`${COUNT} sessions`, many.state, args), program('1', few.state, args))
    const difference = `${(first - second).toFixed(0)} ms for ${COUNT - 1} more`
    process.stdout.write(`  ${what.padEnd(22)}${first.toFixed(0).padStart(5)} ms   ${difference}\n`)
  }
} finally {
  await few.remove()
  await many.remove()
}

async function store(home: string, count: number): Promise<void> {
  const folder = join(home, 'sessions')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const now = Date.now()
  for (let index = 0; index < count; index += 1) {
    const { kty, crv, x, y, d } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'jwk',
    })
    const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
    const record = {
      version: 1,
      thumbprint,
      did: `did:web:a${index}.example.com`,
      handle: `a${index}.example.com`,
      pds: 'https://pds.example.com',
      issuer: 'https://pds.example.com',
      ...(index === 0 && { name: 'chosen' }),
      clientId: 'http://localhost?scope=atproto',
      scope: 'atproto',
      dpopPrivateJwk: { kty, crv, x, y, d },
      accessToken: 'a'.repeat(800),
      accessTokenExpiresAt: now + 3_600_000,
      refreshToken: 'r'.repeat(60),
      createdAt: now,
      rotatedAt: now,
      rotation: 1,
      spentTokens: [],
    } as unknown as SessionRecord
    await writeFile(join(folder, `${thumbprint}.json`), JSON.stringify(sealed(record)), { mode: 0o600 })
  }
}
