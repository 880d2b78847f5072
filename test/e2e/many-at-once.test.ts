import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CliOptions, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { logIn, sentByUs } from './support.ts'

const world = connectWorld()
/** Milliseconds; on two processors that others use as well. */
const LIMIT = 180_000
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** Starts them all at once. @returns what was sent to the token endpoint, and how many answers of the PDS came out */
async function callAtOnce(count: number, did: string, options: CliOptions) {
  await world.clearRequests()
  const results = await Promise.all(Array.from({ length: count }, () => runCli(GET_SESSION, options)))
  expect(results.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toStrictEqual([])
  const answered = results.filter(({ stdout }) => JSON.parse(stdout).did === did).length
  return { answered, refreshes: (await sentByUs(world)).filter((sent) => sent === 'POST pds /oauth/token').length }
}

async function stored(state: string) {
  const folder = join(state, 'sessions')
  const names = await readdir(folder)
  expect(names).toHaveLength(1)
  const path = join(folder, names[0]!)
  return { path, record: JSON.parse(await readFile(path, 'utf8')) }
}

test(
  '11.5 fifty processes from cold, with the credentials of one environment: one refresh',
  async () => {
    const { account, home, env } = await logIn(world)
    expect(await callAtOnce(50, account.did, { home, env, limit: LIMIT })).toStrictEqual({ answered: 50, refreshes: 1 })
    expect((await stored(home.state)).record.spentTokens).toHaveLength(1)
  },
  LIMIT,
)

test('11.5 twelve with the stored session, whose access token has expired: one refresh', async () => {
  const { account, home, env } = await logIn(world)
  expect((await runCli(GET_SESSION, { home, env })).code).toBe(0)
  const { path, record } = await stored(home.state)
  await writeFile(path, JSON.stringify({ ...record, accessTokenExpiresAt: Date.now() }))
  expect(await callAtOnce(12, account.did, { home })).toStrictEqual({ answered: 12, refreshes: 1 })
  expect((await stored(home.state)).record.spentTokens).toHaveLength(2)
})
