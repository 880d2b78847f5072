/** A server that sends no state with a denial (personal-pds). */
import { expect, test } from 'vitest'
import { checkCallback, complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'

const start = (world: FakeWorld) => init('alice.fake.dev', { scope: 'atproto' }, world)
const denial = (world: FakeWorld) => `http://127.0.0.1/callback?error=access_denied&iss=${encodeURIComponent(world.as)}`

test('26.16 ends the only login that is pending', async () => {
  const world = createFakeWorld()
  const { pending } = await start(world)
  expect(await checkCallback(denial(world), world)).toStrictEqual({ isDenied: true })
  await expect(complete(denial(world), world)).rejects.toMatchObject({ code: 'AUTHORIZATION_DENIED' })
  expect(world.stores.pendingRecords.get(pending.state)).toMatchObject({ status: 'spent', outcome: 'denied' })
  await expect(complete(denial(world), world)).rejects.toMatchObject({ code: 'CALLBACK_INCOMPLETE' })
})

test('26.16 ends none if two are pending, and none of another server', async () => {
  const world = createFakeWorld()
  await start(world)
  const foreign = denial(world).replace(/iss=.*/, 'iss=https%3A%2F%2Fevil.dev')
  await expect(complete(foreign, world)).rejects.toMatchObject({ code: 'CALLBACK_REFUSED' })
  await start(world)
  await expect(complete(denial(world), world)).rejects.toMatchObject({
    code: 'CALLBACK_INCOMPLETE',
    message: 'the sign-in was denied without a state, and 2 logins are pending here',
  })
  expect([...world.stores.pendingRecords.values()].map(({ status }) => status)).toStrictEqual(['pending', 'pending'])
})

test('26.16 a code without state belongs to no login, also if one is pending', async () => {
  const world = createFakeWorld()
  await start(world)
  const code = `${denial(world)}&code=cod-${'0a'.repeat(32)}`
  await expect(complete(code, world)).rejects.toMatchObject({ code: 'CALLBACK_INCOMPLETE' })
})

test('26.16 a login that has expired is not pending', async () => {
  const world = createFakeWorld()
  await start(world)
  world.advance(8 * 24 * 3600 * 1000)
  await expect(complete(denial(world), world)).rejects.toMatchObject({
    message: 'the sign-in was denied without a state, and no login is pending here',
  })
})
