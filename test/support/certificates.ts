/** Throwaway certificates, for servers that a test starts. */
import { isIP } from 'node:net'
import { generate, type SelfsignedOptions } from 'selfsigned'

/** PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

const DAY_MS = 86_400_000

/** A certificate for these host names and IP addresses, signed by `authority` or else by itself. */
export async function createCertificate(names: readonly string[], authority?: Certificate): Promise<Certificate> {
  const altNames = names.map((name) =>
    isIP(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
  )
  // Certificates of one name are taken for each other.
  return make(`Test of ${names[0]}`, {
    extensions: [{ name: 'subjectAltName', altNames }],
    ...(authority && { ca: authority }),
  })
}

export function createAuthority(): Promise<Certificate> {
  return make('Test CA', {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  })
}

/** Valid for two days, and since yesterday: a test may set the clock of a process back. */
async function make(commonName: string, options: SelfsignedOptions): Promise<Certificate> {
  const now = Date.now()
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + 2 * DAY_MS),
    ...options,
  })
  return { key: `${made.private}\n`, cert: `${made.cert}\n` }
}
