/**
 * A DNS server on this machine, whose responses take their time. Names have one address and perhaps a TXT record;
 * of others it says that they do not exist.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1035#section-4
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface NameServer {
  readonly port: number
  /** The TXT record of a name; `undefined` removes it. */
  setText(name: string, text: string | undefined): void
  /** Resolves when a query and its response have been under way for long enough. */
  setWay(way: () => Promise<void>): void
  close(): Promise<void>
}

/** Public, as the guard of addresses demands. Nothing connects to it: the relay's preload replaces it by loopback. */
const ADDRESS = [93, 184, 215, 14]
const A = 1
const TXT = 16
const HEADER = 12
const NO_ERROR = 0
const NO_SUCH_NAME = 3

export async function startNameServer(names: Iterable<string>): Promise<NameServer> {
  const known = new Set(names)
  const texts = new Map<string, string>()
  let way = async () => {}
  const socket = createSocket('udp4')
  socket.on('message', async (query, { port, address }) => {
    const { name, type, end } = readQuestion(query)
    const text = texts.get(name)
    const isFound = known.has(name) || text !== undefined
    const data =
      type === A && known.has(name) ? Buffer.from(ADDRESS) : type === TXT && text ? textData(text) : undefined
    await way()
    socket.send(response(query.subarray(0, end), type, isFound ? NO_ERROR : NO_SUCH_NAME, data), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    setText: (name, text) => void (text === undefined ? texts.delete(name) : texts.set(name, text)),
    setWay: (other) => {
      way = other
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = HEADER
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** @param question the header of the query and its question, without what may follow them */
function response(question: Buffer, type: number, code: number, data: Buffer | undefined): Buffer {
  const head = Buffer.from(question)
  head.writeUInt16BE(0x8180 | code, 2) // a response, recursion asked for and available
  head.writeUInt16BE(data ? 1 : 0, 6)
  head.writeUInt32BE(0, 8)
  if (!data) return head
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc000 | HEADER, 0) // the name of the question
  record.writeUInt16BE(type, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(60, 6)
  record.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, record, data])
}

/** Of at most 255 bytes. */
function textData(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')])
}
