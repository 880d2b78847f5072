/**
 * docs/run.md: what can be copied from it, run as it stands there against the real PDS. npm, Python and curl are real; the
 * Python SDK, goat and Docker are not installed, so small programs stand for them, which sign in and post as those do.
 */
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { type Block, blocksToRun } from '../support/blocks.ts'
import { startGitHost } from '../support/git-host.ts'
import { lacks } from '../support/machine.ts'
import { readWorkflow } from '../support/workflow.ts'
import { createHome, type Home, runCli, runShell, spawnCli } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { follow, posts } from './ci-support.ts'
import { createGithub, npxProgram, REPOSITORY } from './github.ts'
import { callbackFor, GENERIC } from './support.ts'

const world = connectWorld()
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))
const blocks = (await blocksToRun()).filter(({ page }) => page === 'docs/run.md')
const taken = new Set<Block>()

/** All that are under a heading, in their order. */
function take(heading: string, count: number): Block[] {
  const found = blocks.filter((block) => block.heading === heading)
  expect(found).toHaveLength(count)
  for (const block of found) taken.add(block)
  return found
}

/** What the SDK for Python does with the same calls. */
const PYTHON_SDK = `
import json, urllib.request

class Client:
    def __init__(self, base_url='https://bsky.social'):
        self.url, self.token = base_url + '/xrpc/', None

    def call(self, nsid, body=None):
        headers = {'content-type': 'application/json'}
        if self.token: headers['authorization'] = 'Bearer ' + self.token
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + nsid, data, headers)) as response:
            return json.load(response)

    def login(self, identifier, password):
        session = self.call('com.atproto.server.createSession', {'identifier': identifier, 'password': password})
        self.token, self.did = session['accessJwt'], session['did']
        self.call('app.bsky.actor.getProfile?actor=' + self.did)

    def send_post(self, text):
        record = {'$type': 'app.bsky.feed.post', 'text': text, 'createdAt': '2026-01-02T03:04:05Z'}
        return self.call('com.atproto.repo.createRecord',
            {'repo': self.did, 'collection': 'app.bsky.feed.post', 'record': record})
`
/** The script of the cookbook, with its variables and its argument. */
const CREATE_BSKY_POST = `
import os, sys
from atproto import Client
client = Client(os.environ['ATP_PDS_HOST'])
session = client.call('com.atproto.server.createSession',
    {'identifier': os.environ['ATP_AUTH_HANDLE'], 'password': os.environ['ATP_AUTH_PASSWORD']})
client.token, client.did = session['accessJwt'], session['did']
client.send_post(sys.argv[1])
`
const REPORT = `
import os
from atproto import Client
client = Client(os.environ['ATP_PDS_HOST'])
client.login(os.environ['ATP_AUTH_HANDLE'], os.environ['ATP_AUTH_PASSWORD'])
listed = client.call('com.atproto.repo.listRecords?collection=app.bsky.feed.post&repo=' + client.did)
print(len(listed['records']), 'posts')
try: client.send_post('not this')
except Exception as refused: print(refused)
`
/** The same variables, in the same order of precedence, and a file with the tokens. */
const GOAT = `#!/bin/sh
set -eu
file=$HOME/goat-session
case "$1 $2" in
  'account login')
    : "$ATP_AUTH_FACTOR_TOKEN"
    jq -n --arg i "\${GOAT_USERNAME:-$ATP_AUTH_USERNAME}" --arg p "\${GOAT_PASSWORD:-$ATP_AUTH_PASSWORD}" \\
      '{ identifier: $i, password: $p }' |
      curl -fsS -H content-type:application/json -d @- "$ATP_PDS_HOST/xrpc/com.atproto.server.createSession" |
      jq --arg url "$ATP_PDS_HOST" '. + { $url }' > "$file" ;;
  'bsky post')
    jq -n --slurpfile s "$file" --arg text "$3" '{ repo: $s[0].did, collection: "app.bsky.feed.post",
      record: { $text, createdAt: (now | todate) } }' |
      curl -fsS -H content-type:application/json -H "authorization: Bearer $(jq -r .accessJwt "$file")" -d @- \\
        "$(jq -r .url "$file")/xrpc/com.atproto.repo.createRecord" ;;
  'account logout') rm "$file" ;;
  *) exit 2 ;;
esac
`
/** A container: only the variables that it is given, and with --network host the network of the machine. */
const DOCKER = `#!/bin/bash
set -eu
[ "$1 $2 $3 $4" = 'run --rm --network host' ] && shift 4
given=()
while [ "$1" = --env ]; do given+=("$2=\${!2}"); shift 2; done
[ "$*" = my-bot ]
exec env -i PATH="$PATH" PYTHONPATH="$PYTHONPATH" "\${given[@]}" python3 bot.py
`

describe.skipIf(lacks('jq', 'curl', 'python3', 'npm'))('docs/run.md', () => {
  let account: Account
  let machine: { home: Home; PATH: string }
  let python: string

  beforeAll(async () => {
    account = await world.createAccount()
    machine = await setUp()
  })
  afterAll(() => machine.home.remove())

  async function setUp() {
    const home = await createHome()
    const bin = join(home.path, 'bin')
    await mkdir(bin)
    const programs = { npx: npxProgram(packageJson.version), goat: GOAT, docker: DOCKER }
    for (const [name, script] of Object.entries(programs)) await writeFile(join(bin, name), script, { mode: 0o755 })
    python = join(home.path, 'python')
    await mkdir(join(python, 'atproto'), { recursive: true })
    await writeFile(join(python, 'atproto', '__init__.py'), PYTHON_SDK)
    const [withSdk, withAgent] = ['python', 'js'].map((own) => blocks.find(({ language }) => language === own)!.text)
    const files = {
      'bot.py': withSdk!,
      'bot.mjs': withAgent!,
      'create_bsky_post.py': CREATE_BSKY_POST,
      'report.py': REPORT,
      'package.json': JSON.stringify({ scripts: { bot: 'node bot.mjs' } }),
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(home.path, name), content)
    await symlink(MODULES, join(home.path, 'node_modules'))
    const callback = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'store'], { home, stdin: callback })).toMatchObject({ code: 0 })
    return { home, PATH: `${bin}:${process.env['PATH']}` }
  }

  const environment = () => ({ PATH: machine.PATH, PYTHONPATH: python })

  async function run(block: Block | undefined): Promise<{ stdout: string; stderr: string; posted: string[] }> {
    const before = await posts(account)
    const { code, stdout, stderr } = await runShell(`set -eo pipefail\n${block!.text}`, {
      home: machine.home,
      env: environment(),
    })
    expect(code, stderr).toBe(0)
    const posted = await posts(account)
    for (const text of before) posted.splice(posted.indexOf(text), 1)
    return { stdout, stderr, posted }
  }

  test('the first example, and the Python SDK', async () => {
    const [first] = take('Programs that need an app password', 1)
    expect((await run(first)).posted).toStrictEqual(['hello from Python'])
    const [program, command] = take('The Python SDK', 2)
    expect(program!.language).toBe('python')
    expect((await run(command)).posted).toStrictEqual(['hello from Python'])
  })

  test('AtpAgent, and npm scripts', async ({ task }) => {
    const [program, command] = take(task.name, 2)
    expect(program!.language).toBe('js')
    expect((await run(command)).posted).toStrictEqual(['hello from AtpAgent'])
  })

  test('goat', async ({ task }) => {
    const [command] = take(task.name, 1)
    expect((await run(command)).posted).toStrictEqual(['hello from goat'])
    await expect(readFile(join(machine.home.path, 'goat-session'))).rejects.toThrow('ENOENT')
  })

  test('Less than the scope', async ({ task }) => {
    const [block] = take(task.name, 1)
    const { stdout, stderr, posted } = await run(block)
    expect(stdout).toMatch(/^\d+ posts\nHTTP Error 403: Forbidden\n/)
    expect(stderr.match(/createRecord was refused, because of --read-only/g)).toHaveLength(1)
    expect(posted).toStrictEqual(['hello again'])
  })

  test('Two terminals', async ({ task }) => {
    const [block] = take(task.name, 1)
    const port = await freePort()
    const args = block!.text.trim().replace('8765', String(port)).split(' ').slice(2)
    const cli = spawnCli(args, { home: machine.home })
    const errors = text(cli.stderr)
    const lines: string[] = []
    for await (const line of createInterface(cli.stdout)) {
      lines.push(line)
      if (lines.length === 4) break
    }
    const login = `c=Client(e["ATPROTO_OAUTH_RUN_URL"]);c.login(e["ATPROTO_OAUTH_RUN_DID"],e["ATPROTO_OAUTH_RUN_PASSWORD"])`
    const other = `${lines.join('\n')}\npython3 -c 'import os;from atproto import Client;e=os.environ;${login};c.send_post("from another terminal")'`
    const { code, stderr } = await runShell(other, { home: machine.home, env: environment() })
    expect(code, stderr).toBe(0)
    expect(await posts(account)).toContain('from another terminal')
    cli.kill('SIGINT')
    expect(await once(cli, 'exit'), await errors).toStrictEqual([130, null])
  })

  test('Docker', async ({ task }) => {
    const [block] = take(task.name, 1)
    expect((await run(block)).posted).toStrictEqual(['hello from Python'])
  })

  test('cron', async ({ task }) => {
    const [block] = take(task.name, 1)
    const { stdout, stderr, posted } = await run(block)
    expect(posted).toStrictEqual(['Good morning'])
    expect([stdout, stderr.replace(/^.*development mode.*\n/, '')]).toStrictEqual(['', ''])
  })

  test('GitHub Actions', async ({ task }) => {
    const [block] = take(task.name, 1)
    const host = await startGitHost('github.com')
    try {
      const github = await createGithub(packageJson.version, host)
      host.server.repository(REPOSITORY).setTip(undefined)
      const setUp = (await blocksToRun()).find(({ page, heading }) => page === 'docs/ci.md' && heading === task.name)
      const bin = join(github.home.path, 'bin')
      const owner = await world.createAccount()
      const lines = setUp!.text.replace('--for post', `--scope '${GENERIC}'`)
      await follow(lines, owner, github.home, `${bin}:${process.env['PATH']}`)
      await writeFile(join(bin, 'npm'), `#!/bin/sh\n[ "$*" = ci ] && ln -s '${MODULES}' node_modules\n`, {
        mode: 0o755,
      })
      const bot = await readFile(join(machine.home.path, 'bot.mjs'), 'utf8')
      host.server.repository(REPOSITORY).commit({ 'bot.mjs': bot }, 'main')
      const { errors, jobs } = await readWorkflow(block!.text)
      expect(errors).toStrictEqual([])
      const { code, log } = await github.runJob(jobs[0]!, {})
      expect(code, log).toBe(0)
      expect(await posts(owner)).toStrictEqual(['hello from AtpAgent'])
    } finally {
      await host.close()
    }
  })

  test('nothing else is there to copy', () => {
    expect(blocks.filter((block) => !taken.has(block))).toStrictEqual([])
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
