/**
 * `npm run demo`: the main job, from a handle to a post that the AppView's stand-in can see,
 * against a real PDS and PLC directory on this machine. Every command is run as it is shown.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createHome, runShell } from './cli.ts'
import { signIn } from './person.ts'
import { startWorld } from './start.ts'
import { connectWorld } from './world.ts'

/** What a shell would still have set when the next command is typed. */
const SOURCE = 'set -a; . ./session.env; set +a'

const started = await startWorld()
const home = await createHome()
try {
  await demo()
} finally {
  await home.remove()
  await started.stop()
}

async function demo(): Promise<void> {
  const world = connectWorld(started.addresses)
  const account = await world.createAccount({ handle: 'alice.test' })
  const secrets = new Set<string>()

  say(`A PDS, a PLC directory and an account alice.test, all on this machine. The tool is told where:

    export ATPROTO_OAUTH_DEV=1                                   # http: and private addresses
    export ATPROTO_OAUTH_PLC_URL=${world.plcUrl}
    export ATPROTO_OAUTH_HANDLE_RESOLVER=${world.handleResolverUrl}    # .test names have no DNS
`)

  let warned = false
  const run = async (command: string, { stdin, before = '' }: { stdin?: string; before?: string } = {}) => {
    say(`$ ${command}`)
    // One stream, so that the lines come in the order in which a terminal has them.
    const script = `exec 2>&1\n${before}\n${command}`
    const { code, stdout } = await runShell(script, { home, stdin, world: started.addresses })
    // The warning about ATPROTO_OAUTH_DEV is given each time; once is enough to see it.
    const told = warned ? stdout.replace(/^atproto-oauth: warning: development mode.*\n/m, '') : stdout
    warned ||= stdout.includes('development mode')
    say(`${shortened(told.trim(), secrets)}\n`)
    if (code !== 0) throw new Error(`exit code ${code}`)
    return stdout
  }

  const printed = await run('atproto-oauth init alice.test --scope "atproto transition:generic"')
  const [url] = /^http\S+$/m.exec(printed)!
  const callback = await signIn(url, account, { consent: true })
  secrets.add(new URL(callback).searchParams.get('code')!)
  say(`(alice opens the URL, signs in, agrees. Her browser ends on
 ${shortened(callback, secrets)}
 which she copies and pastes into the next command.)\n`)

  await run('umask 077; atproto-oauth complete > session.env', { stdin: callback })
  const saved = await readFile(join(home.path, 'session.env'), 'utf8')
  for (const [secret] of saved.matchAll(/(?<="d":")[^"]+|(?<=TOKEN=')[^']+/g)) secrets.add(secret)
  await run('cat session.env')
  await run(SOURCE)
  const post = '{"$type": "app.bsky.feed.post", "text": "hello from a shell", "createdAt": "\'$(date -u +%FT%TZ)\'"}'
  await run(
    `atproto-oauth call com.atproto.repo.createRecord \\
    -d '{"repo": "'$ATPROTO_OAUTH_DID'", "collection": "app.bsky.feed.post", "record": ${post}}'`,
    { before: SOURCE },
  )
  await run('atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post limit=5', {
    before: SOURCE,
  })
  await run('atproto-oauth call app.bsky.actor.getProfile actor={did}', { before: SOURCE })
  say('Done: a login, a post, and an AppView method through the PDS. Everything is cleaned up.')
}

function shortened(text: string, secrets: ReadonlySet<string>): string {
  let result = text
  for (const secret of secrets) result = result.replaceAll(secret, `${secret.slice(0, 8)}…`)
  return result
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
