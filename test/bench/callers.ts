/**
 * `npm run bench`: how long 2,000 callers in one process wait if the access token has expired and they all need the
 * same refresh, with the store on this disk and the servers in memory.
 */
import { createSessionStore } from '../../src/node/store/sessions.ts'
import { openSession } from '../../src/session/open.ts'
import { GET_SESSION, HOUR, isRefresh, signedIn } from '../support/login.ts'
import { createHome } from '../world/cli.ts'

const CALLERS = 2000

const home = await createHome()
try {
  const { world, separate } = await signedIn()
  const sessions = createSessionStore(home.state, { holdSignals: (work) => work() })
  const session = await openSession(separate, { ...world, stores: { ...world.stores, sessions } })
  await session.refresh()
  world.advance(2 * HOUR)
  const before = world.sent(isRefresh).length
  const began = performance.now()
  const responses = await Promise.all(Array.from({ length: CALLERS }, () => session.call(GET_SESSION)))
  const milliseconds = Math.round(performance.now() - began)
  const answered = responses.filter(({ ok }) => ok).length
  const refreshes = world.sent(isRefresh).length - before
  process.stdout.write(
    `${CALLERS} callers, token expired: ${answered} responses, ${refreshes} refresh, ${milliseconds} ms\n`,
  )
} finally {
  await home.remove()
}
