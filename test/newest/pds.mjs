export * from '@atproto/pds'
