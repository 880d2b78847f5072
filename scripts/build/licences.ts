/**
 * The licences of what a bundle has inside.
 */
import { readdir, readFile } from 'node:fs/promises'

/** Those that ask for nothing but their text to go along. */
const ALLOWED = /^(?:MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0)$/
const PACKAGE = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/

/**
 * @param moduleIds the paths of all modules in the bundle
 * @returns one text with the licence of each package among them
 * @throws {Error} if a package has no licence text, or one that is not permissive
 */
export async function licencesOf(moduleIds: readonly string[]): Promise<string> {
  const folders = new Set(moduleIds.map((id) => PACKAGE.exec(id)?.[0]).filter((folder) => folder !== undefined))
  const texts = await Promise.all([...folders].sort().map(licenceOf))
  return `atproto-oauth contains code of these packages:\n${texts.map((text) => `\n${'-'.repeat(80)}\n${text}\n`).join('')}`
}

async function licenceOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'))
  if (!ALLOWED.test(license)) throw new Error(`${name} has the licence ${license}`)
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(?:-mit)?(?:\.(?:md|txt))?$/i.test(entry))
  if (file === undefined) throw new Error(`${name} comes without the text of its licence`)
  return `${name} ${version} (${license})\n\n${(await readFile(`${folder}/${file}`, 'utf8')).trim()}`
}
