/**
 * Types of the published XRPC methods and records, made by `npm run lexicons`. They have no code at run time.
 *
 * - Unions list the published types, with their `$type`. A server may send others: test `$type` before you use one.
 * - A format, such as `did` or `datetime`, is a `string`.
 *
 * @see https://atproto.com/specs/lexicon
 */
import type { Body } from './ports.ts'

/** A string for which the lexicon lists known values. */
export type OtherString = string & Record<never, never>
/** A member of a union. */
export type Typed<Name extends string, Shape> = Shape & { $type: Name }
/** An object of any shape, such as a record. */
export type UnknownObject = Record<string, unknown>
export type NoParameters = Record<string, never>

export interface CidLink {
  $link: string
}

export interface Bytes {
  $bytes: string
}

export interface BlobRef {
  $type: 'blob'
  ref: CidLink
  mimeType: string
  /** In bytes. */
  size: number
}

/** By NSID. */
export interface QueryMethods {
  'app.bsky.actor.getPreferences': {
    params: NoParameters
    output: {
      preferences: AppBskyActorDefsPreferences
    }
  }
  'app.bsky.actor.getProfile': {
    params: {
      actor: string
    }
    output: AppBskyActorDefsProfileViewDetailed
  }
  'app.bsky.actor.getProfiles': {
    params: {
      actors: ReadonlyArray<string>
    }
    output: {
      profiles: Array<AppBskyActorDefsProfileViewDetailed>
    }
  }
  'app.bsky.actor.getSuggestions': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      actors: Array<AppBskyActorDefsProfileView>
      recId?: number
      recIdStr?: string
    }
  }
  'app.bsky.actor.searchActors': {
    params: {
      term?: string | undefined
      q?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      actors: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.actor.searchActorsTypeahead': {
    params: {
      term?: string | undefined
      q?: string | undefined
      limit?: number | undefined
    }
    output: {
      actors: Array<AppBskyActorDefsProfileViewBasic>
    }
  }
  'app.bsky.ageassurance.getConfig': {
    params: NoParameters
    output: AppBskyAgeassuranceDefsConfig
  }
  'app.bsky.ageassurance.getState': {
    params: {
      countryCode: string
      regionCode?: string | undefined
    }
    output: {
      state: AppBskyAgeassuranceDefsState
      metadata: AppBskyAgeassuranceDefsStateMetadata
    }
  }
  'app.bsky.bookmark.getBookmarks': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      bookmarks: Array<AppBskyBookmarkDefsBookmarkView>
    }
  }
  'app.bsky.contact.getMatches': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      matches: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.contact.getSyncStatus': {
    params: NoParameters
    output: {
      syncStatus?: AppBskyContactDefsSyncStatus
    }
  }
  'app.bsky.draft.getDrafts': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      drafts: Array<AppBskyDraftDefsDraftView>
    }
  }
  'app.bsky.embed.getEmbedExternalView': {
    params: {
      url: string
      uris: ReadonlyArray<string>
    }
    output: {
      view?: AppBskyEmbedExternalView
      associatedRefs?: Array<ComAtprotoRepoStrongRef>
      associatedRecords?: Array<UnknownObject>
    }
  }
  'app.bsky.feed.describeFeedGenerator': {
    params: NoParameters
    output: {
      did: string
      feeds: Array<AppBskyFeedDescribeFeedGeneratorFeed>
      links?: AppBskyFeedDescribeFeedGeneratorLinks
    }
  }
  'app.bsky.feed.getActorFeeds': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feeds: Array<AppBskyFeedDefsGeneratorView>
    }
  }
  'app.bsky.feed.getActorLikes': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsFeedViewPost>
    }
  }
  'app.bsky.feed.getAuthorFeed': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
      filter?:
        | 'posts_with_replies'
        | 'posts_no_replies'
        | 'posts_with_media'
        | 'posts_and_author_threads'
        | 'posts_with_video'
        | OtherString
        | undefined
      includePins?: boolean | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsFeedViewPost>
    }
  }
  'app.bsky.feed.getFeed': {
    params: {
      feed: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsFeedViewPost>
    }
  }
  'app.bsky.feed.getFeedGenerator': {
    params: {
      feed: string
    }
    output: {
      view: AppBskyFeedDefsGeneratorView
      isOnline: boolean
      isValid: boolean
    }
  }
  'app.bsky.feed.getFeedGenerators': {
    params: {
      feeds: ReadonlyArray<string>
    }
    output: {
      feeds: Array<AppBskyFeedDefsGeneratorView>
    }
  }
  'app.bsky.feed.getFeedSkeleton': {
    params: {
      feed: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsSkeletonFeedPost>
      reqId?: string
    }
  }
  'app.bsky.feed.getLikes': {
    params: {
      uri: string
      cid?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      uri: string
      cid?: string
      cursor?: string
      likes: Array<AppBskyFeedGetLikesLike>
    }
  }
  'app.bsky.feed.getListFeed': {
    params: {
      list: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsFeedViewPost>
    }
  }
  'app.bsky.feed.getPostThread': {
    params: {
      uri: string
      depth?: number | undefined
      parentHeight?: number | undefined
    }
    output: {
      thread:
        | Typed<'app.bsky.feed.defs#threadViewPost', AppBskyFeedDefsThreadViewPost>
        | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
        | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
      threadgate?: AppBskyFeedDefsThreadgateView
    }
  }
  'app.bsky.feed.getPosts': {
    params: {
      uris: ReadonlyArray<string>
    }
    output: {
      posts: Array<AppBskyFeedDefsPostView>
    }
  }
  'app.bsky.feed.getQuotes': {
    params: {
      uri: string
      cid?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      uri: string
      cid?: string
      cursor?: string
      posts: Array<AppBskyFeedDefsPostView>
    }
  }
  'app.bsky.feed.getRepostedBy': {
    params: {
      uri: string
      cid?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      uri: string
      cid?: string
      cursor?: string
      repostedBy: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.feed.getSuggestedFeeds': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feeds: Array<AppBskyFeedDefsGeneratorView>
    }
  }
  'app.bsky.feed.getTimeline': {
    params: {
      algorithm?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      feed: Array<AppBskyFeedDefsFeedViewPost>
    }
  }
  'app.bsky.feed.searchPosts': {
    params: {
      q: string
      sort?: 'top' | 'latest' | OtherString | undefined
      since?: string | undefined
      until?: string | undefined
      mentions?: string | undefined
      author?: string | undefined
      lang?: string | undefined
      domain?: string | undefined
      url?: string | undefined
      tag?: ReadonlyArray<string> | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      hitsTotal?: number
      posts: Array<AppBskyFeedDefsPostView>
    }
  }
  'app.bsky.feed.searchPostsV2': {
    params: {
      cursor?: string | undefined
      limit?: number | undefined
      query?: string | undefined
      sort?: 'recent' | 'top' | OtherString | undefined
      authors?: ReadonlyArray<string> | undefined
      mentions?: ReadonlyArray<string> | undefined
      domains?: ReadonlyArray<string> | undefined
      urls?: ReadonlyArray<string> | undefined
      embeddedAtUris?: ReadonlyArray<string> | undefined
      hashtags?: ReadonlyArray<string> | undefined
      excludeAuthors?: ReadonlyArray<string> | undefined
      excludeMentions?: ReadonlyArray<string> | undefined
      excludeDomains?: ReadonlyArray<string> | undefined
      excludeUrls?: ReadonlyArray<string> | undefined
      excludeEmbeddedAtUris?: ReadonlyArray<string> | undefined
      excludeHashtags?: ReadonlyArray<string> | undefined
      since?: string | undefined
      until?: string | undefined
      allTime?: boolean | undefined
      languages?: ReadonlyArray<string> | undefined
      excludeLanguages?: ReadonlyArray<string> | undefined
      hasMedia?: boolean | undefined
      hasVideo?: boolean | undefined
      replyParentUri?: string | undefined
      threadRootUri?: string | undefined
      excludeReplies?: boolean | undefined
      repliesOnly?: boolean | undefined
      following?: boolean | undefined
      queryLanguage?: 'ja' | 'zh' | 'ko' | 'th' | 'ar' | OtherString | undefined
    }
    output: {
      cursor?: string
      hitsTotal?: number
      posts: Array<AppBskyFeedDefsPostView>
      detectedQueryLanguages?: Array<'ja' | 'zh' | 'ko' | 'th' | 'ar' | OtherString>
    }
  }
  'app.bsky.graph.getActorStarterPacks': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      starterPacks: Array<AppBskyGraphDefsStarterPackViewBasic>
    }
  }
  'app.bsky.graph.getBlocks': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      blocks: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.graph.getFollowers': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
      sort?: 'latest' | 'top' | OtherString | undefined
    }
    output: {
      subject: AppBskyActorDefsProfileView
      cursor?: string
      followers: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.graph.getFollows': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
      sort?: 'latest' | 'top' | OtherString | undefined
    }
    output: {
      subject: AppBskyActorDefsProfileView
      cursor?: string
      follows: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.graph.getKnownFollowers': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      subject: AppBskyActorDefsProfileView
      cursor?: string
      followers: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.graph.getList': {
    params: {
      list: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      list: AppBskyGraphDefsListView
      items: Array<AppBskyGraphDefsListItemView>
    }
  }
  'app.bsky.graph.getListBlocks': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      lists: Array<AppBskyGraphDefsListView>
    }
  }
  'app.bsky.graph.getListMutes': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      lists: Array<AppBskyGraphDefsListView>
    }
  }
  'app.bsky.graph.getLists': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
      purposes?: ReadonlyArray<'modlist' | 'curatelist' | OtherString> | undefined
    }
    output: {
      cursor?: string
      lists: Array<AppBskyGraphDefsListView>
    }
  }
  'app.bsky.graph.getListsWithMembership': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
      purposes?: ReadonlyArray<'modlist' | 'curatelist' | OtherString> | undefined
    }
    output: {
      cursor?: string
      listsWithMembership: Array<AppBskyGraphGetListsWithMembershipListWithMembership>
    }
  }
  'app.bsky.graph.getMutes': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      mutes: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.graph.getRelationships': {
    params: {
      actor: string
      others?: ReadonlyArray<string> | undefined
    }
    output: {
      actor?: string
      relationships: Array<
        | Typed<'app.bsky.graph.defs#relationship', AppBskyGraphDefsRelationship>
        | Typed<'app.bsky.graph.defs#notFoundActor', AppBskyGraphDefsNotFoundActor>
      >
    }
  }
  'app.bsky.graph.getStarterPack': {
    params: {
      starterPack: string
    }
    output: {
      starterPack: AppBskyGraphDefsStarterPackView
    }
  }
  'app.bsky.graph.getStarterPacks': {
    params: {
      uris: ReadonlyArray<string>
    }
    output: {
      starterPacks: Array<AppBskyGraphDefsStarterPackViewBasic>
    }
  }
  'app.bsky.graph.getStarterPacksWithMembership': {
    params: {
      actor: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      starterPacksWithMembership: Array<AppBskyGraphGetStarterPacksWithMembershipStarterPackWithMembership>
    }
  }
  'app.bsky.graph.getSuggestedFollowsByActor': {
    params: {
      actor: string
    }
    output: {
      suggestions: Array<AppBskyActorDefsProfileView>
      recIdStr?: string
      isFallback?: boolean
      recId?: number
    }
  }
  'app.bsky.graph.searchStarterPacks': {
    params: {
      q: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      starterPacks: Array<AppBskyGraphDefsStarterPackViewBasic>
    }
  }
  'app.bsky.graph.searchStarterPacksV2': {
    params: {
      q: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      hitsTotal?: number
      starterPacks: Array<AppBskyGraphDefsStarterPackView>
    }
  }
  'app.bsky.labeler.getServices': {
    params: {
      dids: ReadonlyArray<string>
      detailed?: boolean | undefined
    }
    output: {
      views: Array<
        | Typed<'app.bsky.labeler.defs#labelerView', AppBskyLabelerDefsLabelerView>
        | Typed<'app.bsky.labeler.defs#labelerViewDetailed', AppBskyLabelerDefsLabelerViewDetailed>
      >
    }
  }
  'app.bsky.notification.getPreferences': {
    params: NoParameters
    output: {
      preferences: AppBskyNotificationDefsPreferences
    }
  }
  'app.bsky.notification.getUnreadCount': {
    params: {
      priority?: boolean | undefined
      seenAt?: string | undefined
    }
    output: {
      count: number
    }
  }
  'app.bsky.notification.listActivitySubscriptions': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      subscriptions: Array<AppBskyActorDefsProfileView>
    }
  }
  'app.bsky.notification.listNotifications': {
    params: {
      reasons?: ReadonlyArray<string> | undefined
      limit?: number | undefined
      priority?: boolean | undefined
      cursor?: string | undefined
      seenAt?: string | undefined
    }
    output: {
      cursor?: string
      notifications: Array<AppBskyNotificationListNotificationsNotification>
      priority?: boolean
      seenAt?: string
    }
  }
  'app.bsky.video.getJobStatus': {
    params: {
      jobId: string
    }
    output: {
      jobStatus: AppBskyVideoDefsJobStatus
    }
  }
  'app.bsky.video.getUploadLimits': {
    params: NoParameters
    output: {
      canUpload: boolean
      remainingDailyVideos?: number
      remainingDailyBytes?: number
      message?: string
      error?: string
    }
  }
  'app.bsky.video.getUploadStatus': {
    params: {
      jobId: string
    }
    output: {
      jobId: string
      partSizeBytes: number
      partCount: number
      receivedParts: Array<number>
      expiresAt: string
      state: 'created' | 'finishing' | 'completed' | 'failed' | 'aborted' | 'expired' | OtherString
      completedJobId?: string
      jobStatus?: AppBskyVideoDefsJobStatus
      failureReason?: string
    }
  }
  'chat.bsky.actor.exportAccountData': {
    params: NoParameters
    output: Uint8Array
  }
  'chat.bsky.actor.getStatus': {
    params: NoParameters
    output: {
      chatDisabled: boolean
      canCreateGroups: boolean
      groupMemberLimit: number
    }
  }
  'chat.bsky.convo.getConvo': {
    params: {
      convoId: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.getConvoAvailability': {
    params: {
      members: ReadonlyArray<string>
    }
    output: {
      canChat: boolean
      convo?: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.getConvoForMembers': {
    params: {
      members: ReadonlyArray<string>
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.getConvoMembers': {
    params: {
      convoId: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      members: Array<ChatBskyActorDefsProfileViewBasic>
    }
  }
  'chat.bsky.convo.getLog': {
    params: {
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      logs: Array<
        | Typed<'chat.bsky.convo.defs#logBeginConvo', ChatBskyConvoDefsLogBeginConvo>
        | Typed<'chat.bsky.convo.defs#logAcceptConvo', ChatBskyConvoDefsLogAcceptConvo>
        | Typed<'chat.bsky.convo.defs#logLeaveConvo', ChatBskyConvoDefsLogLeaveConvo>
        | Typed<'chat.bsky.convo.defs#logMuteConvo', ChatBskyConvoDefsLogMuteConvo>
        | Typed<'chat.bsky.convo.defs#logUnmuteConvo', ChatBskyConvoDefsLogUnmuteConvo>
        | Typed<'chat.bsky.convo.defs#logCreateMessage', ChatBskyConvoDefsLogCreateMessage>
        | Typed<'chat.bsky.convo.defs#logDeleteMessage', ChatBskyConvoDefsLogDeleteMessage>
        | Typed<'chat.bsky.convo.defs#logReadMessage', ChatBskyConvoDefsLogReadMessage>
        | Typed<'chat.bsky.convo.defs#logAddReaction', ChatBskyConvoDefsLogAddReaction>
        | Typed<'chat.bsky.convo.defs#logRemoveReaction', ChatBskyConvoDefsLogRemoveReaction>
        | Typed<'chat.bsky.convo.defs#logReadConvo', ChatBskyConvoDefsLogReadConvo>
        | Typed<'chat.bsky.convo.defs#logAddMember', ChatBskyConvoDefsLogAddMember>
        | Typed<'chat.bsky.convo.defs#logRemoveMember', ChatBskyConvoDefsLogRemoveMember>
        | Typed<'chat.bsky.convo.defs#logMemberJoin', ChatBskyConvoDefsLogMemberJoin>
        | Typed<'chat.bsky.convo.defs#logMemberLeave', ChatBskyConvoDefsLogMemberLeave>
        | Typed<'chat.bsky.convo.defs#logLockConvo', ChatBskyConvoDefsLogLockConvo>
        | Typed<'chat.bsky.convo.defs#logUnlockConvo', ChatBskyConvoDefsLogUnlockConvo>
        | Typed<'chat.bsky.convo.defs#logLockConvoPermanently', ChatBskyConvoDefsLogLockConvoPermanently>
        | Typed<'chat.bsky.convo.defs#logEditGroup', ChatBskyConvoDefsLogEditGroup>
        | Typed<'chat.bsky.convo.defs#logCreateJoinLink', ChatBskyConvoDefsLogCreateJoinLink>
        | Typed<'chat.bsky.convo.defs#logEditJoinLink', ChatBskyConvoDefsLogEditJoinLink>
        | Typed<'chat.bsky.convo.defs#logEnableJoinLink', ChatBskyConvoDefsLogEnableJoinLink>
        | Typed<'chat.bsky.convo.defs#logDisableJoinLink', ChatBskyConvoDefsLogDisableJoinLink>
        | Typed<'chat.bsky.convo.defs#logIncomingJoinRequest', ChatBskyConvoDefsLogIncomingJoinRequest>
        | Typed<'chat.bsky.convo.defs#logApproveJoinRequest', ChatBskyConvoDefsLogApproveJoinRequest>
        | Typed<'chat.bsky.convo.defs#logRejectJoinRequest', ChatBskyConvoDefsLogRejectJoinRequest>
        | Typed<'chat.bsky.convo.defs#logOutgoingJoinRequest', ChatBskyConvoDefsLogOutgoingJoinRequest>
        | Typed<'chat.bsky.convo.defs#logWithdrawIncomingJoinRequest', ChatBskyConvoDefsLogWithdrawIncomingJoinRequest>
        | Typed<'chat.bsky.convo.defs#logWithdrawOutgoingJoinRequest', ChatBskyConvoDefsLogWithdrawOutgoingJoinRequest>
        | Typed<'chat.bsky.convo.defs#logReadJoinRequests', ChatBskyConvoDefsLogReadJoinRequests>
      >
    }
  }
  'chat.bsky.convo.getMessages': {
    params: {
      convoId: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      messages: Array<
        | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
        | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
        | Typed<'chat.bsky.convo.defs#systemMessageView', ChatBskyConvoDefsSystemMessageView>
      >
      relatedProfiles?: Array<ChatBskyActorDefsProfileViewBasic>
    }
  }
  'chat.bsky.convo.getUnreadCounts': {
    params: {
      includeGroupChats?: boolean | undefined
    }
    output: {
      unreadAcceptedConvos: number
      unreadRequestConvos: number
    }
  }
  'chat.bsky.convo.listConvoRequests': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      requests: Array<
        | Typed<'chat.bsky.convo.defs#convoView', ChatBskyConvoDefsConvoView>
        | Typed<'chat.bsky.group.defs#joinRequestConvoView', ChatBskyGroupDefsJoinRequestConvoView>
      >
    }
  }
  'chat.bsky.convo.listConvos': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
      readState?: 'unread' | OtherString | undefined
      status?: 'request' | 'accepted' | OtherString | undefined
      kind?: 'direct' | 'group' | OtherString | undefined
      lockStatus?: 'unlocked' | 'locked' | 'locked-permanently' | OtherString | undefined
    }
    output: {
      cursor?: string
      convos: Array<ChatBskyConvoDefsConvoView>
    }
  }
  'chat.bsky.group.getJoinLinkPreviews': {
    params: {
      codes: ReadonlyArray<string>
    }
    output: {
      joinLinkPreviews: Array<
        | Typed<'chat.bsky.group.defs#joinLinkPreviewView', ChatBskyGroupDefsJoinLinkPreviewView>
        | Typed<'chat.bsky.group.defs#disabledJoinLinkPreviewView', ChatBskyGroupDefsDisabledJoinLinkPreviewView>
        | Typed<'chat.bsky.group.defs#invalidJoinLinkPreviewView', ChatBskyGroupDefsInvalidJoinLinkPreviewView>
      >
    }
  }
  'chat.bsky.group.listJoinRequests': {
    params: {
      convoId: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      requests: Array<ChatBskyGroupDefsJoinRequestView>
    }
  }
  'chat.bsky.group.listMutualGroups': {
    params: {
      subject: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      convos: Array<ChatBskyConvoDefsConvoView>
    }
  }
  'chat.bsky.notification.getPreferences': {
    params: NoParameters
    output: {
      preferences: ChatBskyNotificationDefsPreferences
    }
  }
  'com.atproto.identity.getRecommendedDidCredentials': {
    params: NoParameters
    output: {
      rotationKeys?: Array<string>
      alsoKnownAs?: Array<string>
      verificationMethods?: UnknownObject
      services?: UnknownObject
    }
  }
  'com.atproto.identity.resolveDid': {
    params: {
      did: string
    }
    output: {
      didDoc: UnknownObject
    }
  }
  'com.atproto.identity.resolveHandle': {
    params: {
      handle: string
    }
    output: {
      did: string
    }
  }
  'com.atproto.identity.resolveIdentity': {
    params: {
      identifier: string
    }
    output: ComAtprotoIdentityDefsIdentityInfo
  }
  'com.atproto.label.queryLabels': {
    params: {
      uriPatterns: ReadonlyArray<string>
      sources?: ReadonlyArray<string> | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      labels: Array<ComAtprotoLabelDefsLabel>
    }
  }
  'com.atproto.lexicon.resolveLexicon': {
    params: {
      nsid: string
    }
    output: {
      cid: string
      schema: ComAtprotoLexiconSchema
      uri: string
    }
  }
  'com.atproto.repo.describeRepo': {
    params: {
      repo: string
    }
    output: {
      handle: string
      did: string
      didDoc: UnknownObject
      collections: Array<string>
      handleIsCorrect: boolean
    }
  }
  'com.atproto.repo.getRecord': {
    params: {
      repo: string
      collection: string
      rkey: string
      cid?: string | undefined
    }
    output: {
      uri: string
      cid?: string
      value: UnknownObject
    }
  }
  'com.atproto.repo.listMissingBlobs': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      blobs: Array<ComAtprotoRepoListMissingBlobsRecordBlob>
    }
  }
  'com.atproto.repo.listRecords': {
    params: {
      repo: string
      collection: string
      limit?: number | undefined
      cursor?: string | undefined
      reverse?: boolean | undefined
    }
    output: {
      cursor?: string
      records: Array<ComAtprotoRepoListRecordsRecord>
    }
  }
  'com.atproto.server.checkAccountStatus': {
    params: NoParameters
    output: {
      activated: boolean
      validDid: boolean
      repoCommit: string
      repoRev: string
      repoBlocks: number
      indexedRecords: number
      privateStateValues: number
      expectedBlobs: number
      importedBlobs: number
    }
  }
  'com.atproto.server.describeServer': {
    params: NoParameters
    output: {
      inviteCodeRequired?: boolean
      phoneVerificationRequired?: boolean
      blobUploadLimit?: number
      availableUserDomains: Array<string>
      links?: ComAtprotoServerDescribeServerLinks
      contact?: ComAtprotoServerDescribeServerContact
      did: string
    }
  }
  'com.atproto.server.getAccountInviteCodes': {
    params: {
      includeUsed?: boolean | undefined
      createAvailable?: boolean | undefined
    }
    output: {
      codes: Array<ComAtprotoServerDefsInviteCode>
    }
  }
  'com.atproto.server.getServiceAuth': {
    params: {
      aud: string
      exp?: number | undefined
      lxm?: string | undefined
    }
    output: {
      token: string
    }
  }
  'com.atproto.server.getSession': {
    params: NoParameters
    output: {
      handle: string
      did: string
      didDoc?: UnknownObject
      email?: string
      emailConfirmed?: boolean
      emailAuthFactor?: boolean
      active?: boolean
      status?: 'takendown' | 'suspended' | 'deactivated' | OtherString
    }
  }
  'com.atproto.server.listAppPasswords': {
    params: NoParameters
    output: {
      passwords: Array<ComAtprotoServerListAppPasswordsAppPassword>
    }
  }
  'com.atproto.sync.getBlob': {
    params: {
      did: string
      cid: string
    }
    output: Uint8Array
  }
  'com.atproto.sync.getBlocks': {
    params: {
      did: string
      cids: ReadonlyArray<string>
    }
    output: Uint8Array
  }
  'com.atproto.sync.getCheckout': {
    params: {
      did: string
    }
    output: Uint8Array
  }
  'com.atproto.sync.getHead': {
    params: {
      did: string
    }
    output: {
      root: string
    }
  }
  'com.atproto.sync.getHostStatus': {
    params: {
      hostname: string
    }
    output: {
      hostname: string
      seq?: number
      accountCount?: number
      status?: ComAtprotoSyncDefsHostStatus
    }
  }
  'com.atproto.sync.getLatestCommit': {
    params: {
      did: string
    }
    output: {
      cid: string
      rev: string
    }
  }
  'com.atproto.sync.getRecord': {
    params: {
      did: string
      collection: string
      rkey: string
    }
    output: Uint8Array
  }
  'com.atproto.sync.getRepo': {
    params: {
      did: string
      since?: string | undefined
    }
    output: Uint8Array
  }
  'com.atproto.sync.getRepoStatus': {
    params: {
      did: string
    }
    output: {
      did: string
      active: boolean
      status?: 'takendown' | 'suspended' | 'deleted' | 'deactivated' | 'desynchronized' | 'throttled' | OtherString
      rev?: string
    }
  }
  'com.atproto.sync.listBlobs': {
    params: {
      did: string
      since?: string | undefined
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      cids: Array<string>
    }
  }
  'com.atproto.sync.listHosts': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      hosts: Array<ComAtprotoSyncListHostsHost>
    }
  }
  'com.atproto.sync.listRepos': {
    params: {
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      repos: Array<ComAtprotoSyncListReposRepo>
    }
  }
  'com.atproto.sync.listReposByCollection': {
    params: {
      collection: string
      limit?: number | undefined
      cursor?: string | undefined
    }
    output: {
      cursor?: string
      repos: Array<ComAtprotoSyncListReposByCollectionRepo>
    }
  }
}

/** By NSID. */
export interface ProcedureMethods {
  'app.bsky.actor.putPreferences': {
    params: NoParameters
    input: {
      preferences: AppBskyActorDefsPreferences
    }
    output: undefined
  }
  'app.bsky.ageassurance.begin': {
    params: NoParameters
    input: {
      email: string
      language: string
      countryCode: string
      regionCode?: string | undefined
    }
    output: AppBskyAgeassuranceDefsState
  }
  'app.bsky.bookmark.createBookmark': {
    params: NoParameters
    input: {
      uri: string
      cid: string
    }
    output: undefined
  }
  'app.bsky.bookmark.deleteBookmark': {
    params: NoParameters
    input: {
      uri: string
    }
    output: undefined
  }
  'app.bsky.contact.dismissMatch': {
    params: NoParameters
    input: {
      subject: string
    }
    output: UnknownObject
  }
  'app.bsky.contact.importContacts': {
    params: NoParameters
    input: {
      token: string
      contacts: ReadonlyArray<string>
    }
    output: {
      matchesAndContactIndexes: Array<AppBskyContactDefsMatchAndContactIndex>
    }
  }
  'app.bsky.contact.removeData': {
    params: NoParameters
    input: UnknownObject
    output: UnknownObject
  }
  'app.bsky.contact.sendNotification': {
    params: NoParameters
    input: {
      from: string
      to: string
    }
    output: UnknownObject
  }
  'app.bsky.contact.startPhoneVerification': {
    params: NoParameters
    input: {
      phone: string
    }
    output: UnknownObject
  }
  'app.bsky.contact.verifyPhone': {
    params: NoParameters
    input: {
      phone: string
      code: string
    }
    output: {
      token: string
    }
  }
  'app.bsky.draft.createDraft': {
    params: NoParameters
    input: {
      draft: AppBskyDraftDefsDraft
    }
    output: {
      id: string
    }
  }
  'app.bsky.draft.deleteDraft': {
    params: NoParameters
    input: {
      id: string
    }
    output: undefined
  }
  'app.bsky.draft.updateDraft': {
    params: NoParameters
    input: {
      draft: AppBskyDraftDefsDraftWithId
    }
    output: undefined
  }
  'app.bsky.feed.sendInteractions': {
    params: NoParameters
    input: {
      feed?: string | undefined
      interactions: ReadonlyArray<AppBskyFeedDefsInteraction>
    }
    output: UnknownObject
  }
  'app.bsky.graph.muteActor': {
    params: NoParameters
    input: {
      actor: string
      onlyReposts?: boolean | undefined
      onlyQuoteposts?: boolean | undefined
    }
    output: undefined
  }
  'app.bsky.graph.muteActorList': {
    params: NoParameters
    input: {
      list: string
    }
    output: undefined
  }
  'app.bsky.graph.muteThread': {
    params: NoParameters
    input: {
      root: string
    }
    output: undefined
  }
  'app.bsky.graph.unmuteActor': {
    params: NoParameters
    input: {
      actor: string
    }
    output: undefined
  }
  'app.bsky.graph.unmuteActorList': {
    params: NoParameters
    input: {
      list: string
    }
    output: undefined
  }
  'app.bsky.graph.unmuteThread': {
    params: NoParameters
    input: {
      root: string
    }
    output: undefined
  }
  'app.bsky.notification.putActivitySubscription': {
    params: NoParameters
    input: {
      subject: string
      activitySubscription: AppBskyNotificationDefsActivitySubscription
    }
    output: {
      subject: string
      activitySubscription?: AppBskyNotificationDefsActivitySubscription
    }
  }
  'app.bsky.notification.putPreferences': {
    params: NoParameters
    input: {
      priority: boolean
    }
    output: undefined
  }
  'app.bsky.notification.putPreferencesV2': {
    params: NoParameters
    input: {
      chat?: AppBskyNotificationDefsChatPreference | undefined
      follow?: AppBskyNotificationDefsFilterablePreference | undefined
      like?: AppBskyNotificationDefsFilterablePreference | undefined
      likeViaRepost?: AppBskyNotificationDefsFilterablePreference | undefined
      mention?: AppBskyNotificationDefsFilterablePreference | undefined
      quote?: AppBskyNotificationDefsFilterablePreference | undefined
      reply?: AppBskyNotificationDefsFilterablePreference | undefined
      repost?: AppBskyNotificationDefsFilterablePreference | undefined
      repostViaRepost?: AppBskyNotificationDefsFilterablePreference | undefined
      starterpackJoined?: AppBskyNotificationDefsPreference | undefined
      subscribedPost?: AppBskyNotificationDefsPreference | undefined
      unverified?: AppBskyNotificationDefsPreference | undefined
      verified?: AppBskyNotificationDefsPreference | undefined
    }
    output: {
      preferences: AppBskyNotificationDefsPreferences
    }
  }
  'app.bsky.notification.registerPush': {
    params: NoParameters
    input: {
      serviceDid: string
      token: string
      platform: 'ios' | 'android' | 'web' | OtherString
      appId: string
      ageRestricted?: boolean | undefined
    }
    output: undefined
  }
  'app.bsky.notification.unregisterPush': {
    params: NoParameters
    input: {
      serviceDid: string
      token: string
      platform: 'ios' | 'android' | 'web' | OtherString
      appId: string
    }
    output: undefined
  }
  'app.bsky.notification.updateSeen': {
    params: NoParameters
    input: {
      seenAt: string
    }
    output: undefined
  }
  'app.bsky.video.abortUpload': {
    params: NoParameters
    input: {
      jobId: string
    }
    output: {
      state: 'aborted' | 'completed' | 'failed' | 'expired' | OtherString
      completedJobId?: string
      failureReason?: string
    }
  }
  'app.bsky.video.finishUpload': {
    params: NoParameters
    input: {
      jobId: string
    }
    output: {
      completedJobId: string
      jobStatus: AppBskyVideoDefsJobStatus
    }
  }
  'app.bsky.video.startUpload': {
    params: NoParameters
    input: {
      sizeBytes: number
      mimeType: string
      name?: string | undefined
      durationMs?: number | undefined
      width?: number | undefined
      height?: number | undefined
    }
    output: {
      jobId: string
      partSizeBytes: number
      partCount: number
      expiresAt: string
    }
  }
  'app.bsky.video.uploadPart': {
    params: {
      jobId: string
      partNumber: number
    }
    input: Body
    output: {
      partNumber: number
      sizeBytes: number
    }
  }
  'app.bsky.video.uploadVideo': {
    params: NoParameters
    input: Body
    output: {
      jobStatus: AppBskyVideoDefsJobStatus
    }
  }
  'chat.bsky.actor.deleteAccount': {
    params: NoParameters
    input: undefined
    output: UnknownObject
  }
  'chat.bsky.convo.acceptConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      rev?: string
    }
  }
  'chat.bsky.convo.addReaction': {
    params: NoParameters
    input: {
      convoId: string
      messageId: string
      value: string
    }
    output: {
      message: ChatBskyConvoDefsMessageView
    }
  }
  'chat.bsky.convo.deleteMessageForSelf': {
    params: NoParameters
    input: {
      convoId: string
      messageId: string
    }
    output: ChatBskyConvoDefsDeletedMessageView
  }
  'chat.bsky.convo.leaveConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      convoId: string
      rev: string
    }
  }
  'chat.bsky.convo.lockConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.muteConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.removeReaction': {
    params: NoParameters
    input: {
      convoId: string
      messageId: string
      value: string
    }
    output: {
      message: ChatBskyConvoDefsMessageView
    }
  }
  'chat.bsky.convo.sendMessage': {
    params: NoParameters
    input: {
      convoId: string
      message: ChatBskyConvoDefsMessageInput
    }
    output: ChatBskyConvoDefsMessageView
  }
  'chat.bsky.convo.sendMessageBatch': {
    params: NoParameters
    input: {
      items: ReadonlyArray<ChatBskyConvoSendMessageBatchBatchItem>
    }
    output: {
      items: Array<ChatBskyConvoDefsMessageView>
    }
  }
  'chat.bsky.convo.unlockConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.unmuteConvo': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.convo.updateAllRead': {
    params: NoParameters
    input: {
      status?: 'request' | 'accepted' | OtherString | undefined
    }
    output: {
      updatedCount: number
    }
  }
  'chat.bsky.convo.updateRead': {
    params: NoParameters
    input: {
      convoId: string
      messageId?: string | undefined
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.addMembers': {
    params: NoParameters
    input: {
      convoId: string
      members: ReadonlyArray<string>
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
      addedMembers?: Array<ChatBskyActorDefsProfileViewBasic>
    }
  }
  'chat.bsky.group.approveJoinRequest': {
    params: NoParameters
    input: {
      convoId: string
      member: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.createGroup': {
    params: NoParameters
    input: {
      members: ReadonlyArray<string>
      name: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.createJoinLink': {
    params: NoParameters
    input: {
      convoId: string
      requireApproval?: boolean | undefined
      joinRule: ChatBskyGroupDefsJoinRule
    }
    output: {
      joinLink: ChatBskyGroupDefsJoinLinkView
    }
  }
  'chat.bsky.group.disableJoinLink': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      joinLink: ChatBskyGroupDefsJoinLinkView
    }
  }
  'chat.bsky.group.editGroup': {
    params: NoParameters
    input: {
      convoId: string
      name: string
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.editJoinLink': {
    params: NoParameters
    input: {
      convoId: string
      requireApproval?: boolean | undefined
      joinRule?: ChatBskyGroupDefsJoinRule | undefined
    }
    output: {
      joinLink: ChatBskyGroupDefsJoinLinkView
    }
  }
  'chat.bsky.group.enableJoinLink': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: {
      joinLink: ChatBskyGroupDefsJoinLinkView
    }
  }
  'chat.bsky.group.rejectJoinRequest': {
    params: NoParameters
    input: {
      convoId: string
      member: string
    }
    output: UnknownObject
  }
  'chat.bsky.group.removeMembers': {
    params: NoParameters
    input: {
      convoId: string
      members: ReadonlyArray<string>
    }
    output: {
      convo: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.requestJoin': {
    params: NoParameters
    input: {
      code: string
    }
    output: {
      status: 'joined' | 'pending' | OtherString
      convo?: ChatBskyConvoDefsConvoView
    }
  }
  'chat.bsky.group.updateJoinRequestsRead': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: UnknownObject
  }
  'chat.bsky.group.withdrawJoinRequest': {
    params: NoParameters
    input: {
      convoId: string
    }
    output: UnknownObject
  }
  'chat.bsky.notification.putPreferences': {
    params: NoParameters
    input: {
      chat?: ChatBskyNotificationDefsChatPreference | undefined
      chatRequest?: ChatBskyNotificationDefsChatPreference | undefined
    }
    output: {
      preferences: ChatBskyNotificationDefsPreferences
    }
  }
  'com.atproto.identity.refreshIdentity': {
    params: NoParameters
    input: {
      identifier: string
    }
    output: ComAtprotoIdentityDefsIdentityInfo
  }
  'com.atproto.identity.requestPlcOperationSignature': {
    params: NoParameters
    input: undefined
    output: undefined
  }
  'com.atproto.identity.signPlcOperation': {
    params: NoParameters
    input: {
      token?: string | undefined
      rotationKeys?: ReadonlyArray<string> | undefined
      alsoKnownAs?: ReadonlyArray<string> | undefined
      verificationMethods?: object | undefined
      services?: object | undefined
    }
    output: {
      operation: UnknownObject
    }
  }
  'com.atproto.identity.submitPlcOperation': {
    params: NoParameters
    input: {
      operation: object
    }
    output: undefined
  }
  'com.atproto.identity.updateHandle': {
    params: NoParameters
    input: {
      handle: string
    }
    output: undefined
  }
  'com.atproto.moderation.createReport': {
    params: NoParameters
    input: {
      reasonType: ComAtprotoModerationDefsReasonType
      reason?: string | undefined
      subject:
        | Typed<'com.atproto.admin.defs#repoRef', ComAtprotoAdminDefsRepoRef>
        | Typed<'com.atproto.repo.strongRef', ComAtprotoRepoStrongRef>
      modTool?: ComAtprotoModerationCreateReportModTool | undefined
    }
    output: {
      id: number
      reasonType: ComAtprotoModerationDefsReasonType
      reason?: string
      subject:
        | Typed<'com.atproto.admin.defs#repoRef', ComAtprotoAdminDefsRepoRef>
        | Typed<'com.atproto.repo.strongRef', ComAtprotoRepoStrongRef>
      reportedBy: string
      createdAt: string
    }
  }
  'com.atproto.repo.applyWrites': {
    params: NoParameters
    input: {
      repo: string
      validate?: boolean | undefined
      writes: ReadonlyArray<
        | Typed<'com.atproto.repo.applyWrites#create', ComAtprotoRepoApplyWritesCreate>
        | Typed<'com.atproto.repo.applyWrites#update', ComAtprotoRepoApplyWritesUpdate>
        | Typed<'com.atproto.repo.applyWrites#delete', ComAtprotoRepoApplyWritesDelete>
      >
      swapCommit?: string | undefined
    }
    output: {
      commit?: ComAtprotoRepoDefsCommitMeta
      results?: Array<
        | Typed<'com.atproto.repo.applyWrites#createResult', ComAtprotoRepoApplyWritesCreateResult>
        | Typed<'com.atproto.repo.applyWrites#updateResult', ComAtprotoRepoApplyWritesUpdateResult>
        | Typed<'com.atproto.repo.applyWrites#deleteResult', ComAtprotoRepoApplyWritesDeleteResult>
      >
    }
  }
  'com.atproto.repo.createRecord': {
    params: NoParameters
    input: {
      repo: string
      collection: string
      rkey?: string | undefined
      validate?: boolean | undefined
      record: object
      swapCommit?: string | undefined
    }
    output: {
      uri: string
      cid: string
      commit?: ComAtprotoRepoDefsCommitMeta
      validationStatus?: 'valid' | 'unknown' | OtherString
    }
  }
  'com.atproto.repo.deleteRecord': {
    params: NoParameters
    input: {
      repo: string
      collection: string
      rkey: string
      swapRecord?: string | undefined
      swapCommit?: string | undefined
    }
    output: {
      commit?: ComAtprotoRepoDefsCommitMeta
    }
  }
  'com.atproto.repo.importRepo': {
    params: NoParameters
    input: Body
    output: undefined
  }
  'com.atproto.repo.putRecord': {
    params: NoParameters
    input: {
      repo: string
      collection: string
      rkey: string
      validate?: boolean | undefined
      record: object
      swapRecord?: string | null | undefined
      swapCommit?: string | undefined
    }
    output: {
      uri: string
      cid: string
      commit?: ComAtprotoRepoDefsCommitMeta
      validationStatus?: 'valid' | 'unknown' | OtherString
    }
  }
  'com.atproto.repo.uploadBlob': {
    params: NoParameters
    input: Body
    output: {
      blob: BlobRef
    }
  }
  'com.atproto.server.activateAccount': {
    params: NoParameters
    input: undefined
    output: undefined
  }
  'com.atproto.server.confirmEmail': {
    params: NoParameters
    input: {
      email: string
      token: string
    }
    output: undefined
  }
  'com.atproto.server.createAccount': {
    params: NoParameters
    input: {
      email?: string | undefined
      handle: string
      did?: string | undefined
      inviteCode?: string | undefined
      verificationCode?: string | undefined
      verificationPhone?: string | undefined
      password?: string | undefined
      recoveryKey?: string | undefined
      plcOp?: object | undefined
    }
    output: {
      accessJwt: string
      refreshJwt: string
      handle: string
      did: string
      didDoc?: UnknownObject
    }
  }
  'com.atproto.server.createAppPassword': {
    params: NoParameters
    input: {
      name: string
      privileged?: boolean | undefined
    }
    output: ComAtprotoServerCreateAppPasswordAppPassword
  }
  'com.atproto.server.createInviteCode': {
    params: NoParameters
    input: {
      useCount: number
      forAccount?: string | undefined
    }
    output: {
      code: string
    }
  }
  'com.atproto.server.createInviteCodes': {
    params: NoParameters
    input: {
      codeCount: number
      useCount: number
      forAccounts?: ReadonlyArray<string> | undefined
    }
    output: {
      codes: Array<ComAtprotoServerCreateInviteCodesAccountCodes>
    }
  }
  'com.atproto.server.createSession': {
    params: NoParameters
    input: {
      identifier: string
      password: string
      authFactorToken?: string | undefined
      allowTakendown?: boolean | undefined
    }
    output: {
      accessJwt: string
      refreshJwt: string
      handle: string
      did: string
      didDoc?: UnknownObject
      email?: string
      emailConfirmed?: boolean
      emailAuthFactor?: boolean
      active?: boolean
      status?: 'takendown' | 'suspended' | 'deactivated' | OtherString
    }
  }
  'com.atproto.server.deactivateAccount': {
    params: NoParameters
    input: {
      deleteAfter?: string | undefined
    }
    output: undefined
  }
  'com.atproto.server.deleteAccount': {
    params: NoParameters
    input: {
      did: string
      password: string
      token: string
    }
    output: undefined
  }
  'com.atproto.server.deleteSession': {
    params: NoParameters
    input: undefined
    output: undefined
  }
  'com.atproto.server.refreshSession': {
    params: NoParameters
    input: undefined
    output: {
      accessJwt: string
      refreshJwt: string
      handle: string
      did: string
      didDoc?: UnknownObject
      email?: string
      emailConfirmed?: boolean
      emailAuthFactor?: boolean
      active?: boolean
      status?: 'takendown' | 'suspended' | 'deactivated' | OtherString
    }
  }
  'com.atproto.server.requestAccountDelete': {
    params: NoParameters
    input: undefined
    output: undefined
  }
  'com.atproto.server.requestEmailConfirmation': {
    params: NoParameters
    input: undefined
    output: undefined
  }
  'com.atproto.server.requestEmailUpdate': {
    params: NoParameters
    input: undefined
    output: {
      tokenRequired: boolean
    }
  }
  'com.atproto.server.requestPasswordReset': {
    params: NoParameters
    input: {
      email: string
    }
    output: undefined
  }
  'com.atproto.server.reserveSigningKey': {
    params: NoParameters
    input: {
      did?: string | undefined
    }
    output: {
      signingKey: string
    }
  }
  'com.atproto.server.resetPassword': {
    params: NoParameters
    input: {
      token: string
      password: string
    }
    output: undefined
  }
  'com.atproto.server.revokeAppPassword': {
    params: NoParameters
    input: {
      name: string
    }
    output: undefined
  }
  'com.atproto.server.updateEmail': {
    params: NoParameters
    input: {
      email: string
      emailAuthFactor?: boolean | undefined
      token?: string | undefined
    }
    output: undefined
  }
  'com.atproto.sync.notifyOfUpdate': {
    params: NoParameters
    input: {
      hostname: string
    }
    output: undefined
  }
  'com.atproto.sync.requestCrawl': {
    params: NoParameters
    input: {
      hostname: string
    }
    output: undefined
  }
}

/** By collection. */
export interface Records {
  'app.bsky.actor.contentVisibilityDeclaration': AppBskyActorContentVisibilityDeclaration
  'app.bsky.actor.profile': AppBskyActorProfile
  'app.bsky.actor.status': AppBskyActorStatus
  'app.bsky.feed.generator': AppBskyFeedGenerator
  'app.bsky.feed.like': AppBskyFeedLike
  'app.bsky.feed.post': AppBskyFeedPost
  'app.bsky.feed.postgate': AppBskyFeedPostgate
  'app.bsky.feed.repost': AppBskyFeedRepost
  'app.bsky.feed.threadgate': AppBskyFeedThreadgate
  'app.bsky.graph.block': AppBskyGraphBlock
  'app.bsky.graph.follow': AppBskyGraphFollow
  'app.bsky.graph.list': AppBskyGraphList
  'app.bsky.graph.listblock': AppBskyGraphListblock
  'app.bsky.graph.listitem': AppBskyGraphListitem
  'app.bsky.graph.referencelistoptout': AppBskyGraphReferencelistoptout
  'app.bsky.graph.starterpack': AppBskyGraphStarterpack
  'app.bsky.graph.verification': AppBskyGraphVerification
  'app.bsky.labeler.service': AppBskyLabelerService
  'app.bsky.notification.declaration': AppBskyNotificationDeclaration
  'chat.bsky.actor.declaration': ChatBskyActorDeclaration
  'com.atproto.lexicon.schema': ComAtprotoLexiconSchema
}

export interface AppBskyActorContentVisibilityDeclaration {
  $type: 'app.bsky.actor.contentVisibilityDeclaration'
  hideFromAlgorithmicRecommendations: boolean
}

export interface AppBskyActorDefsAdultContentPref {
  enabled: boolean
}

export interface AppBskyActorDefsBskyAppProgressGuide {
  guide: string
}

export interface AppBskyActorDefsBskyAppStatePref {
  activeProgressGuide?: AppBskyActorDefsBskyAppProgressGuide
  isBetaUser?: boolean
  queuedNudges?: Array<string>
  nuxs?: Array<AppBskyActorDefsNux>
}

export interface AppBskyActorDefsContentLabelPref {
  labelerDid?: string
  label: string
  visibility: 'ignore' | 'show' | 'warn' | 'hide' | OtherString
}

export interface AppBskyActorDefsDeclaredAgePref {
  isOverAge13?: boolean
  isOverAge16?: boolean
  isOverAge18?: boolean
}

export interface AppBskyActorDefsFeedViewPref {
  feed: string
  hideReplies?: boolean
  hideRepliesByUnfollowed?: boolean
  hideRepliesByLikeCount?: number
  hideReposts?: boolean
  hideQuotePosts?: boolean
}

export interface AppBskyActorDefsHiddenPostsPref {
  items: Array<string>
}

export interface AppBskyActorDefsInterestsPref {
  updatedAt?: string
  tags: Array<string>
}

export interface AppBskyActorDefsKnownFollowers {
  count: number
  followers: Array<AppBskyActorDefsProfileViewBasic>
}

export interface AppBskyActorDefsLabelerPrefItem {
  did: string
}

export interface AppBskyActorDefsLabelersPref {
  labelers: Array<AppBskyActorDefsLabelerPrefItem>
}

export interface AppBskyActorDefsLiveEventPreferences {
  hiddenFeedIds?: Array<string>
  hideAllFeeds?: boolean
}

export interface AppBskyActorDefsMutedWord {
  id?: string
  value: string
  targets: Array<AppBskyActorDefsMutedWordTarget>
  actorTarget?: 'all' | 'exclude-following' | OtherString
  expiresAt?: string
}

export type AppBskyActorDefsMutedWordTarget = 'content' | 'tag' | OtherString

export interface AppBskyActorDefsMutedWordsPref {
  items: Array<AppBskyActorDefsMutedWord>
}

export interface AppBskyActorDefsNux {
  id: string
  completed: boolean
  data?: string
  expiresAt?: string
}

export interface AppBskyActorDefsPersonalDetailsPref {
  birthDate?: string
}

export interface AppBskyActorDefsPostInteractionSettingsPref {
  threadgateAllowRules?: Array<
    | Typed<'app.bsky.feed.threadgate#mentionRule', AppBskyFeedThreadgateMentionRule>
    | Typed<'app.bsky.feed.threadgate#followerRule', AppBskyFeedThreadgateFollowerRule>
    | Typed<'app.bsky.feed.threadgate#followingRule', AppBskyFeedThreadgateFollowingRule>
    | Typed<'app.bsky.feed.threadgate#listRule', AppBskyFeedThreadgateListRule>
  >
  postgateEmbeddingRules?: Array<Typed<'app.bsky.feed.postgate#disableRule', AppBskyFeedPostgateDisableRule>>
}

export type AppBskyActorDefsPreferences = Array<
  | Typed<'app.bsky.actor.defs#adultContentPref', AppBskyActorDefsAdultContentPref>
  | Typed<'app.bsky.actor.defs#contentLabelPref', AppBskyActorDefsContentLabelPref>
  | Typed<'app.bsky.actor.defs#savedFeedsPref', AppBskyActorDefsSavedFeedsPref>
  | Typed<'app.bsky.actor.defs#savedFeedsPrefV2', AppBskyActorDefsSavedFeedsPrefV2>
  | Typed<'app.bsky.actor.defs#personalDetailsPref', AppBskyActorDefsPersonalDetailsPref>
  | Typed<'app.bsky.actor.defs#declaredAgePref', AppBskyActorDefsDeclaredAgePref>
  | Typed<'app.bsky.actor.defs#feedViewPref', AppBskyActorDefsFeedViewPref>
  | Typed<'app.bsky.actor.defs#threadViewPref', AppBskyActorDefsThreadViewPref>
  | Typed<'app.bsky.actor.defs#interestsPref', AppBskyActorDefsInterestsPref>
  | Typed<'app.bsky.actor.defs#mutedWordsPref', AppBskyActorDefsMutedWordsPref>
  | Typed<'app.bsky.actor.defs#hiddenPostsPref', AppBskyActorDefsHiddenPostsPref>
  | Typed<'app.bsky.actor.defs#bskyAppStatePref', AppBskyActorDefsBskyAppStatePref>
  | Typed<'app.bsky.actor.defs#labelersPref', AppBskyActorDefsLabelersPref>
  | Typed<'app.bsky.actor.defs#postInteractionSettingsPref', AppBskyActorDefsPostInteractionSettingsPref>
  | Typed<'app.bsky.actor.defs#verificationPrefs', AppBskyActorDefsVerificationPrefs>
  | Typed<'app.bsky.actor.defs#liveEventPreferences', AppBskyActorDefsLiveEventPreferences>
>

export interface AppBskyActorDefsProfileAssociated {
  lists?: number
  feedgens?: number
  starterPacks?: number
  labeler?: boolean
  chat?: AppBskyActorDefsProfileAssociatedChat
  activitySubscription?: AppBskyActorDefsProfileAssociatedActivitySubscription
  germ?: AppBskyActorDefsProfileAssociatedGerm
}

export interface AppBskyActorDefsProfileAssociatedActivitySubscription {
  allowSubscriptions: 'followers' | 'mutuals' | 'none' | OtherString
}

export interface AppBskyActorDefsProfileAssociatedChat {
  allowIncoming: 'all' | 'none' | 'following' | OtherString
  allowGroupInvites?: 'all' | 'none' | 'following' | OtherString
}

export interface AppBskyActorDefsProfileAssociatedGerm {
  messageMeUrl: string
  showButtonTo: 'usersIFollow' | 'everyone' | OtherString
}

export interface AppBskyActorDefsProfileView {
  did: string
  handle: string
  displayName?: string
  pronouns?: string
  description?: string
  avatar?: string
  associated?: AppBskyActorDefsProfileAssociated
  indexedAt?: string
  createdAt?: string
  viewer?: AppBskyActorDefsViewerState
  labels?: Array<ComAtprotoLabelDefsLabel>
  verification?: AppBskyActorDefsVerificationState
  status?: AppBskyActorDefsStatusView
  debug?: UnknownObject
}

export interface AppBskyActorDefsProfileViewBasic {
  did: string
  handle: string
  displayName?: string
  pronouns?: string
  avatar?: string
  associated?: AppBskyActorDefsProfileAssociated
  viewer?: AppBskyActorDefsViewerState
  labels?: Array<ComAtprotoLabelDefsLabel>
  createdAt?: string
  verification?: AppBskyActorDefsVerificationState
  status?: AppBskyActorDefsStatusView
  debug?: UnknownObject
}

export interface AppBskyActorDefsProfileViewDetailed {
  did: string
  handle: string
  displayName?: string
  description?: string
  pronouns?: string
  website?: string
  avatar?: string
  banner?: string
  followersCount?: number
  followsCount?: number
  postsCount?: number
  associated?: AppBskyActorDefsProfileAssociated
  joinedViaStarterPack?: AppBskyGraphDefsStarterPackViewBasic
  indexedAt?: string
  createdAt?: string
  viewer?: AppBskyActorDefsViewerState
  labels?: Array<ComAtprotoLabelDefsLabel>
  pinnedPost?: ComAtprotoRepoStrongRef
  verification?: AppBskyActorDefsVerificationState
  status?: AppBskyActorDefsStatusView
  debug?: UnknownObject
}

export interface AppBskyActorDefsSavedFeed {
  id: string
  type: 'feed' | 'list' | 'timeline' | OtherString
  value: string
  pinned: boolean
}

export interface AppBskyActorDefsSavedFeedsPref {
  pinned: Array<string>
  saved: Array<string>
  timelineIndex?: number
}

export interface AppBskyActorDefsSavedFeedsPrefV2 {
  items: Array<AppBskyActorDefsSavedFeed>
}

export interface AppBskyActorDefsStatusView {
  uri?: string
  cid?: string
  status: 'app.bsky.actor.status#live' | OtherString
  record: UnknownObject
  embed?: Typed<'app.bsky.embed.external#view', AppBskyEmbedExternalView>
  labels?: Array<ComAtprotoLabelDefsLabel>
  expiresAt?: string
  isActive?: boolean
  isDisabled?: boolean
}

export interface AppBskyActorDefsThreadViewPref {
  sort?: 'oldest' | 'newest' | 'most-likes' | 'random' | 'hotness' | OtherString
}

export interface AppBskyActorDefsVerificationPrefs {
  hideBadges?: boolean
}

export interface AppBskyActorDefsVerificationState {
  verifications: Array<AppBskyActorDefsVerificationView>
  verifiedStatus: 'valid' | 'invalid' | 'none' | OtherString
  trustedVerifierStatus: 'valid' | 'invalid' | 'none' | OtherString
}

export interface AppBskyActorDefsVerificationView {
  issuer: string
  issuerDisplayName?: string
  issuerHandle?: string
  uri: string
  isValid: boolean
  createdAt: string
}

export interface AppBskyActorDefsViewerState {
  muted?: boolean
  mutedOnlyReposts?: boolean
  mutedOnlyQuoteposts?: boolean
  mutedByList?: AppBskyGraphDefsListViewBasic
  blockedBy?: boolean
  blocking?: string
  blockingByList?: AppBskyGraphDefsListViewBasic
  following?: string
  followedBy?: string
  knownFollowers?: AppBskyActorDefsKnownFollowers
  activitySubscription?: AppBskyNotificationDefsActivitySubscription
}

export interface AppBskyActorProfile {
  $type: 'app.bsky.actor.profile'
  displayName?: string
  description?: string
  pronouns?: string
  website?: string
  avatar?: BlobRef
  banner?: BlobRef
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  joinedViaStarterPack?: ComAtprotoRepoStrongRef
  pinnedPost?: ComAtprotoRepoStrongRef
  createdAt?: string
}

export interface AppBskyActorStatus {
  $type: 'app.bsky.actor.status'
  status: 'app.bsky.actor.status#live' | OtherString
  embed?: Typed<'app.bsky.embed.external', AppBskyEmbedExternal>
  durationMinutes?: number
  createdAt: string
}

export type AppBskyAgeassuranceDefsAccess = 'unknown' | 'none' | 'safe' | 'full' | OtherString

export interface AppBskyAgeassuranceDefsConfig {
  regions: Array<AppBskyAgeassuranceDefsConfigRegion>
}

export interface AppBskyAgeassuranceDefsConfigRegion {
  platforms?: Array<'web' | 'ios' | 'android' | OtherString>
  countryCode: string
  regionCode?: string
  minAccessAge: number
  additionalVerificationMethods?: Array<'device' | OtherString>
  rules: Array<
    | Typed<'app.bsky.ageassurance.defs#configRegionRuleDefault', AppBskyAgeassuranceDefsConfigRegionRuleDefault>
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfDeclaredOverAge',
        AppBskyAgeassuranceDefsConfigRegionRuleIfDeclaredOverAge
      >
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfDeclaredUnderAge',
        AppBskyAgeassuranceDefsConfigRegionRuleIfDeclaredUnderAge
      >
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfAssuredOverAge',
        AppBskyAgeassuranceDefsConfigRegionRuleIfAssuredOverAge
      >
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfAssuredUnderAge',
        AppBskyAgeassuranceDefsConfigRegionRuleIfAssuredUnderAge
      >
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfAccountNewerThan',
        AppBskyAgeassuranceDefsConfigRegionRuleIfAccountNewerThan
      >
    | Typed<
        'app.bsky.ageassurance.defs#configRegionRuleIfAccountOlderThan',
        AppBskyAgeassuranceDefsConfigRegionRuleIfAccountOlderThan
      >
  >
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleDefault {
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfAccountNewerThan {
  date: string
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfAccountOlderThan {
  date: string
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfAssuredOverAge {
  age: number
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfAssuredUnderAge {
  age: number
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfDeclaredOverAge {
  age: number
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsConfigRegionRuleIfDeclaredUnderAge {
  age: number
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsState {
  lastInitiatedAt?: string
  status: AppBskyAgeassuranceDefsStatus
  access: AppBskyAgeassuranceDefsAccess
}

export interface AppBskyAgeassuranceDefsStateMetadata {
  accountCreatedAt?: string
}

export type AppBskyAgeassuranceDefsStatus = 'unknown' | 'pending' | 'assured' | 'blocked' | OtherString

export interface AppBskyBookmarkDefsBookmarkView {
  subject: ComAtprotoRepoStrongRef
  createdAt?: string
  item:
    | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
    | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
    | Typed<'app.bsky.feed.defs#postView', AppBskyFeedDefsPostView>
}

export interface AppBskyContactDefsMatchAndContactIndex {
  match: AppBskyActorDefsProfileView
  contactIndex: number
}

export interface AppBskyContactDefsSyncStatus {
  syncedAt: string
  matchesCount: number
}

export interface AppBskyDraftDefsDraft {
  deviceId?: string
  deviceName?: string
  posts: Array<AppBskyDraftDefsDraftPost>
  langs?: Array<string>
  postgateEmbeddingRules?: Array<Typed<'app.bsky.feed.postgate#disableRule', AppBskyFeedPostgateDisableRule>>
  threadgateAllow?: Array<
    | Typed<'app.bsky.feed.threadgate#mentionRule', AppBskyFeedThreadgateMentionRule>
    | Typed<'app.bsky.feed.threadgate#followerRule', AppBskyFeedThreadgateFollowerRule>
    | Typed<'app.bsky.feed.threadgate#followingRule', AppBskyFeedThreadgateFollowingRule>
    | Typed<'app.bsky.feed.threadgate#listRule', AppBskyFeedThreadgateListRule>
  >
}

export interface AppBskyDraftDefsDraftEmbedCaption {
  lang: string
  content: string
}

export interface AppBskyDraftDefsDraftEmbedExternal {
  uri: string
}

export interface AppBskyDraftDefsDraftEmbedGallery {
  items: AppBskyDraftDefsDraftEmbedGalleryItems
}

export type AppBskyDraftDefsDraftEmbedGalleryItems = Array<
  Typed<'app.bsky.draft.defs#draftEmbedImage', AppBskyDraftDefsDraftEmbedImage>
>

export interface AppBskyDraftDefsDraftEmbedImage {
  localRef: AppBskyDraftDefsDraftEmbedLocalRef
  alt?: string
}

export interface AppBskyDraftDefsDraftEmbedLocalRef {
  path: string
}

export interface AppBskyDraftDefsDraftEmbedRecord {
  record: ComAtprotoRepoStrongRef
}

export interface AppBskyDraftDefsDraftEmbedVideo {
  localRef: AppBskyDraftDefsDraftEmbedLocalRef
  alt?: string
  captions?: Array<AppBskyDraftDefsDraftEmbedCaption>
}

export interface AppBskyDraftDefsDraftPost {
  text: string
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  embedImages?: Array<AppBskyDraftDefsDraftEmbedImage>
  embedGallery?: AppBskyDraftDefsDraftEmbedGallery
  embedVideos?: Array<AppBskyDraftDefsDraftEmbedVideo>
  embedExternals?: Array<AppBskyDraftDefsDraftEmbedExternal>
  embedRecords?: Array<AppBskyDraftDefsDraftEmbedRecord>
}

export interface AppBskyDraftDefsDraftView {
  id: string
  draft: AppBskyDraftDefsDraft
  createdAt: string
  updatedAt: string
}

export interface AppBskyDraftDefsDraftWithId {
  id: string
  draft: AppBskyDraftDefsDraft
}

export interface AppBskyEmbedDefsAspectRatio {
  width: number
  height: number
}

export interface AppBskyEmbedExternalColorRGB {
  r: number
  g: number
  b: number
}

export interface AppBskyEmbedExternalExternal {
  uri: string
  title: string
  description: string
  thumb?: BlobRef
  associatedRefs?: Array<ComAtprotoRepoStrongRef>
}

export interface AppBskyEmbedExternal {
  external: AppBskyEmbedExternalExternal
}

export interface AppBskyEmbedExternalView {
  external: AppBskyEmbedExternalViewExternal
}

export interface AppBskyEmbedExternalViewExternal {
  uri: string
  title: string
  description: string
  thumb?: string
  createdAt?: string
  updatedAt?: string
  readingTime?: number
  labels?: Array<ComAtprotoLabelDefsLabel>
  source?: AppBskyEmbedExternalViewExternalSource
  associatedRefs?: Array<ComAtprotoRepoStrongRef>
  associatedProfiles?: Array<AppBskyActorDefsProfileViewBasic>
}

export interface AppBskyEmbedExternalViewExternalSource {
  uri: string
  icon?: string
  title: string
  description?: string
  theme?: AppBskyEmbedExternalViewExternalSourceTheme
}

export interface AppBskyEmbedExternalViewExternalSourceTheme {
  backgroundRGB?: AppBskyEmbedExternalColorRGB
  foregroundRGB?: AppBskyEmbedExternalColorRGB
  accentRGB?: AppBskyEmbedExternalColorRGB
  accentForegroundRGB?: AppBskyEmbedExternalColorRGB
}

export interface AppBskyEmbedGalleryImage {
  image: BlobRef
  alt: string
  aspectRatio: AppBskyEmbedDefsAspectRatio
}

export interface AppBskyEmbedGallery {
  items: Array<Typed<'app.bsky.embed.gallery#image', AppBskyEmbedGalleryImage>>
}

export interface AppBskyEmbedGalleryView {
  items: Array<Typed<'app.bsky.embed.gallery#viewImage', AppBskyEmbedGalleryViewImage>>
}

export interface AppBskyEmbedGalleryViewImage {
  thumbnail: string
  fullsize: string
  alt: string
  aspectRatio: AppBskyEmbedDefsAspectRatio
}

export interface AppBskyEmbedImagesImage {
  image: BlobRef
  alt: string
  aspectRatio?: AppBskyEmbedDefsAspectRatio
}

export interface AppBskyEmbedImages {
  images: Array<AppBskyEmbedImagesImage>
}

export interface AppBskyEmbedImagesView {
  images: Array<AppBskyEmbedImagesViewImage>
}

export interface AppBskyEmbedImagesViewImage {
  thumb: string
  fullsize: string
  alt: string
  aspectRatio?: AppBskyEmbedDefsAspectRatio
}

export interface AppBskyEmbedRecord {
  record: ComAtprotoRepoStrongRef
}

export interface AppBskyEmbedRecordView {
  record:
    | Typed<'app.bsky.embed.record#viewRecord', AppBskyEmbedRecordViewRecord>
    | Typed<'app.bsky.embed.record#viewNotFound', AppBskyEmbedRecordViewNotFound>
    | Typed<'app.bsky.embed.record#viewBlocked', AppBskyEmbedRecordViewBlocked>
    | Typed<'app.bsky.embed.record#viewDetached', AppBskyEmbedRecordViewDetached>
    | Typed<'app.bsky.feed.defs#generatorView', AppBskyFeedDefsGeneratorView>
    | Typed<'app.bsky.graph.defs#listView', AppBskyGraphDefsListView>
    | Typed<'app.bsky.labeler.defs#labelerView', AppBskyLabelerDefsLabelerView>
    | Typed<'app.bsky.graph.defs#starterPackViewBasic', AppBskyGraphDefsStarterPackViewBasic>
}

export interface AppBskyEmbedRecordViewBlocked {
  uri: string
  blocked: true
  author: AppBskyFeedDefsBlockedAuthor
}

export interface AppBskyEmbedRecordViewDetached {
  uri: string
  detached: true
}

export interface AppBskyEmbedRecordViewNotFound {
  uri: string
  notFound: true
}

export interface AppBskyEmbedRecordViewRecord {
  uri: string
  cid: string
  author: AppBskyActorDefsProfileViewBasic
  value: UnknownObject
  labels?: Array<ComAtprotoLabelDefsLabel>
  replyCount?: number
  repostCount?: number
  likeCount?: number
  quoteCount?: number
  embeds?: Array<
    | Typed<'app.bsky.embed.images#view', AppBskyEmbedImagesView>
    | Typed<'app.bsky.embed.video#view', AppBskyEmbedVideoView>
    | Typed<'app.bsky.embed.gallery#view', AppBskyEmbedGalleryView>
    | Typed<'app.bsky.embed.external#view', AppBskyEmbedExternalView>
    | Typed<'app.bsky.embed.record#view', AppBskyEmbedRecordView>
    | Typed<'app.bsky.embed.recordWithMedia#view', AppBskyEmbedRecordWithMediaView>
  >
  indexedAt: string
}

export interface AppBskyEmbedRecordWithMedia {
  record: AppBskyEmbedRecord
  media:
    | Typed<'app.bsky.embed.images', AppBskyEmbedImages>
    | Typed<'app.bsky.embed.video', AppBskyEmbedVideo>
    | Typed<'app.bsky.embed.gallery', AppBskyEmbedGallery>
    | Typed<'app.bsky.embed.external', AppBskyEmbedExternal>
}

export interface AppBskyEmbedRecordWithMediaView {
  record: AppBskyEmbedRecordView
  media:
    | Typed<'app.bsky.embed.images#view', AppBskyEmbedImagesView>
    | Typed<'app.bsky.embed.video#view', AppBskyEmbedVideoView>
    | Typed<'app.bsky.embed.gallery#view', AppBskyEmbedGalleryView>
    | Typed<'app.bsky.embed.external#view', AppBskyEmbedExternalView>
}

export interface AppBskyEmbedVideoCaption {
  lang: string
  file: BlobRef
}

export interface AppBskyEmbedVideo {
  video: BlobRef
  captions?: Array<AppBskyEmbedVideoCaption>
  alt?: string
  aspectRatio?: AppBskyEmbedDefsAspectRatio
  presentation?: 'default' | 'gif' | OtherString
}

export interface AppBskyEmbedVideoView {
  cid: string
  playlist: string
  thumbnail?: string
  alt?: string
  aspectRatio?: AppBskyEmbedDefsAspectRatio
  presentation?: 'default' | 'gif' | OtherString
}

export interface AppBskyFeedDefsBlockedAuthor {
  did: string
  viewer?: AppBskyActorDefsViewerState
}

export interface AppBskyFeedDefsBlockedPost {
  uri: string
  blocked: true
  author: AppBskyFeedDefsBlockedAuthor
}

export interface AppBskyFeedDefsFeedViewPost {
  post: AppBskyFeedDefsPostView
  reply?: AppBskyFeedDefsReplyRef
  reason?:
    | Typed<'app.bsky.feed.defs#reasonRepost', AppBskyFeedDefsReasonRepost>
    | Typed<'app.bsky.feed.defs#reasonPin', AppBskyFeedDefsReasonPin>
  feedContext?: string
  reqId?: string
}

export interface AppBskyFeedDefsGeneratorView {
  uri: string
  cid: string
  did: string
  creator: AppBskyActorDefsProfileView
  displayName: string
  description?: string
  descriptionFacets?: Array<AppBskyRichtextFacet>
  avatar?: string
  likeCount?: number
  acceptsInteractions?: boolean
  labels?: Array<ComAtprotoLabelDefsLabel>
  viewer?: AppBskyFeedDefsGeneratorViewerState
  contentMode?: 'app.bsky.feed.defs#contentModeUnspecified' | 'app.bsky.feed.defs#contentModeVideo' | OtherString
  indexedAt: string
}

export interface AppBskyFeedDefsGeneratorViewerState {
  like?: string
}

export interface AppBskyFeedDefsInteraction {
  item?: string | undefined
  event?:
    | 'app.bsky.feed.defs#requestLess'
    | 'app.bsky.feed.defs#requestMore'
    | 'app.bsky.feed.defs#clickthroughItem'
    | 'app.bsky.feed.defs#clickthroughAuthor'
    | 'app.bsky.feed.defs#clickthroughReposter'
    | 'app.bsky.feed.defs#clickthroughEmbed'
    | 'app.bsky.feed.defs#interactionSeen'
    | 'app.bsky.feed.defs#interactionLike'
    | 'app.bsky.feed.defs#interactionRepost'
    | 'app.bsky.feed.defs#interactionReply'
    | 'app.bsky.feed.defs#interactionQuote'
    | 'app.bsky.feed.defs#interactionShare'
    | OtherString
    | undefined
  feedContext?: string | undefined
  reqId?: string | undefined
}

export interface AppBskyFeedDefsKnownLikers {
  count: number
  actors: Array<AppBskyActorDefsProfileViewBasic>
}

export interface AppBskyFeedDefsNotFoundPost {
  uri: string
  notFound: true
}

export interface AppBskyFeedDefsPostView {
  uri: string
  cid: string
  author: AppBskyActorDefsProfileViewBasic
  record: UnknownObject
  embed?:
    | Typed<'app.bsky.embed.images#view', AppBskyEmbedImagesView>
    | Typed<'app.bsky.embed.video#view', AppBskyEmbedVideoView>
    | Typed<'app.bsky.embed.gallery#view', AppBskyEmbedGalleryView>
    | Typed<'app.bsky.embed.external#view', AppBskyEmbedExternalView>
    | Typed<'app.bsky.embed.record#view', AppBskyEmbedRecordView>
    | Typed<'app.bsky.embed.recordWithMedia#view', AppBskyEmbedRecordWithMediaView>
  bookmarkCount?: number
  replyCount?: number
  repostCount?: number
  likeCount?: number
  quoteCount?: number
  indexedAt: string
  viewer?: AppBskyFeedDefsViewerState
  labels?: Array<ComAtprotoLabelDefsLabel>
  threadgate?: AppBskyFeedDefsThreadgateView
  debug?: UnknownObject
}

export type AppBskyFeedDefsReasonPin = UnknownObject

export interface AppBskyFeedDefsReasonRepost {
  by: AppBskyActorDefsProfileViewBasic
  uri?: string
  cid?: string
  indexedAt: string
}

export interface AppBskyFeedDefsReplyRef {
  root:
    | Typed<'app.bsky.feed.defs#postView', AppBskyFeedDefsPostView>
    | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
    | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
  parent:
    | Typed<'app.bsky.feed.defs#postView', AppBskyFeedDefsPostView>
    | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
    | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
  grandparentAuthor?: AppBskyActorDefsProfileViewBasic
}

export interface AppBskyFeedDefsSkeletonFeedPost {
  post: string
  reason?:
    | Typed<'app.bsky.feed.defs#skeletonReasonRepost', AppBskyFeedDefsSkeletonReasonRepost>
    | Typed<'app.bsky.feed.defs#skeletonReasonPin', AppBskyFeedDefsSkeletonReasonPin>
  feedContext?: string
}

export type AppBskyFeedDefsSkeletonReasonPin = UnknownObject

export interface AppBskyFeedDefsSkeletonReasonRepost {
  repost: string
}

export interface AppBskyFeedDefsThreadContext {
  rootAuthorLike?: string
}

export interface AppBskyFeedDefsThreadViewPost {
  post: AppBskyFeedDefsPostView
  parent?:
    | Typed<'app.bsky.feed.defs#threadViewPost', AppBskyFeedDefsThreadViewPost>
    | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
    | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
  replies?: Array<
    | Typed<'app.bsky.feed.defs#threadViewPost', AppBskyFeedDefsThreadViewPost>
    | Typed<'app.bsky.feed.defs#notFoundPost', AppBskyFeedDefsNotFoundPost>
    | Typed<'app.bsky.feed.defs#blockedPost', AppBskyFeedDefsBlockedPost>
  >
  threadContext?: AppBskyFeedDefsThreadContext
}

export interface AppBskyFeedDefsThreadgateView {
  uri?: string
  cid?: string
  record?: UnknownObject
  lists?: Array<AppBskyGraphDefsListViewBasic>
}

export interface AppBskyFeedDefsViewerState {
  repost?: string
  like?: string
  bookmarked?: boolean
  threadMuted?: boolean
  replyDisabled?: boolean
  embeddingDisabled?: boolean
  pinned?: boolean
  knownLikers?: AppBskyFeedDefsKnownLikers
}

export interface AppBskyFeedDescribeFeedGeneratorFeed {
  uri: string
}

export interface AppBskyFeedDescribeFeedGeneratorLinks {
  privacyPolicy?: string
  termsOfService?: string
}

export interface AppBskyFeedGenerator {
  $type: 'app.bsky.feed.generator'
  did: string
  displayName: string
  description?: string
  descriptionFacets?: Array<AppBskyRichtextFacet>
  avatar?: BlobRef
  acceptsInteractions?: boolean
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  contentMode?: 'app.bsky.feed.defs#contentModeUnspecified' | 'app.bsky.feed.defs#contentModeVideo' | OtherString
  createdAt: string
}

export interface AppBskyFeedGetLikesLike {
  indexedAt: string
  createdAt: string
  actor: AppBskyActorDefsProfileView
}

export interface AppBskyFeedLike {
  $type: 'app.bsky.feed.like'
  subject: ComAtprotoRepoStrongRef
  createdAt: string
  via?: ComAtprotoRepoStrongRef
}

export interface AppBskyFeedPostEntity {
  index: AppBskyFeedPostTextSlice
  type: string
  value: string
}

export interface AppBskyFeedPost {
  $type: 'app.bsky.feed.post'
  text: string
  entities?: Array<AppBskyFeedPostEntity>
  facets?: Array<AppBskyRichtextFacet>
  reply?: AppBskyFeedPostReplyRef
  embed?:
    | Typed<'app.bsky.embed.images', AppBskyEmbedImages>
    | Typed<'app.bsky.embed.video', AppBskyEmbedVideo>
    | Typed<'app.bsky.embed.gallery', AppBskyEmbedGallery>
    | Typed<'app.bsky.embed.external', AppBskyEmbedExternal>
    | Typed<'app.bsky.embed.record', AppBskyEmbedRecord>
    | Typed<'app.bsky.embed.recordWithMedia', AppBskyEmbedRecordWithMedia>
  langs?: Array<string>
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  tags?: Array<string>
  createdAt: string
}

export interface AppBskyFeedPostReplyRef {
  root: ComAtprotoRepoStrongRef
  parent: ComAtprotoRepoStrongRef
}

export interface AppBskyFeedPostTextSlice {
  start: number
  end: number
}

export type AppBskyFeedPostgateDisableRule = UnknownObject

export interface AppBskyFeedPostgate {
  $type: 'app.bsky.feed.postgate'
  createdAt: string
  post: string
  detachedEmbeddingUris?: Array<string>
  embeddingRules?: Array<Typed<'app.bsky.feed.postgate#disableRule', AppBskyFeedPostgateDisableRule>>
}

export interface AppBskyFeedRepost {
  $type: 'app.bsky.feed.repost'
  subject: ComAtprotoRepoStrongRef
  createdAt: string
  via?: ComAtprotoRepoStrongRef
}

export type AppBskyFeedThreadgateFollowerRule = UnknownObject

export type AppBskyFeedThreadgateFollowingRule = UnknownObject

export interface AppBskyFeedThreadgateListRule {
  list: string
}

export interface AppBskyFeedThreadgate {
  $type: 'app.bsky.feed.threadgate'
  post: string
  allow?: Array<
    | Typed<'app.bsky.feed.threadgate#mentionRule', AppBskyFeedThreadgateMentionRule>
    | Typed<'app.bsky.feed.threadgate#followerRule', AppBskyFeedThreadgateFollowerRule>
    | Typed<'app.bsky.feed.threadgate#followingRule', AppBskyFeedThreadgateFollowingRule>
    | Typed<'app.bsky.feed.threadgate#listRule', AppBskyFeedThreadgateListRule>
  >
  createdAt: string
  hiddenReplies?: Array<string>
}

export type AppBskyFeedThreadgateMentionRule = UnknownObject

export interface AppBskyGraphBlock {
  $type: 'app.bsky.graph.block'
  subject: string
  createdAt: string
}

export interface AppBskyGraphDefsListItemView {
  uri: string
  subject: AppBskyActorDefsProfileView
  subjectOptedOut?: true
}

export type AppBskyGraphDefsListPurpose =
  | 'app.bsky.graph.defs#modlist'
  | 'app.bsky.graph.defs#curatelist'
  | 'app.bsky.graph.defs#referencelist'
  | OtherString

export interface AppBskyGraphDefsListView {
  uri: string
  cid: string
  creator: AppBskyActorDefsProfileView
  name: string
  purpose: AppBskyGraphDefsListPurpose
  description?: string
  descriptionFacets?: Array<AppBskyRichtextFacet>
  avatar?: string
  listItemCount?: number
  labels?: Array<ComAtprotoLabelDefsLabel>
  viewer?: AppBskyGraphDefsListViewerState
  indexedAt: string
}

export interface AppBskyGraphDefsListViewBasic {
  uri: string
  cid: string
  name: string
  purpose: AppBskyGraphDefsListPurpose
  avatar?: string
  listItemCount?: number
  labels?: Array<ComAtprotoLabelDefsLabel>
  viewer?: AppBskyGraphDefsListViewerState
  indexedAt?: string
}

export interface AppBskyGraphDefsListViewerState {
  muted?: boolean
  blocked?: string
  referenceListOptOut?: string
}

export interface AppBskyGraphDefsNotFoundActor {
  actor: string
  notFound: true
}

export interface AppBskyGraphDefsRelationship {
  did: string
  following?: string
  followedBy?: string
  blocking?: string
  blockedBy?: string
  blockingByList?: string
  blockedByList?: string
}

export interface AppBskyGraphDefsStarterPackView {
  uri: string
  cid: string
  record: UnknownObject
  creator: AppBskyActorDefsProfileViewBasic
  list?: AppBskyGraphDefsListViewBasic
  listItemsSample?: Array<AppBskyGraphDefsListItemView>
  feeds?: Array<AppBskyFeedDefsGeneratorView>
  joinedWeekCount?: number
  joinedAllTimeCount?: number
  labels?: Array<ComAtprotoLabelDefsLabel>
  indexedAt: string
}

export interface AppBskyGraphDefsStarterPackViewBasic {
  uri: string
  cid: string
  record: UnknownObject
  creator: AppBskyActorDefsProfileViewBasic
  listItemCount?: number
  joinedWeekCount?: number
  joinedAllTimeCount?: number
  labels?: Array<ComAtprotoLabelDefsLabel>
  indexedAt: string
}

export interface AppBskyGraphFollow {
  $type: 'app.bsky.graph.follow'
  subject: string
  createdAt: string
  via?: ComAtprotoRepoStrongRef
}

export interface AppBskyGraphGetListsWithMembershipListWithMembership {
  list: AppBskyGraphDefsListView
  listItem?: AppBskyGraphDefsListItemView
}

export interface AppBskyGraphGetStarterPacksWithMembershipStarterPackWithMembership {
  starterPack: AppBskyGraphDefsStarterPackView
  listItem?: AppBskyGraphDefsListItemView
}

export interface AppBskyGraphList {
  $type: 'app.bsky.graph.list'
  purpose: AppBskyGraphDefsListPurpose
  name: string
  description?: string
  descriptionFacets?: Array<AppBskyRichtextFacet>
  avatar?: BlobRef
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  createdAt: string
}

export interface AppBskyGraphListblock {
  $type: 'app.bsky.graph.listblock'
  subject: string
  createdAt: string
}

export interface AppBskyGraphListitem {
  $type: 'app.bsky.graph.listitem'
  subject: string
  list: string
  createdAt: string
}

export interface AppBskyGraphReferencelistoptout {
  $type: 'app.bsky.graph.referencelistoptout'
  subject: string
  createdAt: string
}

export interface AppBskyGraphStarterpackFeedItem {
  uri: string
}

export interface AppBskyGraphStarterpack {
  $type: 'app.bsky.graph.starterpack'
  name: string
  description?: string
  descriptionFacets?: Array<AppBskyRichtextFacet>
  list: string
  feeds?: Array<AppBskyGraphStarterpackFeedItem>
  createdAt: string
}

export interface AppBskyGraphVerification {
  $type: 'app.bsky.graph.verification'
  subject: string
  handle: string
  displayName: string
  createdAt: string
}

export interface AppBskyLabelerDefsLabelerPolicies {
  labelValues: Array<ComAtprotoLabelDefsLabelValue>
  labelValueDefinitions?: Array<ComAtprotoLabelDefsLabelValueDefinition>
}

export interface AppBskyLabelerDefsLabelerView {
  uri: string
  cid: string
  creator: AppBskyActorDefsProfileView
  likeCount?: number
  viewer?: AppBskyLabelerDefsLabelerViewerState
  indexedAt: string
  labels?: Array<ComAtprotoLabelDefsLabel>
}

export interface AppBskyLabelerDefsLabelerViewDetailed {
  uri: string
  cid: string
  creator: AppBskyActorDefsProfileView
  policies: AppBskyLabelerDefsLabelerPolicies
  likeCount?: number
  viewer?: AppBskyLabelerDefsLabelerViewerState
  indexedAt: string
  labels?: Array<ComAtprotoLabelDefsLabel>
  reasonTypes?: Array<ComAtprotoModerationDefsReasonType>
  subjectTypes?: Array<ComAtprotoModerationDefsSubjectType>
  subjectCollections?: Array<string>
}

export interface AppBskyLabelerDefsLabelerViewerState {
  like?: string
}

export interface AppBskyLabelerService {
  $type: 'app.bsky.labeler.service'
  policies: AppBskyLabelerDefsLabelerPolicies
  labels?: Typed<'com.atproto.label.defs#selfLabels', ComAtprotoLabelDefsSelfLabels>
  createdAt: string
  reasonTypes?: Array<ComAtprotoModerationDefsReasonType>
  subjectTypes?: Array<ComAtprotoModerationDefsSubjectType>
  subjectCollections?: Array<string>
}

export interface AppBskyNotificationDeclaration {
  $type: 'app.bsky.notification.declaration'
  allowSubscriptions: 'followers' | 'mutuals' | 'none' | OtherString
}

export interface AppBskyNotificationDefsActivitySubscription {
  post: boolean
  reply: boolean
}

export interface AppBskyNotificationDefsChatPreference {
  include: 'all' | 'accepted' | OtherString
  push: boolean
}

export interface AppBskyNotificationDefsFilterablePreference {
  include: 'all' | 'follows' | OtherString
  list: boolean
  push: boolean
}

export interface AppBskyNotificationDefsPreference {
  list: boolean
  push: boolean
}

export interface AppBskyNotificationDefsPreferences {
  chat: AppBskyNotificationDefsChatPreference
  follow: AppBskyNotificationDefsFilterablePreference
  like: AppBskyNotificationDefsFilterablePreference
  likeViaRepost: AppBskyNotificationDefsFilterablePreference
  mention: AppBskyNotificationDefsFilterablePreference
  quote: AppBskyNotificationDefsFilterablePreference
  reply: AppBskyNotificationDefsFilterablePreference
  repost: AppBskyNotificationDefsFilterablePreference
  repostViaRepost: AppBskyNotificationDefsFilterablePreference
  starterpackJoined: AppBskyNotificationDefsPreference
  subscribedPost: AppBskyNotificationDefsPreference
  unverified: AppBskyNotificationDefsPreference
  verified: AppBskyNotificationDefsPreference
}

export interface AppBskyNotificationListNotificationsNotification {
  uri: string
  cid: string
  author: AppBskyActorDefsProfileView
  reason:
    | 'like'
    | 'repost'
    | 'follow'
    | 'mention'
    | 'reply'
    | 'quote'
    | 'starterpack-joined'
    | 'verified'
    | 'unverified'
    | 'like-via-repost'
    | 'repost-via-repost'
    | 'subscribed-post'
    | 'contact-match'
    | OtherString
  reasonSubject?: string
  record: UnknownObject
  starterPack?: AppBskyGraphDefsStarterPackViewBasic
  isRead: boolean
  indexedAt: string
  labels?: Array<ComAtprotoLabelDefsLabel>
}

export interface AppBskyRichtextFacetByteSlice {
  byteStart: number
  byteEnd: number
}

export interface AppBskyRichtextFacetLink {
  uri: string
}

export interface AppBskyRichtextFacet {
  index: AppBskyRichtextFacetByteSlice
  features: Array<
    | Typed<'app.bsky.richtext.facet#mention', AppBskyRichtextFacetMention>
    | Typed<'app.bsky.richtext.facet#link', AppBskyRichtextFacetLink>
    | Typed<'app.bsky.richtext.facet#tag', AppBskyRichtextFacetTag>
  >
}

export interface AppBskyRichtextFacetMention {
  did: string
}

export interface AppBskyRichtextFacetTag {
  tag: string
}

export interface AppBskyVideoDefsJobStatus {
  jobId: string
  did: string
  state:
    | 'JOB_STATE_CREATED'
    | 'JOB_STATE_ENCODING'
    | 'JOB_STATE_ENCODED'
    | 'JOB_STATE_SCANNING'
    | 'JOB_STATE_SCANNED'
    | 'JOB_STATE_UPLOADING'
    | 'JOB_STATE_UPLOADED'
    | 'JOB_STATE_COMPLETED'
    | 'JOB_STATE_FAILED'
    | OtherString
  progress?: number
  blob?: BlobRef
  error?: string
  failureCode?:
    | 'validation_failure'
    | 'encoding_failure'
    | 'pds_upload_failure'
    | 'pds_upload_unsupported_blob_size'
    | 'generic_failure'
    | OtherString
  message?: string
}

export interface ChatBskyActorDeclaration {
  $type: 'chat.bsky.actor.declaration'
  allowIncoming: 'all' | 'none' | 'following' | OtherString
  allowGroupInvites?: 'all' | 'none' | 'following' | OtherString
}

export type ChatBskyActorDefsDirectConvoMember = UnknownObject

export interface ChatBskyActorDefsGroupConvoMember {
  addedBy?: ChatBskyActorDefsProfileViewBasic
  role: ChatBskyActorDefsMemberRole
}

export type ChatBskyActorDefsMemberRole = 'owner' | 'standard' | OtherString

export type ChatBskyActorDefsPastGroupConvoMember = UnknownObject

export interface ChatBskyActorDefsProfileViewBasic {
  did: string
  handle: string
  displayName?: string
  avatar?: string
  associated?: AppBskyActorDefsProfileAssociated
  viewer?: AppBskyActorDefsViewerState
  labels?: Array<ComAtprotoLabelDefsLabel>
  createdAt?: string
  chatDisabled?: boolean
  verification?: AppBskyActorDefsVerificationState
  kind?:
    | Typed<'chat.bsky.actor.defs#directConvoMember', ChatBskyActorDefsDirectConvoMember>
    | Typed<'chat.bsky.actor.defs#groupConvoMember', ChatBskyActorDefsGroupConvoMember>
    | Typed<'chat.bsky.actor.defs#pastGroupConvoMember', ChatBskyActorDefsPastGroupConvoMember>
}

export type ChatBskyConvoDefsConvoLockStatus = 'unlocked' | 'locked' | 'locked-permanently' | OtherString

export type ChatBskyConvoDefsConvoStatus = 'request' | 'accepted' | OtherString

export interface ChatBskyConvoDefsConvoView {
  id: string
  rev: string
  members: Array<ChatBskyActorDefsProfileViewBasic>
  lastMessage?:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
    | Typed<'chat.bsky.convo.defs#systemMessageView', ChatBskyConvoDefsSystemMessageView>
  lastReaction?: Typed<'chat.bsky.convo.defs#messageAndReactionView', ChatBskyConvoDefsMessageAndReactionView>
  muted: boolean
  status?: ChatBskyConvoDefsConvoStatus
  unreadCount: number
  kind?:
    | Typed<'chat.bsky.convo.defs#directConvo', ChatBskyConvoDefsDirectConvo>
    | Typed<'chat.bsky.convo.defs#groupConvo', ChatBskyConvoDefsGroupConvo>
}

export interface ChatBskyConvoDefsDeletedMessageView {
  id: string
  rev: string
  sender: ChatBskyConvoDefsMessageViewSender
  sentAt: string
}

export type ChatBskyConvoDefsDirectConvo = UnknownObject

export interface ChatBskyConvoDefsGroupConvo {
  createdAt: string
  joinLink?: ChatBskyGroupDefsJoinLinkView
  joinRequestCount?: number
  lockStatus: ChatBskyConvoDefsConvoLockStatus
  lockStatusModerationOverride: boolean
  memberCount: number
  memberLimit: number
  name: string
  unreadJoinRequestCount?: number
}

export interface ChatBskyConvoDefsLogAcceptConvo {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogAddMember {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogAddReaction {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
  reaction: ChatBskyConvoDefsReactionView
  relatedProfiles?: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogApproveJoinRequest {
  rev: string
  convoId: string
  member: ChatBskyActorDefsProfileViewBasic
}

export interface ChatBskyConvoDefsLogBeginConvo {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogCreateJoinLink {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
}

export interface ChatBskyConvoDefsLogCreateMessage {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
  relatedProfiles?: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogDeleteMessage {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
}

export interface ChatBskyConvoDefsLogDisableJoinLink {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
}

export interface ChatBskyConvoDefsLogEditGroup {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
}

export interface ChatBskyConvoDefsLogEditJoinLink {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
}

export interface ChatBskyConvoDefsLogEnableJoinLink {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
}

export interface ChatBskyConvoDefsLogIncomingJoinRequest {
  rev: string
  convoId: string
  member: ChatBskyActorDefsProfileViewBasic
}

export interface ChatBskyConvoDefsLogLeaveConvo {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogLockConvo {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogLockConvoPermanently {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogMemberJoin {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogMemberLeave {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogMuteConvo {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogOutgoingJoinRequest {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogReadConvo {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
    | Typed<'chat.bsky.convo.defs#systemMessageView', ChatBskyConvoDefsSystemMessageView>
}

export interface ChatBskyConvoDefsLogReadJoinRequests {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogReadMessage {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
    | Typed<'chat.bsky.convo.defs#systemMessageView', ChatBskyConvoDefsSystemMessageView>
}

export interface ChatBskyConvoDefsLogRejectJoinRequest {
  rev: string
  convoId: string
  member: ChatBskyActorDefsProfileViewBasic
}

export interface ChatBskyConvoDefsLogRemoveMember {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogRemoveReaction {
  rev: string
  convoId: string
  message:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
  reaction: ChatBskyConvoDefsReactionView
  relatedProfiles?: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogUnlockConvo {
  rev: string
  convoId: string
  message: ChatBskyConvoDefsSystemMessageView
  relatedProfiles: Array<ChatBskyActorDefsProfileViewBasic>
}

export interface ChatBskyConvoDefsLogUnmuteConvo {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsLogWithdrawIncomingJoinRequest {
  rev: string
  convoId: string
  member: ChatBskyActorDefsProfileViewBasic
}

export interface ChatBskyConvoDefsLogWithdrawOutgoingJoinRequest {
  rev: string
  convoId: string
}

export interface ChatBskyConvoDefsMessageAndReactionView {
  message: ChatBskyConvoDefsMessageView
  reaction: ChatBskyConvoDefsReactionView
}

export type ChatBskyConvoDefsMessageBeforeUserJoinedGroupView = UnknownObject

export interface ChatBskyConvoDefsMessageInput {
  text: string
  facets?: ReadonlyArray<AppBskyRichtextFacet> | undefined
  embed?:
    | Typed<'app.bsky.embed.record', AppBskyEmbedRecord>
    | Typed<'chat.bsky.embed.joinLink', ChatBskyEmbedJoinLink>
    | undefined
  replyTo?: ChatBskyConvoDefsReplyRef | undefined
}

export interface ChatBskyConvoDefsMessageView {
  id: string
  rev: string
  text: string
  facets?: Array<AppBskyRichtextFacet>
  embed?:
    | Typed<'app.bsky.embed.record#view', AppBskyEmbedRecordView>
    | Typed<'chat.bsky.embed.joinLink#view', ChatBskyEmbedJoinLinkView>
  reactions?: Array<ChatBskyConvoDefsReactionView>
  replyTo?:
    | Typed<'chat.bsky.convo.defs#messageView', ChatBskyConvoDefsMessageView>
    | Typed<'chat.bsky.convo.defs#deletedMessageView', ChatBskyConvoDefsDeletedMessageView>
    | Typed<'chat.bsky.convo.defs#messageBeforeUserJoinedGroupView', ChatBskyConvoDefsMessageBeforeUserJoinedGroupView>
  sender: ChatBskyConvoDefsMessageViewSender
  sentAt: string
}

export interface ChatBskyConvoDefsMessageViewSender {
  did: string
}

export interface ChatBskyConvoDefsReactionView {
  value: string
  sender: ChatBskyConvoDefsReactionViewSender
  createdAt: string
}

export interface ChatBskyConvoDefsReactionViewSender {
  did: string
}

export interface ChatBskyConvoDefsReplyRef {
  messageId: string
}

export interface ChatBskyConvoDefsSystemMessageDataAddMember {
  member: ChatBskyConvoDefsSystemMessageReferredUser
  role: ChatBskyActorDefsMemberRole
  addedBy: ChatBskyConvoDefsSystemMessageReferredUser
}

export type ChatBskyConvoDefsSystemMessageDataCreateJoinLink = UnknownObject

export type ChatBskyConvoDefsSystemMessageDataDisableJoinLink = UnknownObject

export interface ChatBskyConvoDefsSystemMessageDataEditGroup {
  oldName?: string
  newName?: string
}

export type ChatBskyConvoDefsSystemMessageDataEditJoinLink = UnknownObject

export type ChatBskyConvoDefsSystemMessageDataEnableJoinLink = UnknownObject

export interface ChatBskyConvoDefsSystemMessageDataLockConvo {
  lockedBy: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageDataLockConvoPermanently {
  lockedBy: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageDataMemberJoin {
  member: ChatBskyConvoDefsSystemMessageReferredUser
  role: ChatBskyActorDefsMemberRole
  approvedBy?: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageDataMemberLeave {
  member: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageDataRemoveMember {
  member: ChatBskyConvoDefsSystemMessageReferredUser
  removedBy: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageDataUnlockConvo {
  unlockedBy: ChatBskyConvoDefsSystemMessageReferredUser
}

export interface ChatBskyConvoDefsSystemMessageReferredUser {
  did: string
}

export interface ChatBskyConvoDefsSystemMessageView {
  id: string
  rev: string
  sentAt: string
  data:
    | Typed<'chat.bsky.convo.defs#systemMessageDataAddMember', ChatBskyConvoDefsSystemMessageDataAddMember>
    | Typed<'chat.bsky.convo.defs#systemMessageDataRemoveMember', ChatBskyConvoDefsSystemMessageDataRemoveMember>
    | Typed<'chat.bsky.convo.defs#systemMessageDataMemberJoin', ChatBskyConvoDefsSystemMessageDataMemberJoin>
    | Typed<'chat.bsky.convo.defs#systemMessageDataMemberLeave', ChatBskyConvoDefsSystemMessageDataMemberLeave>
    | Typed<'chat.bsky.convo.defs#systemMessageDataLockConvo', ChatBskyConvoDefsSystemMessageDataLockConvo>
    | Typed<'chat.bsky.convo.defs#systemMessageDataUnlockConvo', ChatBskyConvoDefsSystemMessageDataUnlockConvo>
    | Typed<
        'chat.bsky.convo.defs#systemMessageDataLockConvoPermanently',
        ChatBskyConvoDefsSystemMessageDataLockConvoPermanently
      >
    | Typed<'chat.bsky.convo.defs#systemMessageDataEditGroup', ChatBskyConvoDefsSystemMessageDataEditGroup>
    | Typed<'chat.bsky.convo.defs#systemMessageDataCreateJoinLink', ChatBskyConvoDefsSystemMessageDataCreateJoinLink>
    | Typed<'chat.bsky.convo.defs#systemMessageDataEditJoinLink', ChatBskyConvoDefsSystemMessageDataEditJoinLink>
    | Typed<'chat.bsky.convo.defs#systemMessageDataEnableJoinLink', ChatBskyConvoDefsSystemMessageDataEnableJoinLink>
    | Typed<'chat.bsky.convo.defs#systemMessageDataDisableJoinLink', ChatBskyConvoDefsSystemMessageDataDisableJoinLink>
}

export interface ChatBskyConvoSendMessageBatchBatchItem {
  convoId: string
  message: ChatBskyConvoDefsMessageInput
}

export interface ChatBskyEmbedJoinLink {
  code: string
}

export interface ChatBskyEmbedJoinLinkView {
  joinLinkPreview:
    | Typed<'chat.bsky.group.defs#joinLinkPreviewView', ChatBskyGroupDefsJoinLinkPreviewView>
    | Typed<'chat.bsky.group.defs#disabledJoinLinkPreviewView', ChatBskyGroupDefsDisabledJoinLinkPreviewView>
    | Typed<'chat.bsky.group.defs#invalidJoinLinkPreviewView', ChatBskyGroupDefsInvalidJoinLinkPreviewView>
}

export interface ChatBskyGroupDefsDisabledJoinLinkPreviewView {
  code: string
}

export interface ChatBskyGroupDefsInvalidJoinLinkPreviewView {
  code: string
}

export interface ChatBskyGroupDefsJoinLinkPreviewView {
  convoId: string
  code: string
  name: string
  owner: ChatBskyActorDefsProfileViewBasic
  memberCount: number
  memberLimit: number
  requireApproval: boolean
  joinRule: ChatBskyGroupDefsJoinRule
  convo?: ChatBskyConvoDefsConvoView
  viewer?: ChatBskyGroupDefsJoinLinkViewerState
}

export interface ChatBskyGroupDefsJoinLinkView {
  code: string
  enabledStatus: ChatBskyGroupDefsLinkEnabledStatus
  requireApproval: boolean
  joinRule: ChatBskyGroupDefsJoinRule
  createdAt: string
}

export interface ChatBskyGroupDefsJoinLinkViewerState {
  requestedAt?: string
}

export interface ChatBskyGroupDefsJoinRequestConvoView {
  convoId: string
  name: string
  owner: ChatBskyActorDefsProfileViewBasic
  memberCount: number
  memberLimit: number
  viewer: ChatBskyGroupDefsJoinLinkViewerState
}

export interface ChatBskyGroupDefsJoinRequestView {
  convoId: string
  requestedBy: ChatBskyActorDefsProfileViewBasic
  requestedAt: string
}

export type ChatBskyGroupDefsJoinRule = 'anyone' | 'followedByOwner' | OtherString

export type ChatBskyGroupDefsLinkEnabledStatus = 'enabled' | 'disabled' | OtherString

export interface ChatBskyNotificationDefsChatPreference {
  include: 'all' | 'follows' | OtherString
  push: boolean
}

export interface ChatBskyNotificationDefsPreferences {
  chat: ChatBskyNotificationDefsChatPreference
  chatRequest: ChatBskyNotificationDefsChatPreference
}

export interface ComAtprotoAdminDefsRepoRef {
  did: string
}

export interface ComAtprotoIdentityDefsIdentityInfo {
  did: string
  handle: string
  didDoc: UnknownObject
}

export interface ComAtprotoLabelDefsLabel {
  ver?: number
  src: string
  uri: string
  cid?: string
  val: string
  neg?: boolean
  cts: string
  exp?: string
  sig?: Bytes
}

export type ComAtprotoLabelDefsLabelValue =
  | '!hide'
  | '!warn'
  | '!no-unauthenticated'
  | 'porn'
  | 'sexual'
  | 'nudity'
  | 'graphic-media'
  | 'bot'
  | OtherString

export interface ComAtprotoLabelDefsLabelValueDefinition {
  identifier: string
  severity: 'inform' | 'alert' | 'none' | OtherString
  blurs: 'content' | 'media' | 'none' | OtherString
  defaultSetting?: 'ignore' | 'warn' | 'hide' | OtherString
  adultOnly?: boolean
  locales: Array<ComAtprotoLabelDefsLabelValueDefinitionStrings>
}

export interface ComAtprotoLabelDefsLabelValueDefinitionStrings {
  lang: string
  name: string
  description: string
}

export interface ComAtprotoLabelDefsSelfLabel {
  val: string
}

export interface ComAtprotoLabelDefsSelfLabels {
  values: Array<ComAtprotoLabelDefsSelfLabel>
}

export interface ComAtprotoLexiconSchema {
  $type: 'com.atproto.lexicon.schema'
  lexicon: number
}

export interface ComAtprotoModerationCreateReportModTool {
  name: string
  meta?: object | undefined
}

export type ComAtprotoModerationDefsReasonType =
  | 'com.atproto.moderation.defs#reasonSpam'
  | 'com.atproto.moderation.defs#reasonViolation'
  | 'com.atproto.moderation.defs#reasonMisleading'
  | 'com.atproto.moderation.defs#reasonSexual'
  | 'com.atproto.moderation.defs#reasonRude'
  | 'com.atproto.moderation.defs#reasonOther'
  | 'com.atproto.moderation.defs#reasonAppeal'
  | 'tools.ozone.report.defs#reasonAppeal'
  | 'tools.ozone.report.defs#reasonOther'
  | 'tools.ozone.report.defs#reasonViolenceAnimal'
  | 'tools.ozone.report.defs#reasonViolenceThreats'
  | 'tools.ozone.report.defs#reasonViolenceGraphicContent'
  | 'tools.ozone.report.defs#reasonViolenceGlorification'
  | 'tools.ozone.report.defs#reasonViolenceExtremistContent'
  | 'tools.ozone.report.defs#reasonViolenceTrafficking'
  | 'tools.ozone.report.defs#reasonViolenceOther'
  | 'tools.ozone.report.defs#reasonSexualAbuseContent'
  | 'tools.ozone.report.defs#reasonSexualNCII'
  | 'tools.ozone.report.defs#reasonSexualDeepfake'
  | 'tools.ozone.report.defs#reasonSexualAnimal'
  | 'tools.ozone.report.defs#reasonSexualUnlabeled'
  | 'tools.ozone.report.defs#reasonSexualOther'
  | 'tools.ozone.report.defs#reasonChildSafetyCSAM'
  | 'tools.ozone.report.defs#reasonChildSafetyGroom'
  | 'tools.ozone.report.defs#reasonChildSafetyPrivacy'
  | 'tools.ozone.report.defs#reasonChildSafetyHarassment'
  | 'tools.ozone.report.defs#reasonChildSafetyOther'
  | 'tools.ozone.report.defs#reasonHarassmentTroll'
  | 'tools.ozone.report.defs#reasonHarassmentTargeted'
  | 'tools.ozone.report.defs#reasonHarassmentHateSpeech'
  | 'tools.ozone.report.defs#reasonHarassmentDoxxing'
  | 'tools.ozone.report.defs#reasonHarassmentOther'
  | 'tools.ozone.report.defs#reasonMisleadingBot'
  | 'tools.ozone.report.defs#reasonMisleadingImpersonation'
  | 'tools.ozone.report.defs#reasonMisleadingSpam'
  | 'tools.ozone.report.defs#reasonMisleadingScam'
  | 'tools.ozone.report.defs#reasonMisleadingElections'
  | 'tools.ozone.report.defs#reasonMisleadingOther'
  | 'tools.ozone.report.defs#reasonRuleSiteSecurity'
  | 'tools.ozone.report.defs#reasonRuleProhibitedSales'
  | 'tools.ozone.report.defs#reasonRuleBanEvasion'
  | 'tools.ozone.report.defs#reasonRuleOther'
  | 'tools.ozone.report.defs#reasonSelfHarmContent'
  | 'tools.ozone.report.defs#reasonSelfHarmED'
  | 'tools.ozone.report.defs#reasonSelfHarmStunts'
  | 'tools.ozone.report.defs#reasonSelfHarmSubstances'
  | 'tools.ozone.report.defs#reasonSelfHarmOther'
  | OtherString

export type ComAtprotoModerationDefsSubjectType = 'account' | 'record' | 'chat' | OtherString

export interface ComAtprotoRepoApplyWritesCreate {
  collection: string
  rkey?: string | undefined
  value: object
}

export interface ComAtprotoRepoApplyWritesCreateResult {
  uri: string
  cid: string
  validationStatus?: 'valid' | 'unknown' | OtherString
}

export interface ComAtprotoRepoApplyWritesDelete {
  collection: string
  rkey: string
}

export type ComAtprotoRepoApplyWritesDeleteResult = UnknownObject

export interface ComAtprotoRepoApplyWritesUpdate {
  collection: string
  rkey: string
  value: object
}

export interface ComAtprotoRepoApplyWritesUpdateResult {
  uri: string
  cid: string
  validationStatus?: 'valid' | 'unknown' | OtherString
}

export interface ComAtprotoRepoDefsCommitMeta {
  cid: string
  rev: string
}

export interface ComAtprotoRepoListMissingBlobsRecordBlob {
  cid: string
  recordUri: string
}

export interface ComAtprotoRepoListRecordsRecord {
  uri: string
  cid: string
  value: UnknownObject
}

export interface ComAtprotoRepoStrongRef {
  uri: string
  cid: string
}

export interface ComAtprotoServerCreateAppPasswordAppPassword {
  name: string
  password: string
  createdAt: string
  privileged?: boolean
}

export interface ComAtprotoServerCreateInviteCodesAccountCodes {
  account: string
  codes: Array<string>
}

export interface ComAtprotoServerDefsInviteCode {
  code: string
  available: number
  disabled: boolean
  forAccount: string
  createdBy: string
  createdAt: string
  uses: Array<ComAtprotoServerDefsInviteCodeUse>
}

export interface ComAtprotoServerDefsInviteCodeUse {
  usedBy: string
  usedAt: string
}

export interface ComAtprotoServerDescribeServerContact {
  email?: string
}

export interface ComAtprotoServerDescribeServerLinks {
  privacyPolicy?: string
  termsOfService?: string
}

export interface ComAtprotoServerListAppPasswordsAppPassword {
  name: string
  createdAt: string
  privileged?: boolean
}

export type ComAtprotoSyncDefsHostStatus = 'active' | 'idle' | 'offline' | 'throttled' | 'banned' | OtherString

export interface ComAtprotoSyncListHostsHost {
  hostname: string
  seq?: number
  accountCount?: number
  status?: ComAtprotoSyncDefsHostStatus
}

export interface ComAtprotoSyncListReposRepo {
  did: string
  head: string
  rev: string
  active?: boolean
  status?: 'takendown' | 'suspended' | 'deleted' | 'deactivated' | 'desynchronized' | 'throttled' | OtherString
}

export interface ComAtprotoSyncListReposByCollectionRepo {
  did: string
}
