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
  const licences = await Promise.all([...folders].sort().map(licenceOf))
  // The packages of one author often have one text, which is printed once.
  const first = new Map<string, string>()
  const sections = licences.map(({ name, heading, text }) => {
    const other = first.get(text)
    if (other === undefined) first.set(text, name)
    return `\n${'-'.repeat(80)}\n${heading}\n\n${other === undefined ? text : `The same text as that of ${other}, with the same copyright notice.`}\n`
  })
  return `atproto-oauth contains code of these packages:\n${sections.join('')}`
}

async function licenceOf(folder: string) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'))
  if (!ALLOWED.test(license)) throw new Error(`${name} has the licence ${license}`)
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(?:-mit)?(?:\.(?:md|txt))?$/i.test(entry))
  if (file === undefined) throw new Error(`${name} comes without the text of its licence`)
  const text = (await readFile(`${folder}/${file}`, 'utf8')).replaceAll('\r\n', '\n').trim()
  return { name: String(name), heading: `${name} ${version} (${license})`, text }
}
