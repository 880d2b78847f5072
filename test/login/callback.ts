/** A callback as it should be, and the login that waits for it. */

import { pendingOf } from '../protocol/helpers.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

export const STATE = 'c3RhdGUtb2YtdGhlLXRlc3Q'
export const CODE = `cod-${'0a'.repeat(32)}`
export const ISS = 'https://as.fake.dev'
export const BASE = 'http://127.0.0.1/callback'
export const QUERY = `iss=https%3A%2F%2Fas.fake.dev&state=${STATE}&code=${CODE}`
export const URL_ = `${BASE}?${QUERY}`
export const PENDING = pendingOf(createFakeWorld())
