/** Situations, each with the next command that the CLI prints pasted into a shell of the same environment. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Home, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, newHome } from './support.ts'

const world = connectWorld()

/** The indented lines at the end, to be pasted as they are. */
const nextCommand = (stderr: string) =>
  (stderr.slice(stderr.lastIndexOf('\n\n')).match(/^ {2}\S.*$/gm) ?? []).join('\n')

describe('the next command after complete finds the session', () => {
  const commands: readonly (readonly [string, (home: Home) => string])[] = [
    ['stdout to a file', () => '(umask 077; atproto-oauth complete > session.env)'],
    ['--save file:', () => 'atproto-oauth complete --save file:session.env'],
    ['--save file: with a blank in its name', () => "atproto-oauth complete --save 'file:my session.env'"],
    ['--save exec:', () => "atproto-oauth complete --save 'exec:cat > saved.env'"],
    ['--save store', () => 'atproto-oauth complete --save store'],
  ]
  test.each(commands)('%s', async (name, command) => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const done = await runShell(command(home), { home, stdin: callback })
    expect(done, done.stderr).toMatchObject({ code: 0 })
    const next = nextCommand(done.stderr)
    expect(next).toContain('atproto-oauth call com.atproto.server.getSession')
    const saved = name === '--save exec:' ? `set -a; . '${join(home.path, 'saved.env')}'; set +a; ` : ''
    if (saved) expect(await readFile(join(home.path, 'saved.env'), 'utf8')).not.toBe('')
    const pasted = await runShell(saved + next, { home })
    expect(pasted, `${next}\n${pasted.stderr}`).toMatchObject({ code: 0 })
    expect(JSON.parse(pasted.stdout)).toMatchObject({ did: account.did })
  })
})
