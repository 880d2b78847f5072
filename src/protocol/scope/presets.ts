/**
 * The tasks of `--for`, each with the fewest permissions that it needs. They are requested themselves, also where a
 * published permission set grants the same: servers expand sets again at each refresh, so a set could widen a task later.
 *
 * @see https://atproto.com/specs/permission
 */

import { isCovered, normalToken, parsePermission } from './permission.ts'
import { scopeTokens } from './scope.ts'

interface PresetDetails {
  /** For `--help`. */
  readonly about: string
  readonly tokens: readonly string[]
}

/**
 * The methods are listed individually, because a wildcard would include writes. Any service is allowed, because older
 * servers match a bare DID, which a permission cannot contain.
 */
function methods(group: string, names: string): string[] {
  return names.split(' ').map((name) => `${group}.${name}`)
}

function rpc(...lxm: string[]): string {
  return normalToken(`rpc?${lxm.map((name) => `lxm=${name}`).join('&')}&aud=*`)
}

const POST = 'repo:app.bsky.feed.post?action=create'

/** The permissions are getters: to normalize them takes time, which most commands do not need to spend. */
export const PRESETS = {
  post: { about: 'Write posts, with links and mentions', tokens: [POST] },
  'post-media': {
    about: 'Write posts, and upload images, videos and captions',
    get tokens() {
      return [
        POST,
        normalToken('blob?accept=image/*&accept=video/*&accept=text/vtt'),
        // The video service converts a video and stores it in the repository itself, with a service token for the PDS.
        rpc('app.bsky.video.getUploadLimits', 'com.atproto.repo.uploadBlob'),
      ]
    },
  },
  read: {
    about: 'Read timeline, feeds, threads, profiles, search and notifications',
    get tokens() {
      return [
        rpc(
          ...methods('app.bsky.actor', 'getProfile getProfiles searchActors'),
          // A feed is produced by another server, for which the AppView needs this permission.
          ...methods('app.bsky.feed', 'getActorLikes getAuthorFeed getFeed getFeedSkeleton getLikes getListFeed'),
          ...methods('app.bsky.feed', 'getPostThread getPosts getQuotes getRepostedBy getTimeline searchPosts'),
          ...methods('app.bsky.graph', 'getFollowers getFollows getList getLists'),
          ...methods('app.bsky.notification', 'getUnreadCount listNotifications'),
        ),
      ]
    },
  },
  archive: { about: 'Export the repository and its blobs (public: needs no permission)', tokens: [] },
  dm: {
    about: 'Read and send direct messages',
    get tokens() {
      return [
        rpc(
          ...methods('chat.bsky.convo', 'acceptConvo getConvo getConvoAvailability getConvoForMembers getLog'),
          ...methods('chat.bsky.convo', 'getMessages listConvos sendMessage updateRead'),
        ),
      ]
    },
  },
  profile: {
    about: 'Change the profile, avatar and banner',
    tokens: ['repo:app.bsky.actor.profile?action=create&action=update', 'blob:image/*'],
  },
  delete: {
    about: 'Delete posts (with their reply and quote rules), reposts and likes',
    get tokens() {
      return [
        normalToken(
          `repo?${methods('app.bsky.feed', 'like post postgate repost threadgate')
            .map((name) => `collection=${name}`)
            .join('&')}&action=delete`,
        ),
      ]
    },
  },
} as const satisfies Record<string, PresetDetails>

export type Preset = keyof typeof PRESETS
export const PRESET_NAMES = Object.keys(PRESETS) as Preset[]

export function isPreset(name: string): name is Preset {
  return Object.hasOwn(PRESETS, name)
}

/** The task that needs exactly these permissions, compared by meaning. */
export function presetOf(tokens: readonly string[]): Preset | undefined {
  return PRESET_NAMES.find((name) => {
    const needed: readonly string[] = PRESETS[name].tokens
    return needed.length > 0 && areCovered(tokens, needed) && areCovered(needed, tokens)
  })
}

function areCovered(wanted: readonly string[], tokens: readonly string[]): boolean {
  return wanted.map(parsePermission).every((permission) => permission && isCovered(permission, tokens))
}

/** `scope` and the permissions of the tasks, without duplicates and without permissions that others cover. */
export function presetScope(presets: readonly Preset[], scope = 'atproto'): string {
  const asked = scopeTokens(scope)
  let needed = [...new Set(presets.flatMap((name): readonly string[] => PRESETS[name].tokens))]
  for (const token of needed) {
    const others = needed.filter((other) => other !== token)
    if (isCovered(parsePermission(token)!, [...asked, ...others])) needed = others
  }
  return [...(asked.includes('atproto') ? [] : ['atproto']), ...asked, ...needed].join(' ')
}
