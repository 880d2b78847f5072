/**
 * Credentials as JSON, in a bundle and in a stored login: `server` has the name of its variable there, `pdsIssuer`, so
 * that what was written before the member was renamed is still read.
 */

export function storedName(name: string): string {
  return name === 'server' ? 'pdsIssuer' : name
}

/** The same members in the same order, under their stored names. */
export function toStored(credentials: object): object {
  return Object.fromEntries(Object.entries(credentials).map(([name, member]) => [storedName(name), member]))
}

/** The members of what {@link toStored} gave, or of anything else. What is called `server` there is none of ours. */
export function fromStored(stored: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(stored).filter(([name]) => name !== 'server')
  return Object.fromEntries(entries.map(([name, member]) => [name === 'pdsIssuer' ? 'server' : name, member]))
}
