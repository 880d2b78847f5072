/** Many requests of one program at once, and many programs with one session. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { keptInStore, sentByUs } from './support.ts'

const world = connectWorld()
const PARALLEL = fileURLToPath(new URL('programs/parallel.mjs', import.meta.url))
const ONE_REFRESH = ['POST pds /oauth/token']

async function expire(state: string): Promise<void> {
  const folder = join(state, 'sessions')
  const [name] = await readdir(folder)
  const path = join(folder, name!)
  const record = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify({ ...record, accessTokenExpiresAt: Date.now() }))
}

const refreshes = async () => (await sentByUs(world)).filter((sent) => sent.endsWith('/oauth/token'))
const command = (count: number) => ['run', '--', process.execPath, PARALLEL, String(count)]

test('500 requests at once all get their response, with one refresh', async () => {
  const { home } = await keptInStore(world)
  try {
    await expire(home.state)
    await world.clearRequests()
    const { code, stdout, stderr } = await runCli(command(500), { home })
    expect([code, JSON.parse(stdout)], stderr).toStrictEqual([0, { 200: 500 }])
    expect(await refreshes()).toStrictEqual(ONE_REFRESH)
    const passedOn = await world.requests({ server: 'pds', path: '/xrpc/com.atproto.server.checkAccountStatus' })
    expect(passedOn).toHaveLength(500)
  } finally {
    await home.remove()
  }
})

test('five programs with one stored session: one refresh for all', async () => {
  const { home } = await keptInStore(world)
  try {
    await expire(home.state)
    await world.clearRequests()
    const results = await Promise.all(Array.from({ length: 5 }, () => runCli(command(20), { home })))
    expect(results.map(({ code, stdout }) => [code, JSON.parse(stdout)])).toStrictEqual(Array(5).fill([0, { 200: 20 }]))
    expect(await refreshes()).toStrictEqual(ONE_REFRESH)
  } finally {
    await home.remove()
  }
})
