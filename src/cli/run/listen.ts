/**
 * Where the front of `run` listens.
 */
import { OAuthError } from '../../errors.ts'
import { type FrontServer, startFrontServer } from '../../node/front-server.ts'
import { isCode, reasonOf } from '../../node/store/file-errors.ts'
import { CliError } from '../errors.ts'

const LARGEST_PORT = 65_535
/** Below, systems reserve them for administrators. */
const FIRST_FREE_PORT = 1024

/** @throws {OAuthError} `USAGE` */
export function parsePort(text: string): number {
  const [, host, digits] = /^(?:(\[.*\]|[^:]*):)?(\d+)$/.exec(text) ?? []
  if (digits === undefined) throw new OAuthError('USAGE', `--listen ${JSON.stringify(text)} is not a port`)
  const port = Number(digits)
  if (port > LARGEST_PORT)
    throw new OAuthError('USAGE', `--listen ${digits} is not a port: the largest is ${LARGEST_PORT}`)
  if (host === undefined || host === '127.0.0.1') return port
  throw new CliError(
    'USAGE',
    `cannot listen on ${JSON.stringify(host)}: the front is for programs on this machine only`,
    {
      hint: `write the port alone, for 127.0.0.1: --listen ${port}`,
    },
  )
}

/** @throws {OAuthError} `USAGE` the port cannot be used */
export async function listenLocally(port: number): Promise<FrontServer> {
  try {
    return await startFrontServer(port)
  } catch (error) {
    const isReserved = port < FIRST_FREE_PORT && isCode(error, 'EACCES', 'EPERM')
    const why = isCode(error, 'EADDRINUSE') ? 'it is in use' : reasonOf(error)
    throw new CliError('USAGE', `cannot listen on port ${port}: ${why}`, {
      cause: error,
      hint: isReserved
        ? `choose a port from ${FIRST_FREE_PORT} on`
        : 'choose another port, or omit --listen for a free one',
    })
  }
}
