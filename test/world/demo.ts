/**
 * `npm run demo`: the main job, from a handle to a created post, against a real PDS and PLC directory on this machine.
 * Every command is run as shown; very long output lines are cut.
 */
import { createHome } from './cli.ts'
import { demonstrate } from './demonstrate.ts'
import { startWorld } from './start.ts'

const TOO_LONG = /^(.{200}).{40,}/gm

const started = await startWorld()
const home = await createHome()
try {
  const { addresses } = started
  say(`A PDS, a PLC directory and an account alice.test, all on this machine. These variables point the commands at them
(the first one prints a warning each time, which is not shown here):

    export ATPROTO_OAUTH_DEV=1                                   # http: and private addresses
    export ATPROTO_OAUTH_PLC_URL=${addresses.plcUrl}
    export ATPROTO_OAUTH_HANDLE_RESOLVER=${addresses.handleResolverUrl}    # .test names have no DNS
`)
  await demonstrate({ addresses, home, handle: 'alice.test' }, ({ kind, text }) =>
    say(kind === 'command' ? `$ ${text}` : `${text.replace(TOO_LONG, '$1…')}\n`),
  )
  say('Done: signed in, created a post and listed it. The servers are stopped and their files removed.')
} finally {
  await home.remove()
  await started.stop()
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
