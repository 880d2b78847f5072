/**
 * The most used endpoints, each called with the built CLI on the real PDS: what is its own it answers itself, and what
 * it forwards comes back from the AppView's stand-in, with what that was asked and the service token it has verified.
 */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { type Home, runCli } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { keptInStore, sentByUs } from './support.ts'

type Endpoint = readonly [method: 'GET' | 'POST', words: string, answer: object | string | ((answer: Buffer) => void)]

const world = connectWorld()
/** Processes. */
const AT_ONCE = 3
const POST = 'app.bsky.feed.post'
const PICTURE = 'not much of a picture'
const PICTURE_CID = cidOf(PICTURE)
const WHEN = '2026-01-02T03:04:05Z'
let account: Account
/** One session for all, in the store. */
let home: Home

beforeAll(async () => {
  ;({ account, home } = await keptInStore(world))
  await writeFile(join(home.path, 'picture.png'), PICTURE)
  return () => home.remove()
})

const record = (value: object) => JSON.stringify({ createdAt: WHEN, ...value })
const post = (rkey: string) => `at://${account.did}/${POST}/${rkey}`
const blob = { $type: 'blob', ref: { $link: PICTURE_CID }, mimeType: 'image/png', size: PICTURE.length }
const isCar = (of: string) => (answer: Buffer) => {
  expect(answer.subarray(1, 12).toString()).toContain('eroots')
  expect(answer.includes(of)).toBe(true)
}

/** One after the other: each stands on what was written before. */
const written = (): Endpoint[] => [
  ['POST', 'com.atproto.repo.uploadBlob --upload picture.png', { blob }],
  [
    'POST',
    `com.atproto.repo.createRecord repo={did} collection=${POST} rkey=3aaaaaaaaaaaa record=${record({ text: 'one' })}`,
    { uri: post('3aaaaaaaaaaaa'), validationStatus: 'valid', commit: { rev: expect.any(String) } },
  ],
  [
    'POST',
    `com.atproto.repo.putRecord repo={did} collection=app.bsky.actor.profile rkey=self record=${record({ avatar: blob })}`,
    { uri: `at://${account.did}/app.bsky.actor.profile/self`, validationStatus: 'valid' },
  ],
  [
    'POST',
    `com.atproto.repo.applyWrites repo={did} writes=${JSON.stringify(
      ['3bbbbbbbbbbbb', '3cccccccccccc'].map((rkey) => ({
        $type: 'com.atproto.repo.applyWrites#create',
        collection: POST,
        rkey,
        value: { text: rkey, createdAt: WHEN },
      })),
    )}`,
    { results: [{ uri: post('3bbbbbbbbbbbb') }, { uri: post('3cccccccccccc') }] },
  ],
  ['POST', `com.atproto.repo.deleteRecord repo={did} collection=${POST} rkey=3bbbbbbbbbbbb`, { commit: {} }],
  [
    'POST',
    'app.bsky.actor.putPreferences preferences=[{"$type":"app.bsky.actor.defs#interestsPref","tags":["x"]}]',
    '',
  ],
]

const ownOfThePds = (): Endpoint[] => [
  ['GET', 'com.atproto.server.getSession', { did: account.did, handle: account.handle }],
  ['GET', 'com.atproto.server.describeServer', { availableUserDomains: ['.test'] }],
  ['GET', 'com.atproto.server.checkAccountStatus', { activated: true, expectedBlobs: 1, importedBlobs: 1 }],
  [
    'GET',
    'com.atproto.server.getServiceAuth aud=did:web:video.test lxm=com.atproto.repo.uploadBlob',
    (answer) =>
      expect(decodeJwt(JSON.parse(answer.toString()).token)).toMatchObject({
        iss: account.did,
        aud: 'did:web:video.test',
        lxm: 'com.atproto.repo.uploadBlob',
      }),
  ],
  ['GET', `com.atproto.identity.resolveHandle handle=${account.handle}`, { did: account.did }],
  ['GET', 'com.atproto.identity.getRecommendedDidCredentials', { alsoKnownAs: [`at://${account.handle}`] }],
  [
    'GET',
    `com.atproto.repo.getRecord repo={handle} collection=${POST} rkey=3aaaaaaaaaaaa`,
    { uri: post('3aaaaaaaaaaaa'), value: { text: 'one' } },
  ],
  [
    'GET',
    `com.atproto.repo.listRecords repo={did} collection=${POST} limit=5 reverse=true`,
    { records: [{ uri: post('3aaaaaaaaaaaa') }, { uri: post('3cccccccccccc') }] },
  ],
  [
    'GET',
    'com.atproto.repo.describeRepo repo={did}',
    { handleIsCorrect: true, collections: ['app.bsky.actor.profile', POST] },
  ],
  ['GET', 'com.atproto.repo.listMissingBlobs limit=10', { blobs: [] }],
  ['GET', 'com.atproto.sync.getRepo did={did}', isCar('3cccccccccccc')],
  ['GET', `com.atproto.sync.getRecord did={did} collection=${POST} rkey=3aaaaaaaaaaaa`, isCar('one')],
  ['GET', 'com.atproto.sync.getLatestCommit did={did}', { cid: expect.stringMatching(/^bafyrei/) }],
  ['GET', `com.atproto.sync.getBlob did={did} cid=${PICTURE_CID}`, (answer) => expect(String(answer)).toBe(PICTURE)],
  ['GET', 'com.atproto.sync.listBlobs did={did}', { cids: [PICTURE_CID] }],
  ['GET', 'com.atproto.sync.getRepoStatus did={did}', { did: account.did, active: true }],
  ['GET', 'com.atproto.sync.listRepos limit=1', { repos: [{ did: expect.stringMatching(/^did:plc:/) }] }],
  ['GET', 'app.bsky.actor.getPreferences', { preferences: [{ tags: ['x'] }] }],
]

const forwarded = (): Endpoint[] =>
  (
    [
      ['GET', 'app.bsky.actor.getProfile actor={did}', { actor: account.did }],
      ['GET', 'app.bsky.actor.getProfiles actors=a.test actors=b.test', { actors: ['a.test', 'b.test'] }],
      ['GET', 'app.bsky.actor.searchActors q=ünï&limit=3#', { q: 'ünï&limit=3#' }],
      ['GET', 'app.bsky.feed.getTimeline limit=5', { limit: '5' }],
      ['GET', 'app.bsky.feed.getAuthorFeed actor={handle}', { actor: account.handle }],
      ['GET', `app.bsky.feed.getPostThread uri=${post('3aaaaaaaaaaaa')}`, { uri: post('3aaaaaaaaaaaa') }],
      ['GET', `app.bsky.feed.getPosts uris=${post('3aaaaaaaaaaaa')}`, { uris: post('3aaaaaaaaaaaa') }],
      ['GET', `app.bsky.feed.getLikes uri=${post('3aaaaaaaaaaaa')}`, { uri: post('3aaaaaaaaaaaa') }],
      ['GET', 'app.bsky.feed.getFeed feed=at://did:web:a.test/app.bsky.feed.generator/x', {}, 'getFeedSkeleton'],
      ['GET', 'app.bsky.feed.searchPosts q=cats', { q: 'cats' }],
      ['GET', 'app.bsky.graph.getFollowers actor={did}', { actor: account.did }],
      ['GET', 'app.bsky.graph.getFollows actor={did}', { actor: account.did }],
      ['GET', 'app.bsky.notification.listNotifications limit=5', { limit: '5' }],
      ['GET', 'app.bsky.notification.getUnreadCount', {}],
      ['POST', `app.bsky.notification.updateSeen seenAt=${WHEN}`, { seenAt: WHEN }],
      ['POST', 'app.bsky.graph.muteActor actor=did:web:a.test', { actor: 'did:web:a.test' }],
    ] as const
  ).map(([method, words, asked, signedFor]) => {
    const nsid = words.split(' ')[0]!
    const lxm = signedFor === undefined ? nsid : nsid.replace(/[^.]+$/, signedFor)
    return [method, words, { asked, verified: { iss: account.did, lxm } }]
  })

async function call([method, words, answer]: Endpoint): Promise<string> {
  const { code, stdout, stdoutBytes, stderr } = await runCli(['call', ...words.split(' ')], { home })
  expect(code, `${words}: ${stderr}`).toBe(0)
  if (typeof answer === 'function') answer(stdoutBytes)
  else if (typeof answer === 'string') expect(stdout, words).toBe(answer)
  else expect(JSON.parse(stdout), words).toMatchObject(answer)
  return `${method} pds /xrpc/${words.split(' ')[0]}`
}

/** A few processes at a time, all with one session. */
async function callAll(endpoints: readonly Endpoint[]): Promise<string[]> {
  const waiting = [...endpoints]
  const worker = async () => {
    const sent: string[] = []
    for (let next = waiting.shift(); next; next = waiting.shift()) sent.push(await call(next))
    return sent
  }
  return (await Promise.all(Array.from({ length: AT_ONCE }, worker))).flat()
}

test('forty endpoints of com.atproto and app.bsky: each handled by the service it belongs to', async () => {
  await world.clearRequests()
  const expected: string[] = []
  for (const endpoint of written()) expected.push(await call(endpoint))
  expected.push(...(await callAll([...ownOfThePds(), ...forwarded()])))

  expect(expected).toHaveLength(40)
  // The DID document says which handle the account has now.
  const sent = (await sentByUs(world)).filter((request) => !request.startsWith('GET plc /did:'))
  expect(new Set(sent)).toStrictEqual(new Set(expected))
}, 120_000)

/** CIDv1 of raw bytes (SHA-256), in base32. */
function cidOf(content: string): string {
  const digest = createHash('sha256').update(content).digest()
  const bits = [0x01, 0x55, 0x12, 0x20, ...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const digits = bits.match(/.{1,5}/g)!.map((five) => Number.parseInt(five.padEnd(5, '0'), 2))
  return `b${digits.map((digit) => 'abcdefghijklmnopqrstuvwxyz234567'[digit]).join('')}`
}
