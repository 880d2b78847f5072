/** `scope explain` of a grant of the real PDS: what it dropped, and without a request. */
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const SPACE = 'space:com.example.forum'

test('26.2 of the session at hand: granted, and dropped by the server, which nobody can have denied', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const scope = `atproto repo:app.bsky.feed.post?action=create blob:image/* ${SPACE}`
  const started = await runCli(['init', account.handle, '--scope', scope], { home })
  expect(started).toMatchObject({ code: 0 })
  const callback = await signIn(started.stdout.trim(), account, CONSENT)
  const completed = await runCli(['complete', '--save', 'store'], { home, stdin: callback })
  expect(completed).toMatchObject({ code: 0, stderr: expect.stringContaining('the server does not support it') })

  const sent = await sentByUs(world)
  const { code, stdout, stderr } = await runCli(['scope', 'explain'], { home })
  expect({ code, stderr: stderr.replace(/^.*development mode.*\n/, '') }).toStrictEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('blob:image/*\n  allows     Upload files of type image/*.\n')
  expect(stdout).toMatch(/^space:com\.example\.forum\n(?: .*\n)+ {2}missing {4}requested, and dropped: /m)

  const json = await runCli(['scope', 'explain', '--json'], { home })
  expect(JSON.parse(json.stdout)).toMatchObject({ requested: scope, unsupportedScopes: [SPACE], unaskedScopes: [] })
  const faulty = await runCli(['scope', 'explain', 'atproto', 'rpc:*?aud=*'], { home })
  expect(faulty).toMatchObject({ code: 2, stderr: expect.stringContaining('[SCOPE_INVALID]') })
  expect(await sentByUs(world)).toStrictEqual(sent)
})
