/**
 * One word for one thing, in everything a person reads, in the comments of the source and in the titles of the tests.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { titlesUnder } from './support/suite.ts'

/** What to write, and what not. */
const GLOSSARY: readonly (readonly [say: string, not: RegExp])[] = [
  ['callback URL', /\bon which the browser\b|\bpage on which\b/],
  ['refresh, rotate', /\brenew(?:s|ed|ing|al|als)?\b(?! the certificate)/i],
  ['response', /\banswers\b(?! to\b)|\bthe answer\b|\bno answer\b|\ban answer\b/i],
  ['retry', /\bmake (?:it )?again\b|\bonce more\b|\banew\b/],
  ['expired, revoked, ended', /\b(?:session|lease|login) is over\b|\bis dead\b/],
  ['skip, omit', /\bleave(?:s)?(?: [\w-]+){0,3} out\b|\bleft out\b/],
  ['cannot be used with', /\bstands? beside\b|\bis for one request\b|\bdoes not combine\b/],
  ['validate, check', /\bjudge[sd]?\b/],
  ['invalid, unknown, not found', /\bis none of\b|\bstands for nothing\b|\bno such place\b/],
  ['hosted client', /\b(?:document|client|PDS) of (?:yours|one[’']s own)\b/],
  ['consent screen', /\bon which people consent\b/],
  ['per line, comma-separated', /\bone a line\b|\bobject a line\b|\bwith commas between\b|\bno more than that\b/],
  ['timeout, backoff', /\bpatience\b/],
  ['secret, credentials', /\bwhat is secret in\b/],
  ['store, vault, save target', /\bwhere (?:it|they) (?:is|are) wanted\b|\bplaces? to save\b/],
  ['unknown, is reported', /\b(?:was|is|were) not told\b|\bsays? nothing of\b/],
  ['no longer', /\bnot [\w ]{0,20}any more\b/],
  ['a question', /\bWhat shall become\b/],
  ['an instruction', /\bwithout a look at\b|\bon their way\b|\ba header more\b/],
]
/** Also wrong in comments and test titles, which have fewer words of their own than messages. */
const COMMENT_GLOSSARY: readonly (readonly [say: string, not: RegExp])[] = [
  ['refresh, rotate', /\brenew(?:s|ed|ing|al|als)?\b/i],
  ['response, respond', /\banswer(?:s|ed|ing)?\b/i],
  ['skip, omit', /\bleave(?:s)? (?:it|them|out)\b(?: out)?(?! alone)|\bleft out\b/],
  ['validate, check, parse', /\bjudge[sd]?\b/],
  ['expired, revoked, ended', /\b(?:session|lease|login|token) is (?:over|dead|gone)\b/],
  ['timeout, backoff', /\bpatience\b/],
  ['invalid, unknown, not found', /\bstands for nothing\b|\bis none of\b/],
  ['hosted client, self-hosted PDS', /\b(?:client|document|PDS) of one[’']s own\b/],
]
/** A shell redirects it. */
const PLACEHOLDER = /\batproto-oauth [a-z][\w -]*<[a-z]/

const SOURCES = ['src', 'oauth-templates']
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`))
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => /\.(?:ts|html|yml)$/.test(file))
  .sort()
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync('docs')
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
]

/** What a person may see of a source: its texts of several words, and not its comments. */
function shown(file: string): string[] {
  const source = readFileSync(file, 'utf8')
  if (!file.endsWith('.ts')) return [source]
  const code = source.replace(/\/\*[\s\S]*?\*\/|(?<![:'"`\w])\/\/ .*$/gm, '')
  return (code.match(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? []).filter((text) =>
    / /.test(text),
  )
}

/** The comments of a source, each on one line. */
function comments(file: string): string[] {
  const found = readFileSync(file, 'utf8').match(/^ *\/\*\*[\s\S]*?\*\/|(?<![:'"`\w])\/\/ .*$/gm) ?? []
  return found.map((comment) => comment.replaceAll(/\s*\n\s*(?:\*\/?)? ?/g, ' '))
}

/** Each with the word to write instead. */
function violations(texts: readonly string[], glossary = GLOSSARY): string[] {
  return texts.flatMap((text) =>
    glossary.flatMap(([say, not]) => {
      const found = not.exec(text)
      return found ? [`${found[0]} → ${say}: ${text.slice(Math.max(0, found.index - 60), found.index + 60)}`] : []
    }),
  )
}

test.each(SOURCES)('%s keeps to the glossary', (file) => {
  expect(violations(shown(file))).toStrictEqual([])
})

test.each(SOURCES.filter((file) => file.endsWith('.ts')))('%s keeps to the glossary in its comments', (file) => {
  expect(violations(comments(file), COMMENT_GLOSSARY)).toStrictEqual([])
})

test('the titles of the tests keep to the glossary', async () => {
  const titles = (await titlesUnder('test')).map(({ path }) => path.join(' > '))
  expect(titles.length).toBeGreaterThan(1000)
  expect([...new Set(violations(titles, COMMENT_GLOSSARY))]).toStrictEqual([])
})

test.each(PAGES)('%s keeps to the glossary', (file) => {
  expect(violations(readFileSync(file, 'utf8').split('\n'))).toStrictEqual([])
})

test.each(SOURCES)('%s has no command with a placeholder in angle brackets', (file) => {
  expect(shown(file).filter((text) => PLACEHOLDER.test(text))).toStrictEqual([])
})

test('the rules catch what they are for', () => {
  expect(
    violations([
      ...['renewed, and saved', 'one JSON object a line', 'leave the lines out', 'a client of yours'],
      ...['what is secret in it', 'its role was not told', 'it is not used any more', '-X is for one request'],
    ]),
  ).toHaveLength(8)
  expect(violations(['refreshed and saved', 'a line of JSON', 'Timeout in seconds, for the response'])).toStrictEqual(
    [],
  )
  expect(violations(['The answer is judged.', 'Renewed', 'What is left out'], COMMENT_GLOSSARY)).toHaveLength(4)
  expect(violations(['The response is validated.', 'leaves stdout empty'], COMMENT_GLOSSARY)).toStrictEqual([])
  expect(PLACEHOLDER.test('atproto-oauth init <handle>')).toBe(true)
  expect(PLACEHOLDER.test('atproto-oauth init alice.bsky.social')).toBe(false)
})
