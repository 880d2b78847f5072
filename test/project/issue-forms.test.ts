/** The rules of docs.github.com, "Syntax for GitHub's form schema": GitHub drops a form that breaks one, without a word. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

const FOLDER = '.github/ISSUE_TEMPLATE'
const forms = readdirSync(FOLDER).filter((name) => name !== 'config.yml')

interface Field {
  readonly type: string
  readonly id?: string
  readonly attributes: {
    readonly label?: string
    readonly description?: string
    readonly value?: string
    readonly render?: string
    readonly placeholder?: string
    readonly options?: readonly (string | { readonly label: string })[]
  }
  readonly validations?: { readonly required?: boolean }
}

interface Form {
  readonly name: string
  readonly description: string
  readonly title?: string
  readonly labels?: readonly string[]
  readonly body: readonly Field[]
}

/** The attributes of each type, behind those that it has to have. */
const ATTRIBUTES: Record<string, [required: string[], optional: string[]]> = {
  markdown: [['value'], []],
  textarea: [['label'], ['description', 'placeholder', 'value', 'render']],
  input: [['label'], ['description', 'placeholder', 'value']],
  dropdown: [
    ['label', 'options'],
    ['description', 'multiple', 'default'],
  ],
  checkboxes: [['label', 'options'], ['description']],
}

const readForm = (name: string): Form => parse(readFileSync(`${FOLDER}/${name}`, 'utf8'))

describe.each(forms)('%s', (name) => {
  const form = readForm(name)

  test('has what a form has to have, and nothing that GitHub does not accept', () => {
    const { name: title, description, body, ...rest } = form
    for (const text of [title, description]) expect(text).toMatch(/\S/)
    for (const key of Object.keys(rest)) expect(['title', 'labels']).toContain(key)
    expect(body.some(({ type }) => type !== 'markdown')).toBe(true)
  })

  test.each(form.body.map((field, index) => [field.id ?? `field ${index + 1}`, field] as const))('%s', (_, field) => {
    const { type, id, attributes, validations = {}, ...rest } = field
    expect(rest).toStrictEqual({})
    expect(Object.keys(ATTRIBUTES)).toContain(type)
    const [required, optional] = ATTRIBUTES[type]!
    const names = Object.keys(attributes)
    expect(names).toEqual(expect.arrayContaining(required))
    for (const attribute of names) expect([...required, ...optional]).toContain(attribute)
    expect(Object.keys(validations).filter((key) => key !== 'required')).toStrictEqual([])
    if (type !== 'markdown') expect(id).toMatch(/^[\w-]+$/)
    if (attributes.options) {
      const labels = attributes.options.map((option) => (typeof option === 'string' ? option : option.label))
      expect(new Set(labels).size).toBe(labels.length)
      for (const label of labels) expect(label).toMatch(/\S/)
    }
  })

  test('has no id and no label twice', () => {
    const ids = form.body.flatMap(({ id }) => id ?? [])
    const labels = form.body.flatMap(({ attributes }) => attributes.label ?? [])
    expect(new Set(ids).size).toBe(ids.length)
    expect(new Set(labels).size).toBe(labels.length)
  })
})

test('no two forms share a name', () => {
  expect(new Set(forms.map((name) => readForm(name).name)).size).toBe(forms.length)
})

test.each(['1-session-lost.yml', '2-bug.yml'])(
  '%s warns of secrets before it asks, and asks for the versions',
  (name) => {
    const [first, ...fields] = readForm(name).body
    expect(first?.attributes.value).toContain('**Do not paste tokens')
    const labels = fields.map(({ attributes }) => attributes.label ?? '').join('\n')
    for (const command of ['atproto-oauth --version', 'node --version', 'atproto-oauth doctor --json'])
      expect(labels).toContain(`\`${command}\``)
  },
)

test('config.yml has what GitHub accepts', () => {
  const { blank_issues_enabled, contact_links = [], ...rest } = parse(readFileSync(`${FOLDER}/config.yml`, 'utf8'))
  expect(rest).toStrictEqual({})
  expect(blank_issues_enabled).toBeTypeOf('boolean')
  for (const link of contact_links) expect(Object.keys(link).sort()).toStrictEqual(['about', 'name', 'url'])
})
