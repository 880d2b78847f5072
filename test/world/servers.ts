/**
 * Which servers make up the world: a PLC directory, and PDSes with their OAuth
 * server, the reference implementations on loopback. They run in a process of
 * their own (`main.ts`). The AppView behind them is in `app-view.ts`.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Secp256k1Keypair } from '@atproto/crypto'
import type { PDS } from '@atproto/pds'
import { Database, PlcServer } from '@did-plc/server'
import { quickFolder } from './haste.ts'
import { loadPds } from './packages.ts'

/** One request as a server saw it. Never headers or bodies: they hold secrets. */
export interface RecordedRequest {
  readonly server: 'plc' | 'pds' | 'appview'
  /** The server's own address, which tells one PDS from another. */
  readonly origin: string
  readonly method: string
  /** With the query string. */
  readonly path: string
  readonly userAgent: string | undefined
  /** Of a token request; one for a nonce has none. */
  grantType?: string | undefined
}

export type Recorder = (request: RecordedRequest) => void

export interface Running {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Opens a port before there is anyone to answer on it: a PDS must know its address to be configured at all. Its own
 * `listen` would also take every interface, and a port that had only been free a moment ago.
 */
export async function openPort(server: RecordedRequest['server'] | 'control', record?: Recorder) {
  const http = createServer().listen(0, 'localhost')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const url = `http://localhost:${port}`
  if (server !== 'control') {
    http.on('request', (incoming) => {
      const { method = '', url: path = '', headers } = incoming
      const request: RecordedRequest = { server, origin: url, method, path, userAgent: headers['user-agent'] }
      record?.(request)
      if (path === '/oauth/token') overhear(incoming, (body) => Object.assign(request, { grantType: grantIn(body) }))
    })
  }
  return {
    url,
    port,
    answerWith: (listener: RequestListener) => void http.on('request', listener),
    /** Clients in mid-request see their connection reset. */
    async close() {
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    },
  }
}

/** Gets the text as it arrives, whoever reads it. */
function overhear(incoming: IncomingMessage, onText: (text: string) => void): void {
  let text = ''
  const push = incoming.push.bind(incoming)
  incoming.push = (chunk, ...more) => {
    if (chunk) {
      text += String(chunk)
      onText(text)
    }
    return push(chunk, ...more)
  }
}

function grantIn(body: string): string | undefined {
  return new URLSearchParams(body).get('grant_type') ?? undefined
}

export async function startPlc(record: Recorder): Promise<Running> {
  const port = await openPort('plc', record)
  const plc = PlcServer.create({ db: Database.mock(), port: port.port })
  port.answerWith(plc.app)
  const stop = async () => {
    await port.close()
    await plc.destroy()
  }
  return { url: port.url, stop }
}

export interface PdsNeighbours {
  readonly plcUrl: string
  readonly appViewUrl: string
  readonly appViewDid: string
  readonly record: Recorder
}

export interface PdsOptions {
  /** Under which its users reach it by `https:`; by default they use its own address. */
  readonly hostname?: string | undefined
  /** A second name, under which it is an authorization server and nothing else, as an entryway is. */
  readonly entryway?: string | undefined
  /** Beginning with a dot. */
  readonly handleDomains?: readonly string[] | undefined
}

export interface RunningPds extends Running {
  /** As if the time had passed for which it keeps the permission sets that it has read: it reads them again. */
  expireSets(): Promise<void>
}

export async function startPds(
  { plcUrl, appViewUrl, appViewDid, record }: PdsNeighbours,
  { hostname = 'localhost', entryway, handleDomains = ['.test'] }: PdsOptions = {},
): Promise<RunningPds> {
  const port = await openPort('pds', record)
  const dataDirectory = await mkdtemp(join(quickFolder(), 'atproto-oauth-pds-'))
  await mkdir(join(dataDirectory, 'blobs'))
  const rotationKey = await Secp256k1Keypair.create({ exportable: true })
  const env = {
    devMode: true,
    hostname,
    port: port.port,
    dataDirectory,
    blobstoreDiskLocation: join(dataDirectory, 'blobs'),
    recoveryDidKey: (await Secp256k1Keypair.create()).did(),
    plcRotationKeyK256PrivateKeyHex: Buffer.from(await rotationKey.export()).toString('hex'),
    adminPassword: randomBytes(16).toString('hex'),
    jwtSecret: randomBytes(16).toString('hex'),
    serviceHandleDomains: [...handleDomains],
    didPlcUrl: plcUrl,
    bskyAppViewUrl: appViewUrl,
    bskyAppViewDid: appViewDid,
    bskyAppViewCdnUrlPattern: `${appViewUrl}/cdn/%s/%s/%s`,
    // Required beside an AppView. It stands at the same address under a name of its own, so requests meant for it are refused.
    modServiceUrl: appViewUrl,
    modServiceDid: 'did:web:moderation.test',
    inviteRequired: false,
    disableSsrfProtection: true,
    rateLimitsEnabled: false,
  }
  const { envToCfg, envToSecrets, PDS } = await loadPds()
  const config = envToCfg(env)
  if (entryway !== undefined) Object.assign(config.oauth, { issuer: `https://${entryway}` })
  const pds = await PDS.create(config, envToSecrets(env))
  await pds.ctx.sequencer.start() // what PDS.start() does, apart from opening a port
  port.answerWith(entryway === undefined ? pds.app : apart(pds, `https://${hostname}`, `https://${entryway}`))
  const stop = async () => {
    await port.close()
    await pds.destroy()
    await rm(dataDirectory, { recursive: true, force: true })
  }
  const expireSets = async () => {
    const updatedAt = '2000-01-01T00:00:00.000Z'
    await pds.ctx.accountManager.db.db.updateTable('lexicon').set({ updatedAt }).execute()
  }
  return { url: port.url, stop, expireSets }
}

/** One PDS as two servers: its package has no entryway. Only its metadata says that both are the same, so that is replaced. */
function apart({ app, ctx }: PDS, pds: string, entryway: string): RequestListener {
  const resource = { resource: pds, authorization_servers: [entryway], bearer_methods_supported: ['header'] }
  const documents = new Map<string, object>([
    [`${new URL(pds).host}/.well-known/oauth-protected-resource`, resource],
    [
      `${new URL(entryway).host}/.well-known/oauth-authorization-server`,
      { ...ctx.oauthProvider!.metadata, protected_resources: [pds] },
    ],
  ])
  return (request, response) => {
    const path = `${request.headers.host}${request.url}`
    const document = documents.get(path)
    if (document) return void response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
    if (/\/\.well-known\/oauth-/.test(path)) return void response.writeHead(404).end()
    app(request, response)
  }
}
