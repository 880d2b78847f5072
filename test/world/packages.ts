/**
 * The reference packages that tests run against: those of package.json or, where `ATPROTO_OAUTH_TEST_PACKAGES` names
 * the folder that test/newest/run.sh has made, the newest ones, which need Node 22.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = process.env['ATPROTO_OAUTH_TEST_PACKAGES']

/** Whether the newest packages are in use. */
export const isNewest = folder !== undefined

export const loadPds = () => load('pds', () => import('@atproto/pds'))
export const loadOfficialClient = () => load('oauth-client-node', () => import('@atproto/oauth-client-node'))
export const loadApi = () => load('api', () => import('@atproto/api'))

/** A file of that folder. */
export const inNewest = (name: string) => join(folder!, name)

/** The newest packages are used with the types of those in package.json: what tests call is the same in both. */
async function load<Package>(name: string, installed: () => Promise<Package>): Promise<Package> {
  if (folder === undefined) return installed()
  return import(pathToFileURL(join(folder, `${name}.mjs`)).href) as Promise<Package>
}
