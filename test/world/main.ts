/**
 * The process the servers live in, forked by `start.ts`. It sends its parent
 * the addresses once, then takes orders from every test file over a small HTTP
 * server:
 *
 *     GET    /requests             what the servers were asked, oldest first
 *     DELETE /requests[?origin=…]  forget it, or what one server was asked
 *     POST   /pds                  { hostname, … }: one more PDS -> { id, url }
 *     DELETE /pds/:id              stop it
 *     POST   /names/:name          { port, ca }: the name leads to this port of a test's, over TLS
 *     POST   /texts/:name          { text }: the name has this TXT record
 *     POST   /sets/expire          the PDS reads permission sets again
 *     POST   /site?host=…&folder=… serve a folder over TLS -> what leads the CLI there
 *
 * It ends when its parent lets go of it, however that came about.
 */
import type { RequestListener } from 'node:http'
import { json } from 'node:stream/consumers'
import { APP_VIEW_DID, startAppView } from './app-view.ts'
import { hurry } from './haste.ts'
import { type Destination, leadName, leadText } from './names.ts'
import { openPort, type PdsOptions, type RecordedRequest, type Running, startPds, startPlc } from './servers.ts'
import { type Sites, startSites } from './sites.ts'

/** What a test must know to reach the world. Plain data: it crosses processes. */
export interface WorldAddresses {
  readonly pdsUrl: string
  readonly plcUrl: string
  readonly appViewUrl: string
  readonly appViewDid: string
  /** Names under `.test` have no DNS: the PDS speaks for its own. */
  readonly handleResolverUrl: string
  readonly controlUrl: string
}

hurry()

let requests: RecordedRequest[] = []
const record = (request: RecordedRequest) => void requests.push(request)
const running: Running[] = []
const extraPdses = new Map<string, Running>()
/** Started when the first is asked for. */
let sites: Promise<Sites> | undefined

async function keep(starting: Promise<Running>): Promise<string> {
  const server = await starting
  running.push(server)
  return server.url
}

let stopping = false
async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  // Latest first: a PDS still speaks with the PLC directory while it shuts down.
  for (const server of [...running, ...extraPdses.values()].reverse()) await server.stop()
  await sites?.then(({ stop }) => stop())
  process.exit()
}
process.once('disconnect', stop)
process.once('SIGTERM', stop)
process.once('SIGINT', stop) // Ctrl-C reaches every process of the terminal

const plcUrl = await keep(startPlc(record))
const appViewUrl = await keep(startAppView(plcUrl, record))
const neighbours = { plcUrl, appViewUrl, appViewDid: APP_VIEW_DID, record }
const pds = await startPds(neighbours)
running.push(pds)
const pdsUrl = pds.url

const answer: RequestListener = async (request, response) => {
  const url = new URL(request.url ?? '/', controlUrl)
  const [, resource, id = ''] = url.pathname.split('/')
  const send = (body: object) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  switch (`${request.method} /${resource}`) {
    case 'GET /requests':
      return send(requests)
    case 'DELETE /requests': {
      const origin = url.searchParams.get('origin')
      requests = origin === null ? [] : requests.filter((r) => r.origin !== origin)
      return send({})
    }
    case 'POST /pds': {
      const extra = await startPds(neighbours, (await json(request)) as PdsOptions)
      const { port } = new URL(extra.url)
      extraPdses.set(port, extra)
      return send({ id: port, url: extra.url })
    }
    case 'DELETE /pds': {
      const extra = extraPdses.get(id)
      extraPdses.delete(id) // before the wait: one who asks twice stops it once
      await extra?.stop()
      return send({})
    }
    case 'POST /names':
      leadName(id, (await json(request)) as Destination)
      return send({})
    case 'POST /texts':
      leadText(id, ((await json(request)) as { text: string }).text)
      return send({})
    case 'POST /sets':
      await pds.expireSets()
      return send({})
    case 'POST /site': {
      sites ??= startSites()
      const { publish, env } = await sites
      publish(url.searchParams.get('host') ?? '', url.searchParams.get('folder') ?? '')
      return send(env)
    }
    default:
      return response.writeHead(404).end()
  }
}
const control = await openPort('control')
const controlUrl = control.url
running.push({ url: controlUrl, stop: control.close })
control.answerWith(answer)

const addresses: WorldAddresses = {
  pdsUrl,
  plcUrl,
  appViewUrl,
  appViewDid: APP_VIEW_DID,
  handleResolverUrl: pdsUrl,
  controlUrl,
}
process.send?.({ world: addresses })
