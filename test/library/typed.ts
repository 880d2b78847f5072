/** What the types of calls allow. Never run: the compiler checks it. */
import type { OAuthSession } from '../../src/index.ts'

export async function typed(session: OAuthSession): Promise<void> {
  const profile = await session.query('app.bsky.actor.getProfile', { actor: 'alice.test' })
  profile.followersCount satisfies number | undefined
  // @ts-expect-error a required parameter is missing
  await session.query('app.bsky.actor.getProfile')
  // @ts-expect-error a parameter of another type
  await session.query('app.bsky.actor.getProfile', { actor: 1 })
  // @ts-expect-error a parameter that the method does not have
  await session.query('app.bsky.actor.getProfile', { actor: 'alice.test', limit: 1 })
  // @ts-expect-error a misspelt field
  await session.procedure('com.atproto.repo.deleteRecord', { repo: '', colection: '', rkey: '' })
  for await (const { uri } of session.items('com.atproto.repo.listRecords', { repo: '', collection: '' })) {
    uri satisfies string
  }
  const signal = undefined as AbortSignal | undefined
  await session.fetchHandler('/xrpc/com.example.anything', {
    signal,
    method: undefined,
    headers: undefined,
    body: undefined,
  })
  ;(await session.query('com.example.anything', { any: ['parameter', 1, true] })) satisfies unknown
  await session.procedure('com.example.anything', { any: [{ input: null }] })
}
