export * from '@atproto/oauth-client-node'
