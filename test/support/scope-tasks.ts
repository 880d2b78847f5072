/**
 * What authors of bots and small apps want to do, in a sentence each as they put it in public threads, with the scope
 * that does it and nothing else.
 */
import type { Preset } from '../../src/protocol/scope/presets.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'

/** A request as data: `{did}` stands for the account's DID, `{pds}` for that of its PDS. */
export interface TaskRequest {
  readonly nsid: string
  readonly parameters?: Readonly<Record<string, string>>
  readonly body?: object
  /** Of an upload: its media type. */
  readonly upload?: string
}

export interface ScopeTask {
  readonly task: string
  /** The thread. */
  readonly source: string
  /** What is passed with `--for`. */
  readonly presets?: readonly Preset[]
  /** What is passed with `--scope`. */
  readonly more?: string
  /** What is requested in the end. */
  readonly scope: string
  /** Permissions that no request requires, and that add to a response. */
  readonly inResponse?: readonly string[]
  readonly does: readonly TaskRequest[]
  readonly refused: readonly TaskRequest[]
}

/** @param did of the account @param pds DID of its PDS */
export function requestOf({ nsid, parameters, body, upload }: TaskRequest, did: string, pds: string): XrpcRequest {
  const filled = (text: string) => text.replaceAll('{did}', did).replaceAll('{pds}', pds)
  if (upload !== undefined) {
    return { nsid, body: new TextEncoder().encode(`bytes of ${upload}`), headers: { 'content-type': upload } }
  }
  return {
    nsid,
    ...(parameters && {
      parameters: Object.entries(parameters).map(([name, value]) => [name, filled(value)] as const),
    }),
    ...(body && { body: filled(JSON.stringify(body)) }),
  }
}

const POST = 'app.bsky.feed.post'
const [LIKE, REPOST, FOLLOW] = ['app.bsky.feed.like', 'app.bsky.feed.repost', 'app.bsky.graph.follow'] as const
const KEY = '3kaaaaaaaaa22'
const NOW = '2026-01-01T00:00:00.000Z'

function records(action: 'create' | 'put' | 'delete', collection: string, record: object = {}): TaskRequest {
  const value = { $type: collection, createdAt: NOW, ...record }
  return {
    nsid: `com.atproto.repo.${action}Record`,
    body: {
      repo: '{did}',
      collection,
      ...(action !== 'create' && { rkey: KEY }),
      ...(action !== 'delete' && { record: value }),
    },
  }
}

const WRITE_POST = records('create', POST, { text: 'hello' })
const READ_TIMELINE: TaskRequest = { nsid: 'app.bsky.feed.getTimeline' }

function upload(type: string): TaskRequest {
  return { nsid: 'com.atproto.repo.uploadBlob', upload: type }
}

function serviceToken(aud: string, lxm: string): TaskRequest {
  return { nsid: 'com.atproto.server.getServiceAuth', parameters: { aud, lxm } }
}

export const SCOPE_TASKS: readonly ScopeTask[] = [
  {
    task: 'Publish a short post each time we publish a release, from GitHub Actions',
    source: 'https://github.com/dubzzz/fast-check/pull/6959',
    presets: ['post'],
    scope: `atproto repo:${POST}?action=create`,
    does: [WRITE_POST],
    refused: [records('put', POST), records('delete', POST), upload('image/png'), READ_TIMELINE],
  },
  {
    task: 'Post our new articles with a link card, whose image is uploaded separately',
    source: 'https://github.com/TASVideos/tasvideos/pull/2057',
    presets: ['post'],
    more: 'atproto blob:image/*',
    scope: `atproto blob:image/* repo:${POST}?action=create`,
    does: [upload('image/png'), upload('image/jpeg'), WRITE_POST],
    refused: [upload('video/mp4'), records('delete', POST), READ_TIMELINE],
  },
  {
    task: 'Upload videos with the recommended method, with service auth for the video service',
    source: 'https://github.com/mackuba/minisky/issues/3',
    presets: ['post-media'],
    scope: `atproto repo:${POST}?action=create blob?accept=image/*&accept=text/vtt&accept=video/* rpc?lxm=app.bsky.video.getUploadLimits&lxm=com.atproto.repo.uploadBlob&aud=*`,
    does: [
      serviceToken('did:web:video.bsky.app', 'app.bsky.video.getUploadLimits'),
      serviceToken('{pds}', 'com.atproto.repo.uploadBlob'),
      ...['image/png', 'video/mp4', 'text/vtt'].map(upload),
      WRITE_POST,
    ],
    refused: [
      serviceToken('did:web:api.bsky.app', 'app.bsky.feed.getTimeline'),
      serviceToken('{pds}', 'com.atproto.repo.createRecord'),
      upload('application/pdf'),
      records('delete', POST),
    ],
  },
  {
    task: 'A bot that awaits mentions and replies, likes and answers them, and marks them as read',
    source: 'https://github.com/bluesky-social/atproto/issues/3457',
    scope: `atproto repo?collection=${LIKE}&collection=${POST}&action=create rpc?lxm=app.bsky.notification.listNotifications&lxm=app.bsky.notification.updateSeen&aud=*`,
    does: [
      { nsid: 'app.bsky.notification.listNotifications' },
      records('create', LIKE),
      WRITE_POST,
      { nsid: 'app.bsky.notification.updateSeen', body: { seenAt: NOW } },
    ],
    refused: [records('create', REPOST), records('delete', LIKE), READ_TIMELINE, upload('image/png')],
  },
  {
    task: 'Delete my old posts, reposts and likes automatically',
    source: 'https://github.com/bluesky-social/atproto/pull/4453',
    presets: ['delete'],
    scope: `atproto repo?collection=${LIKE}&collection=${POST}&collection=app.bsky.feed.postgate&collection=${REPOST}&collection=app.bsky.feed.threadgate&action=delete`,
    does: [
      { nsid: 'com.atproto.repo.listRecords', parameters: { repo: '{did}', collection: POST } },
      ...[POST, LIKE, REPOST, 'app.bsky.feed.postgate', 'app.bsky.feed.threadgate'].map((name) =>
        records('delete', name),
      ),
    ],
    refused: [WRITE_POST, records('delete', FOLLOW), records('delete', 'app.bsky.actor.profile')],
  },
  {
    task: 'Call getFollows with granular permissions instead of transition:generic',
    source: 'https://github.com/bluesky-social/atproto/issues/4479',
    scope: 'atproto rpc:app.bsky.graph.getFollows?aud=*',
    does: [{ nsid: 'app.bsky.graph.getFollows', parameters: { actor: '{did}' } }],
    refused: [{ nsid: 'app.bsky.graph.getFollowers', parameters: { actor: '{did}' } }, records('create', FOLLOW)],
  },
  {
    task: 'Show handle and avatar after the login, where getProfile fails with ScopeMissingError',
    source: 'https://github.com/collectivesocial/open-social/issues/90',
    scope: 'atproto rpc:app.bsky.actor.getProfile?aud=*',
    does: [{ nsid: 'app.bsky.actor.getProfile', parameters: { actor: '{did}' } }],
    refused: [{ nsid: 'app.bsky.actor.getPreferences' }, records('put', 'app.bsky.actor.profile')],
  },
  {
    task: 'The minimal permissions to sign in with Bluesky',
    source: 'https://github.com/bluesky-social/atproto-website/pull/468',
    scope: 'atproto',
    does: [
      { nsid: 'com.atproto.server.getSession' },
      { nsid: 'com.atproto.repo.describeRepo', parameters: { repo: '{did}' } },
    ],
    refused: [WRITE_POST, READ_TIMELINE, upload('image/png')],
  },
  {
    task: 'Get the email address of people who sign in with Bluesky, for verification',
    source: 'https://github.com/OpenMeet-Team/openmeet-api/issues/336',
    scope: 'atproto account:email',
    inResponse: ['account:email'],
    does: [{ nsid: 'com.atproto.server.getSession' }],
    refused: [{ nsid: 'com.atproto.server.requestEmailConfirmation' }, WRITE_POST],
  },
  {
    task: 'Change the handle, where the PDS returns: missing required scope "identity:handle"',
    source: 'https://github.com/OpenMeet-Team/openmeet-api/pull/600',
    scope: 'atproto identity:handle',
    does: [{ nsid: 'com.atproto.identity.updateHandle', body: { handle: 'new.example.com' } }],
    refused: [{ nsid: 'com.atproto.identity.signPlcOperation', body: {} }, records('put', 'app.bsky.actor.profile')],
  },
  {
    task: 'A web tool for account migration with OAuth: PLC operations, the repository, and deactivation at the end',
    source: 'https://github.com/bluesky-social/pds/issues/360',
    scope:
      'atproto account:repo?action=manage account:status?action=manage identity:* rpc:com.atproto.server.createAccount?aud=*',
    does: [
      serviceToken('did:web:new.example.com', 'com.atproto.server.createAccount'),
      { nsid: 'com.atproto.repo.importRepo', body: {} },
      { nsid: 'com.atproto.identity.requestPlcOperationSignature' },
      { nsid: 'com.atproto.identity.signPlcOperation', body: {} },
      { nsid: 'com.atproto.identity.submitPlcOperation', body: { operation: {} } },
      { nsid: 'com.atproto.server.deactivateAccount', body: {} },
    ],
    refused: [WRITE_POST, READ_TIMELINE, { nsid: 'com.atproto.server.confirmEmail', body: {} }],
  },
  {
    task: 'Write blog entries in two collections, and not the whole repository',
    source: 'https://github.com/asa-degroff/greengale/issues/1',
    scope: 'atproto repo?collection=app.greengale.blog.entry&collection=com.whtwnd.blog.entry',
    does: ['app.greengale.blog.entry', 'com.whtwnd.blog.entry'].flatMap((name) => [
      records('create', name),
      records('put', name),
      records('delete', name),
    ]),
    refused: [WRITE_POST, upload('image/png'), READ_TIMELINE],
  },
  {
    task: 'Announce a live stream: our own records, the post, and the live status',
    source: 'https://github.com/streamplace/streamplace/issues/480',
    presets: ['post'],
    more: 'atproto repo?collection=app.bsky.actor.status&collection=place.stream.livestream',
    scope: `atproto repo?collection=app.bsky.actor.status&collection=place.stream.livestream repo:${POST}?action=create`,
    does: [
      WRITE_POST,
      ...['app.bsky.actor.status', 'place.stream.livestream'].flatMap((name) => [
        records('put', name),
        records('delete', name),
      ]),
    ],
    refused: [records('put', POST), records('put', 'app.bsky.actor.profile'), upload('image/png')],
  },
  {
    task: 'A bot account that sends a direct message to each subscriber',
    source:
      'https://forge.blacksky.community/zzstoatzz.io/leaflet-search/commit/3c5dc9e431c212295516956ce196602c8bced2dd',
    scope: 'atproto rpc?lxm=chat.bsky.convo.getConvoForMembers&lxm=chat.bsky.convo.sendMessage&aud=*',
    does: [
      { nsid: 'chat.bsky.convo.getConvoForMembers', parameters: { members: '{did}' } },
      { nsid: 'chat.bsky.convo.sendMessage', body: { convoId: 'x', message: { text: 'hello' } } },
    ],
    refused: [{ nsid: 'chat.bsky.convo.listConvos' }, { nsid: 'chat.bsky.convo.getLog' }, WRITE_POST],
  },
  {
    task: 'Add many accounts of a CSV file to a moderation list',
    source: 'https://github.com/bluesky-social/social-app/issues/6996',
    scope: 'atproto repo:app.bsky.graph.listitem?action=create',
    does: [
      {
        nsid: 'com.atproto.repo.applyWrites',
        body: {
          repo: '{did}',
          writes: [
            {
              $type: 'com.atproto.repo.applyWrites#create',
              collection: 'app.bsky.graph.listitem',
              value: { $type: 'app.bsky.graph.listitem', createdAt: NOW },
            },
          ],
        },
      },
    ],
    refused: [
      records('create', 'app.bsky.graph.list'),
      records('delete', 'app.bsky.graph.listitem'),
      { nsid: 'app.bsky.graph.muteActorList', body: { list: 'at://x' } },
    ],
  },
  {
    task: 'Clean up follows that are not mutual',
    source: 'https://github.com/fishttp/awesome-bluesky/pull/51',
    scope: `atproto repo:${FOLLOW}?action=delete rpc?lxm=app.bsky.graph.getFollowers&lxm=app.bsky.graph.getFollows&aud=*`,
    does: [
      { nsid: 'app.bsky.graph.getFollowers', parameters: { actor: '{did}' } },
      { nsid: 'app.bsky.graph.getFollows', parameters: { actor: '{did}' } },
      records('delete', FOLLOW),
    ],
    refused: [records('create', FOLLOW), { nsid: 'app.bsky.graph.muteActor', body: { actor: '{did}' } }, READ_TIMELINE],
  },
  {
    task: 'Follow and unfollow accounts over the HTTP API',
    source: 'https://github.com/bluesky-social/atproto/issues/3308',
    scope: `atproto repo:${FOLLOW}?action=create&action=delete`,
    does: [records('create', FOLLOW), records('delete', FOLLOW)],
    refused: [records('put', FOLLOW), records('create', 'app.bsky.graph.block'), WRITE_POST],
  },
  {
    task: 'Mark Bluesky notifications as read from another program',
    source: 'https://github.com/friendica/friendica/issues/15810',
    scope: 'atproto rpc:app.bsky.notification.updateSeen?aud=*',
    does: [{ nsid: 'app.bsky.notification.updateSeen', body: { seenAt: NOW } }],
    refused: [{ nsid: 'app.bsky.notification.listNotifications' }, WRITE_POST],
  },
  {
    task: 'A read-only app that shows the feeds that the person has pinned',
    source: 'https://github.com/bluesky-social/atproto/pull/4749',
    scope:
      'atproto rpc?lxm=app.bsky.actor.getPreferences&lxm=app.bsky.feed.getFeed&lxm=app.bsky.feed.getFeedSkeleton&aud=*',
    does: [
      { nsid: 'app.bsky.actor.getPreferences' },
      { nsid: 'app.bsky.feed.getFeed', parameters: { feed: 'at://{did}/app.bsky.feed.generator/x' } },
    ],
    refused: [{ nsid: 'app.bsky.actor.putPreferences', body: { preferences: [] } }, READ_TIMELINE, WRITE_POST],
  },
  {
    task: 'A GitHub Action that saves a draft and posts nothing',
    source: 'https://github.com/bluesky-social/social-app/issues/8820',
    scope: 'atproto rpc:app.bsky.draft.createDraft?aud=*',
    does: [{ nsid: 'app.bsky.draft.createDraft', body: { draft: {} } }],
    refused: [WRITE_POST, { nsid: 'app.bsky.draft.getDrafts' }, upload('image/png')],
  },
]
