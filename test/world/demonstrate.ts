/**
 * The main job, from a handle to a created post, as a person types it into a shell.
 */
import { type Home, runShell } from './cli.ts'
import type { WorldAddresses } from './main.ts'
import { signIn } from './person.ts'
import { connectWorld } from './world.ts'

export interface Scene {
  /** `note`: what happens outside of the shell. */
  readonly kind: 'command' | 'output' | 'note'
  /** Secrets are shortened. */
  readonly text: string
}

/** Lines short enough for the picture. */
const CREATE = `atproto-oauth call com.atproto.repo.createRecord \\
    repo={did} collection=app.bsky.feed.post \\
    record='{ "text": "hello from a shell",
      "createdAt": "'$(date -u +%FT%TZ)'" }'`
const LIST = `atproto-oauth call com.atproto.repo.listRecords \\
    repo={did} collection=app.bsky.feed.post |
    grep -o '"text":"[^"]*"'`

/**
 * @param handle of an account that is made for this
 * @param show called as soon as there is something to see
 */
export async function demonstrate(
  { addresses, home, handle }: { addresses: WorldAddresses; home: Home; handle: string },
  show: (scene: Scene) => void,
): Promise<void> {
  const account = await connectWorld(addresses).createAccount({ handle })
  const run = async (command: string, stdin?: string) => {
    show({ kind: 'command', text: command })
    // One stream, so that the lines come in the order in which a terminal has them.
    const { code, stdout } = await runShell(`exec 2>&1\n${command}`, { home, stdin, world: addresses })
    const said = stdout.replace(/^atproto-oauth: warning: development mode.*\n/m, '').trim()
    show({ kind: 'output', text: said })
    if (code !== 0) throw new Error(`exit code ${code}`)
    return said
  }

  const printed = await run(`atproto-oauth init ${handle} --for post`)
  const [url] = /^http\S+$/m.exec(printed)!
  const callback = await signIn(url, account, { consent: true })
  const code = new URL(callback).searchParams.get('code')!
  show({
    kind: 'note',
    text: `# alice opens the URL, signs in and allows access.
# Then alice pastes the callback URL into the next command:
# ${callback.replace(code, `${code.slice(0, 8)}…`)}`,
  })
  await run('atproto-oauth complete --save store', callback)
  await run(CREATE)
  const listed = await run(LIST)
  if (listed !== '"text":"hello from a shell"') throw new Error('the created post is not listed')
}
