/** The servers in memory that the unit tests run against: those of `atproto-oauth/testing`, with all that they can do wrong. */
export * from '../../src/testing/world.ts'
