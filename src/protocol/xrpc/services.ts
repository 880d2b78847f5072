/**
 * The short names of the services that a PDS forwards requests to.
 *
 * @see https://atproto.com/specs/xrpc#service-proxying
 */

const SERVICES: Readonly<Record<string, string>> = {
  appview: 'did:web:api.bsky.app#bsky_appview',
  chat: 'did:web:api.bsky.chat#bsky_chat',
  ozone: 'did:plc:ar7c4by46qjdydhdevvrndac#atproto_labeler',
}
export const SERVICE_NAMES = Object.keys(SERVICES)

/** The `atproto-proxy` value for a short name; other values are returned unchanged. */
export function serviceOf(name: string): string {
  return Object.hasOwn(SERVICES, name) ? SERVICES[name]! : name
}

/** The service with this DID, if it is one of those with a short name. */
export function serviceAt(did: string): string | undefined {
  return Object.values(SERVICES).find((service) => service.startsWith(`${did}#`))
}

/** The service for a method that the PDS does not forward by default. */
export function defaultService(nsid: string): string | undefined {
  return nsid.startsWith('chat.bsky.') ? SERVICES.chat : undefined
}
