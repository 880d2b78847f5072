/**
 * The packed library on Bun and Deno, as npm has them: it has to import and to sign, and it is said how far a whole
 * login gets. `npm run test:others`; not a part of the suite, because it fetches two programs of 100 MB.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose'
import { createFakeWorld } from '../support/fake-atproto.ts'
import { openSockets, type TrustedCertificate, trustedCertificate } from '../support/fake-sockets.ts'
import { HANG_MS } from '../support/machine.ts'
import { npm, pack } from './packed.ts'

const PROGRAM = fileURLToPath(new URL('signs.mjs', import.meta.url))
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/others', import.meta.url))
const BUN = join(CACHE, 'node_modules/@oven/bun-linux-x64/bin/bun')
const DENO = join(CACHE, 'node_modules/@deno/linux-x64-glibc/deno')
const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const TOKEN = 'an-access-token'
const NONCE = 'the-nonce'

const RUNTIMES = [
  { name: `Node ${process.version}`, command: [process.execPath] },
  { name: `Bun ${versionOf(BUN)}`, command: [BUN] },
  { name: `Deno ${versionOf(DENO)}`, command: [DENO, 'run', '--quiet', '--allow-all', '--no-config'] },
]

type Line = Readonly<Record<string, string>>

function versionOf(path: string): string {
  if (!existsSync(path)) {
    say('fetching bun and deno from npm')
    mkdirSync(CACHE, { recursive: true })
    const install = ['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--prefix', CACHE, 'bun', 'deno']
    execFileSync('npm', install, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return /\d[\d.]+/.exec(String(execFileSync(path, ['--version'])))![0]
}

/** A PDS and its PLC directory that want a nonce and judge each proof. */
async function openPds() {
  const judged: string[] = []
  const server = createServer(async ({ method = '', url = '', headers }, response) => {
    const json = (status: number, value: unknown, more = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...more }).end(JSON.stringify(value))
    if (url === `/${DID}`) {
      const service = { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: origin }
      return json(200, { id: DID, service: [service] })
    }
    try {
      const nonce = await judge({ method, url: origin + url }, headers as Headers)
      if (nonce !== NONCE) {
        return json(
          401,
          { error: 'use_dpop_nonce', message: 'nonce' },
          { 'dpop-nonce': NONCE, 'www-authenticate': CHALLENGE },
        )
      }
      judged.push(url)
      json(200, { did: DID }, { 'dpop-nonce': NONCE })
    } catch (error) {
      json(400, { error: 'InvalidProof', message: String(error) })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin, judged, close: () => server.close().closeAllConnections() }
}

const CHALLENGE = 'DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof"'
type Headers = Readonly<Record<string, string>>

/** RFC 9449 §4.3, §7.1. @returns the nonce of the proof */
async function judge({ method, url }: { method: string; url: string }, headers: Headers): Promise<unknown> {
  const { payload, protectedHeader } = await jwtVerify(headers['dpop'] ?? '', EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: ['ES256'],
    maxTokenAge: 60,
  })
  const { htm, htu, ath, nonce } = payload
  if (htm !== method || htu !== url) throw new Error(`signed ${htm} ${htu}, sent ${method} ${url}`)
  if (ath !== createHash('sha256').update(TOKEN).digest('base64url')) throw new Error('another token')
  if (headers['authorization'] !== `DPoP ${TOKEN}`) throw new Error('no token')
  if ('d' in (protectedHeader.jwk ?? {})) throw new Error('the private key was sent')
  return nonce
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

interface Run {
  readonly lines: readonly Line[]
  readonly stderr: string
}

async function run(
  command: readonly string[],
  args: readonly string[],
  env: Headers,
  onLine: (line: Line, child: ChildProcess) => void = () => undefined,
): Promise<Run> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(command[0]!, [...command.slice(1), PROGRAM, ...args], { env: { PATH, HOME, ...env } })
  const impatient = setTimeout(() => child.kill('SIGKILL'), HANG_MS)
  const lines: Line[] = []
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text)
    lines.push(line)
    onLine(line, child)
  })
  await once(child, 'close')
  clearTimeout(impatient)
  return { lines, stderr }
}

const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-others-'))
const faults: string[] = []
try {
  const { tarball } = await pack(folder)
  await npm(['install', '--no-save', '--prefix', folder, tarball], folder)
  const library = join(folder, 'node_modules', 'atproto-oauth')
  await mkdir(join(folder, 'ca'))
  const certificate = await trustedCertificate(join(folder, 'ca'))
  for (const { name, command } of RUNTIMES) {
    const fault = await signs(command, library)
    if (fault) faults.push(name)
    say(`${name}\n  imports, signs, keeps away from private addresses: ${fault ?? 'yes'}`)
    const hindrance = await logsIn(command, library, certificate)
    say(`  signs in, refreshes, calls, by a proxy and with a CA of one’s own: ${hindrance ?? 'yes'}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (faults.length > 0) process.exitCode = 1

/** @returns what is wrong */
async function signs(command: readonly string[], library: string): Promise<string | undefined> {
  const home = await mkdtemp(join(folder, 'home-'))
  const pds = await openPds()
  try {
    const { lines, stderr } = await run(command, [library, 'proof'], {
      HOME_FOLDER: home,
      PLC: pds.origin,
      ATPROTO_OAUTH_ACCESS_TOKEN: TOKEN,
      ATPROTO_OAUTH_PDS_ISSUER: pds.origin,
      ATPROTO_OAUTH_DID: DID,
    })
    const { refused, x, signed } = Object.assign({}, ...lines) as { refused?: string; x?: string; signed?: Headers }
    if (stderr !== '' || !signed) return `no: ${stderr || JSON.stringify(lines)}`
    if (refused !== 'ADDRESS_REFUSED') return `no: a name that leads to this machine gave ${refused}`
    if (pds.judged.length < 2) return `no: the server liked ${pds.judged.length} of its requests`
    const request = { method: 'POST', url: `${pds.origin}/xrpc/com.atproto.repo.createRecord` }
    if (decodeProtectedHeader(signed['dpop']!).jwk?.x !== x) return 'no: another key signed'
    return (await judge(request, signed)) === NONCE ? undefined : 'no: the proof has not the newest nonce'
  } catch (error) {
    return `no: ${error}`
  } finally {
    pds.close()
  }
}

/** @returns what is wrong */
async function logsIn(
  command: readonly string[],
  library: string,
  certificate: TrustedCertificate,
): Promise<string | undefined> {
  const home = await mkdtemp(join(folder, 'home-'))
  const world = createFakeWorld()
  const sockets = await openSockets(world, certificate)
  try {
    const env = { HOME_FOLDER: home, HANDLE: world.alice.did, ...sockets.env }
    const { lines, stderr } = await run(command, [library, 'login'], env, ({ url }, child) => {
      if (url) child.stdin?.write(`${world.authorize(url)}\n`)
    })
    const { status, did, rotated } = Object.assign({}, ...lines)
    if (sockets.asked.length === 0) return 'no: the proxy was not asked'
    if (stderr === '' && status === 200 && did === world.alice.did && rotated) return undefined
    return `no: ${stderr.trim().split('\n').slice(0, 6).join(' | ') || JSON.stringify(lines.at(-1))}`
  } finally {
    await sockets.close()
  }
}
