/**
 * What people set out to do, and the permissions that it takes: no more than that.
 *
 * @see https://atproto.com/specs/permission
 */

import { isCovered, normalToken, parsePermission } from './permission.ts'
import { scopeTokens } from './scope.ts'

interface PresetDetails {
  /** Half a sentence, for `--help`. */
  readonly about: string
  readonly tokens: readonly string[]
}

/**
 * Named one by one, since all methods of a service would be its writes too. Of any service, since servers of before
 * compare it with the service's bare DID, which no permission can name.
 */
function methods(group: string, names: string): string[] {
  return names.split(' ').map((name) => `${group}.${name}`)
}

function rpc(...lxm: string[]): string {
  return normalToken(`rpc?${lxm.map((name) => `lxm=${name}`).join('&')}&aud=*`)
}

const POST = 'repo:app.bsky.feed.post?action=create'

export const PRESETS = {
  post: { about: 'write posts, with links and mentions', tokens: [POST] },
  'post-media': {
    about: 'post, and upload images, videos and their captions',
    tokens: [POST, normalToken('blob?accept=image/*&accept=video/*&accept=text/vtt')],
  },
  read: {
    about: 'read timeline, feeds, threads, profiles, search and notifications',
    tokens: [
      rpc(
        ...methods('app.bsky.actor', 'getProfile getProfiles searchActors'),
        // A feed is made by somebody else’s server, for which the AppView is lent the permission.
        ...methods('app.bsky.feed', 'getActorLikes getAuthorFeed getFeed getFeedSkeleton getLikes getListFeed'),
        ...methods('app.bsky.feed', 'getPostThread getPosts getQuotes getRepostedBy getTimeline searchPosts'),
        ...methods('app.bsky.graph', 'getFollowers getFollows getList getLists'),
        ...methods('app.bsky.notification', 'getUnreadCount listNotifications'),
      ),
    ],
  },
  archive: { about: 'export repository and blobs: they are public, nothing is asked for', tokens: [] },
  dm: {
    about: 'read and write direct messages',
    tokens: [
      rpc(
        ...methods('chat.bsky.convo', 'acceptConvo getConvo getConvoAvailability getConvoForMembers getLog'),
        ...methods('chat.bsky.convo', 'getMessages listConvos sendMessage updateRead'),
      ),
    ],
  },
  profile: {
    about: 'change the profile, its avatar and its banner',
    tokens: ['repo:app.bsky.actor.profile?action=create&action=update', 'blob:image/*'],
  },
  delete: {
    about: 'delete posts, with their reply and quote rules, reposts and likes',
    tokens: [
      normalToken(
        `repo?${methods('app.bsky.feed', 'like post postgate repost threadgate')
          .map((name) => `collection=${name}`)
          .join('&')}&action=delete`,
      ),
    ],
  },
} as const satisfies Record<string, PresetDetails>

export type Preset = keyof typeof PRESETS
export const PRESET_NAMES = Object.keys(PRESETS) as Preset[]

export function isPreset(name: string): name is Preset {
  return Object.hasOwn(PRESETS, name)
}

/** The scope for all of the tasks, and for what is in `scope` as it stands there; nothing is in it twice. */
export function presetScope(presets: readonly Preset[], scope = 'atproto'): string {
  const asked = scopeTokens(scope)
  let needed = [...new Set(presets.flatMap((name): readonly string[] => PRESETS[name].tokens))]
  for (const token of needed) {
    const others = needed.filter((other) => other !== token)
    if (isCovered(parsePermission(token)!, [...asked, ...others])) needed = others
  }
  return [...(asked.includes('atproto') ? [] : ['atproto']), ...asked, ...needed].join(' ')
}
