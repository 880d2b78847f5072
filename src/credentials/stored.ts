/**
 * Credentials as JSON, in a bundle and in a stored login. There, `server` is called `pdsIssuer`, its name before it was
 * renamed, so that older data can be read.
 */

export function storedName(name: string): string {
  return name === 'server' ? 'pdsIssuer' : name
}

/** The same members in the same order, under their stored names. */
export function toStored(credentials: object): object {
  return Object.fromEntries(Object.entries(credentials).map(([name, member]) => [storedName(name), member]))
}

/** Reverses {@link toStored}. A member called `server` in the input is ignored. */
export function fromStored(stored: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(stored).filter(([name]) => name !== 'server')
  return Object.fromEntries(entries.map(([name, member]) => [name === 'pdsIssuer' ? 'server' : name, member]))
}
