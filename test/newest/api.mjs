export * from '@atproto/api'
