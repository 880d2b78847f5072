/**
 * Situations, each with the hint or the next command that the CLI prints: a command is pasted into a shell of the same
 * environment, an instruction is followed.
 */
import { readFile, writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { CONSENT, callbackFor, expectFailure, GENERIC, newHome } from '../e2e/support.ts'
import { withPlace } from '../sockets/matrix.ts'
import { createCertificate } from '../support/certificates.ts'
import { type CliResult, type Home, runCli, runShell } from '../world/cli.ts'
import { createDid } from '../world/other-hosts.ts'
import { signIn } from '../world/person.ts'
import { connectWorld, uniqueHandle } from '../world/world.ts'

const world = connectWorld()
const GET_SESSION = 'atproto-oauth call com.atproto.server.getSession'

/** The indented lines at the end, to be pasted as they are. */
const nextCommand = (stderr: string) =>
  (stderr.slice(stderr.lastIndexOf('\n\n')).match(/^ {2}\S.*$/gm) ?? []).join('\n')

const hintIn = ({ stderr }: CliResult) => /^atproto-oauth: hint: (.+)$/m.exec(stderr)?.[1] ?? ''

/** The command that a hint is, or ends with. */
function commandIn(result: CliResult): string {
  const command = /(?:^|: )(atproto-oauth .+)$/.exec(hintIn(result))?.[1]
  if (command === undefined) throw new Error(`no command in the hint of: ${result.stderr}`)
  return command
}

/** Has the process find no host whose name ends in `.invalid`, whether there is a name server or not. */
const WITHOUT_HOST = `import dns from 'node:dns'
  import { syncBuiltinESMExports } from 'node:module'
  const { lookup } = dns
  dns.lookup = (name, ...rest) =>
    name.endsWith('.invalid')
      ? rest.at(-1)(Object.assign(new Error('getaddrinfo ENOTFOUND ' + name), { code: 'ENOTFOUND' }))
      : lookup(name, ...rest)
  syncBuiltinESMExports()`

const succeeded = (result: CliResult) => expect(result, result.stderr).toMatchObject({ code: 0 })

describe('the next command after complete finds the session', () => {
  const commands: [name: string, command: string, before?: string][] = [
    ['stdout to a file', '(umask 077; atproto-oauth complete > session.env)'],
    ['--format bundle', '(umask 077; atproto-oauth complete --format bundle > session.txt)'],
    ['--save file:', 'atproto-oauth complete --save file:session.env'],
    ['--save file: with a blank in its name', "atproto-oauth complete --save 'file:my session.env'"],
    ['--save exec:', "atproto-oauth complete --save 'exec:cat > saved.env'", 'set -a; . ./saved.env; set +a\n'],
    ['--save store', 'atproto-oauth complete --save store'],
    ['--save store in a home of its own', 'unset ATPROTO_OAUTH_HOME; atproto-oauth complete --save store --home state'],
  ]
  test.each(commands)('%s', async (_, command, before = '') => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const done = await runShell(command, { home, stdin: callback })
    succeeded(done)
    const next = nextCommand(done.stderr)
    expect(next).toContain(GET_SESSION)
    const env = command.includes('unset') ? { ATPROTO_OAUTH_HOME: undefined } : {}
    const pasted = await runShell(before + next, { home, env })
    succeeded(pasted)
    expect(JSON.parse(pasted.stdout)).toMatchObject({ did: account.did })
  })
})

describe('complete', () => {
  test('--state-file: the next command and the hints carry it, and a cut code leaves the login open', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const shell = (script: string, stdin?: string) => runShell(script, { home, stdin })
    const started = await shell(`atproto-oauth init ${account.handle} --scope '${GENERIC}' --state-file login.json`)
    const next = nextCommand(started.stderr)
    expect(next).toBe('  atproto-oauth complete --state-file login.json')
    const callback = await signIn(started.stdout.trim(), account, CONSENT)

    // As a shell cuts it: nothing is sent.
    const unquoted = await shell(`${next} '${callback.split('&')[0]}'`)
    expectFailure(unquoted, 2, 'CALLBACK_INCOMPLETE')
    const code = new URL(callback).searchParams.get('code')!
    const cut = await shell(commandIn(unquoted), callback.replace(code, code.slice(0, -4)))
    expectFailure(cut, 4, 'EXCHANGE_REFUSED')
    expect(commandIn(cut)).toBe('atproto-oauth complete --state-file login.json')
    const again = await shell(commandIn(cut), callback.replace(code, code.slice(0, -4)))
    expectFailure(again, 4, 'CODE_USED', 'none')
    expect(commandIn(again)).toBe(`atproto-oauth init ${account.handle} --scope '${GENERIC}' --state-file login.json`)
    succeeded(await shell(commandIn(cut), callback))

    const fresh = await shell(commandIn(again))
    succeeded(fresh)
    expect(fresh.stdout).toContain('request_uri=')
  })

  test('a denied sign-in, and once more: the same login again', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const stdin = await callbackFor(account, home, { decision: { refuse: true } })
    const denied = await runCli(['complete'], { home, stdin })
    expectFailure(denied, 4, 'AUTHORIZATION_DENIED')
    const again = await runCli(['complete'], { home, stdin })
    expectFailure(again, 4, 'CODE_USED', 'none')
    expect(commandIn(again)).toBe(commandIn(denied))
    expect(commandIn(again)).toBe(`atproto-oauth init ${account.handle} --scope '${GENERIC}'`)
    succeeded(await runShell(commandIn(again), { home }))
  })

  test('a state file in a directory that is gone: the path that init was given', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const started = await runShell(
      `mkdir there && atproto-oauth init ${account.handle} --state-file there/login.json`,
      { home },
    )
    const callback = await signIn(started.stdout.trim(), account, CONSENT)
    const gone = await runCli(['complete', callback, '--state-file', 'gone/login.json'], { home })
    expectFailure(gone, 2, 'STORE_UNAVAILABLE', 'none')
    expect(hintIn(gone)).toContain('pass the path that `init --state-file` wrote to')
    succeeded(await runCli(['complete', callback, '--state-file', 'there/login.json'], { home }))
  })
})

describe('the network', () => {
  const forward: RequestListener = (request, response) => {
    const ahead = http.request(new URL(request.url!, world.plcUrl), { method: request.method }, (answer) => {
      response.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type'] ?? '' })
      answer.pipe(response)
    })
    request.pipe(ahead)
  }

  /** The PLC directory behind TLS, with a certificate that nobody trusts: it is written to `ca.pem`. */
  async function tlsDirectory(home: Home, serve: (certificate: { key: string; cert: string }) => Server) {
    const certificate = await createCertificate(['localhost'])
    await writeFile(join(home.path, 'ca.pem'), certificate.cert)
    return `https://localhost:${await listen(serve(certificate))}`
  }

  async function listen(server: Server): Promise<number> {
    const open = new Set<Socket>()
    server.on('connection', (socket: Socket) => open.add(socket.on('error', () => undefined)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      for (const socket of open) socket.destroy()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }

  /** @param judge what it says to a CONNECT request, before which it opens no tunnel */
  async function startProxy(judge: (request: IncomingMessage) => string | undefined): Promise<string> {
    const proxy = http.createServer().on('connect', (request, socket: Socket) => {
      const refusal = judge(request)
      if (refusal !== undefined) return void socket.end(`HTTP/1.1 ${refusal}\r\ncontent-length: 0\r\n\r\n`)
      const [host, port] = request.url!.split(':')
      const beyond = net.connect(Number(port), host === 'localhost' ? '127.0.0.1' : host)
      socket.on('close', () => beyond.destroy())
      beyond.on('error', () => socket.destroy())
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(beyond).pipe(socket)
    })
    return `127.0.0.1:${await listen(proxy)}`
  }

  test('a self-signed certificate: its file in NODE_EXTRA_CA_CERTS', async () => {
    const { did } = await world.createAccount()
    const home = await newHome()
    const env = {
      ATPROTO_OAUTH_PLC_URL: await tlsDirectory(home, (certificate) => https.createServer(certificate, forward)),
    }
    const refused = await runCli(['init', did], { home, env })
    expectFailure(refused, 3, 'NETWORK_UNREACHABLE', 'none')
    expect(hintIn(refused)).toContain('set NODE_EXTRA_CA_CERTS to a PEM file')
    succeeded(await runCli(['init', did], { home, env: { ...env, NODE_EXTRA_CA_CERTS: 'ca.pem' } }))
  })

  test('a server with HTTP/2 only: HTTP/1.1 has to be enabled there', async () => {
    const { did } = await world.createAccount()
    const home = await newHome()
    let isBoth = false
    const plc = await tlsDirectory(home, (certificate) => {
      const both = http2.createSecureServer({ ...certificate, allowHTTP1: true }, forward as never)
      const one = http2.createSecureServer(certificate, forward as never)
      return net.createServer((socket) => void (isBoth ? both : one).emit('connection', socket))
    })
    const env = { ATPROTO_OAUTH_PLC_URL: plc, NODE_EXTRA_CA_CERTS: 'ca.pem' }
    const refused = await runCli(['init', did], { home, env })
    expectFailure(refused, 3, 'NETWORK_UNREACHABLE', 'none')
    expect(refused.stderr).toContain('the server does not support HTTP/1.1')
    expect(hintIn(refused)).toContain('enable HTTP/1.1 on the server')
    isBoth = true
    succeeded(await runCli(['init', did], { home, env }))
  })

  test.each([
    ['407 Basic', '407 Proxy Authentication Required\r\nproxy-authenticate: Basic'],
    ['407 NTLM', '407 Proxy Authentication Required\r\nproxy-authenticate: NTLM'],
  ])('a proxy that wants a password (%s): in its URL, or a local proxy', async (name, refusal) => {
    const { did } = await world.createAccount()
    const home = await newHome()
    const plc = await tlsDirectory(home, (certificate) => https.createServer(certificate, forward))
    const basic = `Basic ${Buffer.from('user:password').toString('base64')}`
    const isNtlm = name.endsWith('NTLM')
    const proxy = await startProxy(({ headers }) =>
      headers['proxy-authorization'] === basic && !isNtlm ? undefined : refusal,
    )
    const env = { ATPROTO_OAUTH_PLC_URL: plc, NODE_EXTRA_CA_CERTS: 'ca.pem' }
    const refused = await runCli(['init', did], { home, env: { ...env, HTTPS_PROXY: `http://${proxy}` } })
    expectFailure(refused, 3, 'NETWORK_UNREACHABLE', 'none')
    expect(hintIn(refused)).toContain('put the user name and password into HTTPS_PROXY')
    expect(hintIn(refused)).toContain('for NTLM run a local proxy')
    const local = isNtlm ? await startProxy(() => undefined) : `user:password@${proxy}`
    succeeded(await runCli(['init', did], { home, env: { ...env, HTTPS_PROXY: `http://${local}` } }))
  })

  test('a proxy that forbids the host: NO_PROXY', async () => {
    const { did } = await world.createAccount()
    const home = await newHome()
    const plc = await tlsDirectory(home, (certificate) => https.createServer(certificate, forward))
    const env = {
      ATPROTO_OAUTH_PLC_URL: plc,
      NODE_EXTRA_CA_CERTS: 'ca.pem',
      HTTPS_PROXY: `http://${await startProxy(() => '403 Forbidden')}`,
    }
    const refused = await runCli(['init', did], { home, env })
    expectFailure(refused, 3, 'NETWORK_UNREACHABLE', 'none')
    expect(hintIn(refused)).toContain('list it in NO_PROXY')
    succeeded(await runCli(['init', did], { home, env: { ...env, NO_PROXY: 'localhost' } }))
  })

  test('a host that does not exist: of a PDS, doctor looks at the account; of an argument, its spelling', async () => {
    const handle = uniqueHandle('moved')
    const did = await createDid(world.plcUrl, { handle, pds: 'https://no-such-host.invalid' })
    const home = await newHome()
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(WITHOUT_HOST)}` }
    const refused = await runCli(['init', did], { home, env })
    expectFailure(refused, 3, 'HOST_NOT_FOUND', 'none')
    expect(commandIn(refused)).toBe(`atproto-oauth doctor ${did}`)
    const looked = await runShell(commandIn(refused), { home, env })
    expect(looked.stderr).toContain('[DOCTOR_FOUND]')
    expect(looked.stdout).toContain('no-such-host.invalid')

    const misspelt = await runCli(['init', 'https://no-such-host.invalid'], { home, env })
    expectFailure(misspelt, 3, 'HOST_NOT_FOUND', 'none')
    expect(hintIn(misspelt)).toBe('check the spelling of the host name, and the network connection')
    succeeded(await runCli(['init', world.pdsUrl], { home, env }))
  })

  test('an unknown handle: the DID', async () => {
    const { did } = await world.createAccount()
    const home = await newHome()
    const refused = await runCli(['init', uniqueHandle('nobody')], { home })
    expectFailure(refused, 4, 'HANDLE_NOT_FOUND')
    expect(hintIn(refused)).toContain('use the DID of the account instead')
    succeeded(await runCli(['init', did], { home }))
  })
})

describe('the session', () => {
  async function stored(home: Home, scope = GENERIC) {
    const account = await world.createAccount()
    succeeded(
      await runCli(['complete', '--save', 'store'], { home, stdin: await callbackFor(account, home, { scope }) }),
    )
    return account
  }

  test('several accounts: one of them by its handle', async () => {
    const home = await newHome()
    const accounts = [await stored(home), await stored(home)]
    const refused = await runShell(GET_SESSION, { home })
    expectFailure(refused, 2, 'ACCOUNT_UNCLEAR')
    const flag = /as in: (--account \S+);/.exec(hintIn(refused))![1]!
    const called = await runShell(`${GET_SESSION} ${flag}`, { home })
    succeeded(called)
    const { did, handle } = accounts.find((account) => flag.endsWith(account.handle))!
    expect(JSON.parse(called.stdout)).toMatchObject({ did, handle })

    // And the hint after that keeps to it.
    const wrong = await runShell(`atproto-oauth call getSession ${flag}`, { home })
    expectFailure(wrong, 2, 'NSID_INVALID')
    const next = await runShell(commandIn(wrong), { home })
    succeeded(next)
    expect(JSON.parse(next.stdout)).toMatchObject({ did })
  })

  test('exported to another program: the same login again', async () => {
    const home = await newHome()
    const { handle } = await stored(home)
    succeeded(await runShell('umask 077; atproto-oauth export > session.json', { home }))
    const refused = await runShell(GET_SESSION, { home })
    expectFailure(refused, 5, 'SESSION_MISSING', 'alive')
    expect(commandIn(refused)).toBe(`atproto-oauth init ${handle} --scope '${GENERIC}'`)
    succeeded(await runShell(commandIn(refused), { home }))
  })

  test('no session, and a variable that names the account', async () => {
    const { did } = await world.createAccount()
    const home = await newHome()
    const env = { ATPROTO_OAUTH_DID: did }
    const refused = await runShell(GET_SESSION, { home, env })
    expectFailure(refused, 5, 'SESSION_MISSING')
    expect(commandIn(refused)).toBe(`atproto-oauth init ${did}`)
    expect(commandIn(await runShell(GET_SESSION, { home }))).toBe('atproto-oauth init alice.bsky.social')
    succeeded(await runShell(commandIn(refused), { home, env }))
    expect(commandIn(await runShell(GET_SESSION, { home }))).toBe('atproto-oauth complete') // a login is open now
  })
})

describe('the client', () => {
  test('a permission set that the server cannot find: the permissions themselves', async () => {
    const { handle } = await world.createAccount()
    const home = await newHome()
    const refused = await runCli(['init', handle, '--scope', 'atproto include:com.example.unknownPermissions'], {
      home,
    })
    expectFailure(refused, 4, 'PERMISSION_SET_UNRESOLVED')
    expect(refused.stderr).toContain(
      'hint: correct the name com.example.unknownPermissions in --scope, or list the permissions',
    )
    succeeded(await runShell(`atproto-oauth init ${handle} --scope '${GENERIC}'`, { home }))
  })

  test('a hosted client: its redirect URI; a key that the server does not know yet: a look at the document', async () => {
    const account = await world.createAccount()
    const { handle } = account
    const home = await newHome()
    const host = uniqueHandle('bot').replace('.test', '.fake.dev')
    const make = (flags: string, file: string) =>
      runShell(`umask 077; atproto-oauth client new ${flags} --out site > ${file}`, { home })
    const made = await make(`--origin https://${host} --confidential`, 'client.env')
    succeeded(made)
    const env = await world.publish(host, join(home.path, 'site'))
    const init = /^ {2}(atproto-oauth init .*)$/m.exec(made.stderr)![1]!.replace('alice.bsky.social', handle)
    const shell = (key: string, script: string) => runShell(`set -a; . ./${key}; set +a\n${script}`, { home, env })
    const started = await shell('client.env', init)
    succeeded(started)

    // A hint about a session of this client names the client and its redirect URI.
    const stdin = await signIn(started.stdout.trim(), account, CONSENT)
    const key = 'set -a; . ./client.env; set +a; unset ATPROTO_OAUTH_CLIENT_ID ATPROTO_OAUTH_REDIRECT_URI'
    const own = (script: string) => runShell(`${key}\n${script}`, { home, env, stdin })
    succeeded(await own('atproto-oauth complete --save store'))
    succeeded(await own('umask 077; atproto-oauth export > session.json'))
    const moved = await own(GET_SESSION)
    expectFailure(moved, 5, 'SESSION_MISSING', 'alive')
    expect(commandIn(moved)).toContain(`--client-id https://${host}/oauth-client-metadata.json --redirect-uri https://`)
    succeeded(await own(commandIn(moved)))

    // The server keeps the document as it was.
    succeeded(await make('--add-key', 'second.env'))
    const refused = await shell('second.env', init)
    expectFailure(refused, 4, 'PAR_REFUSED')
    expect(refused.stderr).toContain('invalid_client')
    const checked = await shell('second.env', commandIn(refused))
    succeeded(checked)
    expect(checked.stdout).toContain('no problems found')

    // A key that was taken out of the document is what is wrong with it.
    const first = await readFile(join(home.path, 'site/oauth-client-metadata.json'), 'utf8')
    const document = JSON.parse(first)
    const keys = document.jwks.keys.slice(0, 1)
    await writeFile(join(home.path, 'site/oauth-client-metadata.json'), JSON.stringify({ ...document, jwks: { keys } }))
    const retired = await shell('second.env', commandIn(refused))
    expectFailure({ ...retired, stdout: '' }, 4, 'CLIENT_BROKEN')
    expect(retired.stdout).toContain('ATPROTO_OAUTH_CLIENT_JWK')
  })
})

describe('the client, at servers of the fake world: the real PDS has no such refusal, or only after ten minutes', () => {
  const NO_WORLD = {
    ATPROTO_OAUTH_DEV: undefined,
    ATPROTO_OAUTH_PLC_URL: undefined,
    ATPROTO_OAUTH_HANDLE_RESOLVER: undefined,
  }

  test.each([
    ['invalid_scope', "--scope 'atproto repo:a.b.c'", "--scope 'atproto transition:generic'"],
    ['invalid_scope', `--scope '${GENERIC}'`, ''],
    ['invalid_client_metadata', "--scope 'atproto repo:a.b.c'", "--scope 'atproto transition:generic'"],
    ['invalid_redirect_uri', '--redirect-uri http://127.0.0.1:8080/here', ''],
  ])('a pushed request of the loopback client: %s of %s', async (error, flags, instead) =>
    withPlace(async ({ world: { alice, faults }, home, sockets }) => {
      const shell = (script: string) => runShell(script, { home, env: { ...NO_WORLD, ...sockets.env } })
      let rejections = 1
      faults.httpFault = ({ url }) =>
        url.endsWith('/oauth/par') && rejections-- > 0 ? Response.json({ error }, { status: 400 }) : undefined
      const refused = await shell(`atproto-oauth init ${alice.did} ${flags}`)
      expectFailure(refused, 4, 'PAR_REFUSED', 'none')
      expect(hintIn(refused)).not.toContain('document')
      expect(commandIn(refused)).toBe(`atproto-oauth init ${alice.did} ${instead}`.trim())
      succeeded(await shell(commandIn(refused)))
    }),
  )

  test('a server that rejects loopback clients: a hosted one; another refusal: doctor sends the same', async () =>
    withPlace(async ({ world: { alice, faults }, home, sockets }) => {
      const shell = (script: string) => runShell(script, { home, env: { ...NO_WORLD, ...sockets.env } })
      let error = 'invalid_client'
      faults.httpFault = ({ url }) =>
        url.endsWith('/oauth/par') ? Response.json({ error }, { status: 400 }) : undefined
      const refused = await shell(`atproto-oauth init ${alice.did}`)
      expectFailure(refused, 4, 'PAR_REFUSED', 'none')
      expect(hintIn(refused)).toContain('add --client-id with the URL of a hosted client metadata document')
      error = 'server_error'
      const strange = await shell(`atproto-oauth init ${alice.did}`)
      expectFailure(strange, 4, 'PAR_REFUSED', 'none')
      const looked = await shell(commandIn(strange))
      expectFailure({ ...looked, stdout: '' }, 4, 'DOCTOR_FOUND')
      expect(looked.stdout).toContain('server_error')
    }))

  test('a key that the document of the client no longer publishes: the same login again, with the new key', async () => {
    const CLIENT_ID = 'https://app.fake.dev/oauth-client-metadata.json'
    const redirectUri = 'https://app.fake.dev/callback'
    const [first, second] = [
      { ...(await generateDpopJwk()), kid: 'first' },
      { ...(await generateDpopJwk()), kid: 'second' },
    ]
    await withPlace(async ({ world: servers, home, sockets }) => {
      const publish = (jwk: { readonly d: string }) => {
        const { d, ...open } = jwk
        const jwks = { keys: [open] }
        servers.clients.set(CLIENT_ID, { redirect_uris: [redirectUri], scope: 'atproto', jwks } as never)
        const document = {
          client_id: CLIENT_ID,
          token_endpoint_auth_method: 'private_key_jwt',
          jwks,
        }
        servers.serve('https://app.fake.dev', () => Response.json(document))
      }
      const shell = (script: string, key: object, stdin?: string) =>
        runShell(script, {
          home,
          stdin,
          env: { ...NO_WORLD, ...sockets.env, ATPROTO_OAUTH_CLIENT_JWK: JSON.stringify(key) },
        })
      publish(first)
      const started = await shell(
        `atproto-oauth init ${servers.alice.did} --client-id ${CLIENT_ID} --redirect-uri ${redirectUri}`,
        first,
      )
      succeeded(started)
      const callback = servers.authorize(new URL(started.stdout.trim()))
      succeeded(await shell('atproto-oauth complete --save store', first, callback))
      publish(second)
      const refused = await shell('atproto-oauth refresh', first)
      expectFailure(refused, 4, 'REFRESH_REFUSED', 'alive')
      expect(hintIn(refused)).toContain('the key first is retired: publish it again, or sign in again: ')
      expect(commandIn(refused)).toBe(
        `atproto-oauth init ${servers.alice.did} --client-id ${CLIENT_ID} --redirect-uri ${redirectUri}`,
      )
      succeeded(await shell(commandIn(refused), second))
      publish(first)
      succeeded(await shell('atproto-oauth refresh', first))
    })
  })
})

describe('the words of call', () => {
  const CREATE = 'atproto-oauth call com.atproto.repo.createRecord repo={did} collection=app.bsky.feed.post'
  const POST = '{ "$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2026-01-01T00:00:00Z" }'

  test('JSON without quotes, a file that is not there, a batch with an option for one request', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const stdin = await callbackFor(account, home)
    succeeded(await runCli(['complete', '--save', 'store'], { home, stdin }))
    const shell = (script: string) => runShell(script, { home })

    const unquoted = await shell(`${CREATE} record=${POST}`)
    expectFailure(unquoted, 2, 'USAGE', 'none')
    expect(hintIn(unquoted)).toContain("in single quotes after :=, as in: record:='{")
    succeeded(await shell(`${CREATE} record:='${POST}'`))

    await writeFile(join(home.path, 'post.json'), POST)
    for (const path of ['psot.json', 'gone/post.json']) {
      const missing = await shell(`${CREATE} record=@${path}`)
      expectFailure(missing, 2, 'USAGE', 'none')
      expect(hintIn(missing)).toContain('correct the path, which is relative to /')
    }
    succeeded(await shell(`${CREATE} record=@post.json`))
    const mention = await shell(`${CREATE} record=@post.json rkey=@alice`)
    const field = /: (rkey:=.+)$/.exec(hintIn(mention))![1]!
    expect((await shell(`${CREATE} record=@post.json --dry-run ${field}`)).stdout).toContain('"rkey":"@alice"')

    const left = await shell(`mkdir left; cd left; rmdir ../left; ${CREATE} record=@post.json`)
    expectFailure(left, 2, 'USAGE', 'none')
    expect(hintIn(left)).toContain('correct the path')
    const target = 'atproto-oauth refresh --save file:new.env'
    const relative = await shell(`mkdir left; cd left; rmdir ../left; ${target}`)
    expectFailure(relative, 2, 'USAGE', 'none')
    expect(hintIn(relative)).toContain('change to a directory that exists')
    succeeded(await shell(target))

    await writeFile(join(home.path, 'requests.jsonl'), '{"nsid":"com.atproto.server.getSession"}\n')
    const batch = 'atproto-oauth call --batch requests.jsonl -o results.jsonl --concurrency 2'
    const mixed = await shell(`${batch} -X GET --account ${account.did}`)
    expectFailure(mixed, 2, 'USAGE', 'none')
    expect(commandIn(mixed)).toBe(`${batch} --account ${account.did}`)
    succeeded(await shell(commandIn(mixed)))
    expect(await readFile(join(home.path, 'results.jsonl'), 'utf8')).toContain(account.did)
  })
})
