import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../node/helpers.ts'
import { findRefreshTokens, findSecrets, findTokens } from './scan.ts'

const TOKEN = `ref-${'0a'.repeat(32)}`
const KEY = Buffer.from('a key of thirty-two bytes, yes!!').toString('base64url')

test.each([
  ['plain', TOKEN],
  ['in JSON', JSON.stringify({ token: TOKEN })],
  ['base64', Buffer.from(`x${JSON.stringify({ token: TOKEN })}`).toString('base64')],
  ['base64, moved', Buffer.from(`xy${JSON.stringify({ token: TOKEN })}`).toString('base64')],
  ['base64url', Buffer.from(`xyz${TOKEN}`).toString('base64url')],
  ['hex', Buffer.from(TOKEN).toString('hex')],
  ['upper case hex', Buffer.from(TOKEN).toString('hex').toUpperCase()],
  ['UTF-16', Buffer.from(TOKEN, 'utf16le')],
  ['a key as bytes', Buffer.from(KEY, 'base64url')],
  ['a key as bytes in hex', Buffer.from(KEY, 'base64url').toString('hex')],
])('a secret is found: %s', async (_, content) => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'file'), content)
  expect(await findSecrets([folder], [TOKEN, KEY])).not.toStrictEqual([])
})

test('what is no secret is not', async () => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'file'), `${TOKEN.slice(0, -2)} ${KEY.slice(3)}`)
  expect(await findSecrets([folder], [TOKEN, KEY])).toStrictEqual([])
})

test.each([
  ['plain', `x${TOKEN}`],
  ['hex', Buffer.from(TOKEN).toString('hex').toUpperCase()],
  ['UTF-16', Buffer.from(`x${TOKEN}`, 'utf16le')],
  ['UTF-16', Buffer.from(TOKEN, 'utf16le').swap16()],
  ['base64', Buffer.from(`x${TOKEN}`).toString('base64')],
  ['base64', `x${Buffer.from(`xy${TOKEN}`).toString('base64url')}`],
])('a refresh token that is not known is found: %s', async (form, content) => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'file'), content)
  expect(await findRefreshTokens([folder])).toStrictEqual([`${form} in ${join(folder, 'file')}`])
})

test('an access token that is not known is found, and no encrypted text', async () => {
  const folder = await tempFolder()
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = `${part({ typ: 'at+jwt' })}.${part({ sub: 'did:web:a.dev' })}.${'s'.repeat(86)}`
  await writeFile(join(folder, 'encrypted'), `${part({ alg: 'dir', enc: 'A256GCM' })}..${KEY}.${KEY}.${KEY}`)
  expect(await findTokens([folder])).toStrictEqual([])
  await writeFile(join(folder, 'token'), JSON.stringify({ token }))
  await writeFile(join(folder, 'encoded'), Buffer.from(token).toString('base64'))
  expect((await findTokens([folder])).sort()).toStrictEqual([
    `base64 in ${join(folder, 'encoded')}`,
    `plain in ${join(folder, 'token')}`,
  ])
})

test('text that begins like one is not', async () => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'file'), 'eyJhbGciOi.ref-xQ0')
  expect(await findRefreshTokens([folder])).toStrictEqual([])
})
