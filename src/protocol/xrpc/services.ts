/**
 * The services that a PDS forwards requests to, by the names that people know.
 *
 * @see https://atproto.com/specs/xrpc#service-proxying
 */

/** Services by the names that people know; the PDS forwards to them. */
const SERVICES: Readonly<Record<string, string>> = {
  appview: 'did:web:api.bsky.app#bsky_appview',
  chat: 'did:web:api.bsky.chat#bsky_chat',
  ozone: 'did:plc:ar7c4by46qjdydhdevvrndac#atproto_labeler',
}
export const SERVICE_NAMES = Object.keys(SERVICES)

/** The `atproto-proxy` of a service's name; of anything else, that itself. */
export function serviceOf(name: string): string {
  return Object.hasOwn(SERVICES, name) ? SERVICES[name]! : name
}

/** The service to name for a method for which the PDS has no default one. */
export function defaultService(nsid: string): string | undefined {
  return nsid.startsWith('chat.bsky.') ? SERVICES.chat : undefined
}
