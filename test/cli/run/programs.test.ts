import { describe, expect, test } from 'vitest'
import { findProgram, PROGRAMS } from '../../../src/cli/run/programs.ts'

test('programs are in the order of their names, each once', () => {
  const names = PROGRAMS.map(({ name }) => name)
  expect(names).toStrictEqual([...new Set(names)].toSorted())
})

describe.each(PROGRAMS)('$name', ({ name, about, source, environment }) => {
  test('is named as a shell word, and says where its variables are read', () => {
    expect(name).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/)
    expect(about).toMatch(/^\S.*[^.\s]$/)
    expect(source).toMatch(
      /^https:\/\/(?:github\.com\/[\w.-]+\/[\w.-]+\/blob\/[0-9a-f]{40}\/\S+|www\.npmjs\.com\/package\/\S+\/v\/\S+)$/,
    )
  })

  test('is given the URL, the account and the password, and nothing of our own', () => {
    const values = Object.values(environment)
    expect(values).toContain('{url}')
    expect(values).toContain('{password}')
    expect(values.some((value) => value === '{handle}' || value === '{did}')).toBe(true)
    for (const [variable, value] of Object.entries(environment)) {
      expect(variable).toMatch(/^[A-Z][A-Z0-9_]*$/)
      expect(variable).not.toMatch(/^ATPROTO_OAUTH_/)
      expect(value).toMatch(/^(?:\{(?:url|handle|did|password)\}|[a-z]+)$/)
    }
  })
})

test.each([
  ['goa', /^write it as --as goat, or name its variables with --env$/],
  ['other', /^use one of .*\bgoat\b.*, or name its variables with --env$/],
  ['', /^use one of /],
])('another is rejected, with what was meant: %j', (name, hint) => {
  expect(() => findProgram(name)).toThrow(expect.objectContaining({ code: 'USAGE', hint: expect.stringMatching(hint) }))
})
