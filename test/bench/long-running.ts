/**
 * `npm run test:memory`: what a program that makes 100,000 calls has in use, on each Node, through a `fetch` of its own and
 * on sockets, with signals that outlive all calls and without. test/thorough/long-running.test.ts makes fewer calls.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { packageFolder } from '../package/packed.ts'

const PROGRAM = fileURLToPath(new URL('long-running.mjs', import.meta.url))
const PARTS = 10

export interface LongRun {
  readonly calls: number
  /** `fetch`: the servers are in the program. `sockets`: a server on this machine, through the HTTP client of the package. */
  readonly transport: 'fetch' | 'sockets'
  readonly hasSignal: boolean
  /** The program of Node; by default this one. */
  readonly node?: string
}

export interface LongRunFigures {
  readonly node: string
  /** Bytes in use after a collection: after a warm-up, and after each tenth of the calls. */
  readonly heap: readonly number[]
  /** On the signal of the clients, and on that of the calls. */
  readonly listeners: readonly number[]
  /** What keeps the process running. */
  readonly resources: readonly string[]
  /** The last change of a session that each client reported. */
  readonly rotations: readonly (readonly [kind: string, rotation: number])[]
  readonly records: number
}

/** @throws it does not end by itself, or failed */
export async function runLong({
  calls,
  transport,
  hasSignal,
  node = process.execPath,
}: LongRun): Promise<LongRunFigures> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.setHeader('content-type', 'application/json').end('{}'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const dist = (name: string) => pathToFileURL(join(packageFolder(), 'dist', name)).href
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const options = {
      library: dist('index.js'),
      testing: dist('testing.js'),
      ...(transport === 'sockets' && { origin }),
      calls,
      parts: PARTS,
      hasSignal,
    }
    const { stdout } = await promisify(execFile)(node, ['--expose-gc', PROGRAM, JSON.stringify(options)])
    return JSON.parse(stdout)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** Bytes by which the heap has grown since the warm-up. Both ends are the smaller of two: a collection may come late. */
export function growth({ heap }: LongRunFigures): number {
  return Math.min(...heap.slice(-2)) - Math.min(...heap.slice(0, 2))
}

/** The path of another Node, which is installed if it is missing. */
export async function otherNode(version: string): Promise<string> {
  const { stdout } = await promisify(execFile)(fileURLToPath(new URL('../nodes/fetch.sh', import.meta.url)), [version])
  return join(stdout.trim(), 'bin', 'node')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const calls = Number(process.argv[2] ?? 100_000)
  for (const node of [process.execPath, await otherNode('22')]) {
    for (const transport of ['fetch', 'sockets'] as const) {
      for (const hasSignal of [false, true]) {
        const figures = await runLong({ calls, transport, hasSignal, node })
        const kilobytes = figures.heap.map((bytes) => Math.round(bytes / 1000))
        const how = `${figures.node}, ${transport}, ${hasSignal ? 'long-lived signals' : 'no signal'}`
        process.stdout.write(
          `${how}: ${calls} calls, heap ${kilobytes.join(' ')} kB, growth ${Math.round(growth(figures) / 1000)} kB, ` +
            `listeners ${figures.listeners.join(' and ')}, kept up by ${figures.resources.join(', ') || 'nothing'}\n`,
        )
      }
    }
  }
}
