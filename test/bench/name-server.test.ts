import { Resolver } from 'node:dns/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startNameServer } from './name-server.ts'

async function serverFor(...names: string[]) {
  const server = await startNameServer(names)
  onTestFinished(() => server.close())
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${server.port}`])
  return { server, resolver }
}

test('a name has an address, and a TXT record if it was given one', async () => {
  const { server, resolver } = await serverFor('alice.far.dev')
  expect(await resolver.resolve4('alice.far.dev')).toStrictEqual([expect.stringMatching(/^[1-9]/)])
  await expect(resolver.resolve6('alice.far.dev')).rejects.toMatchObject({ code: 'ENODATA' })
  await expect(resolver.resolveTxt('_atproto.alice.far.dev')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  server.setText('_atproto.alice.far.dev', 'did=did:plc:abc')
  expect(await resolver.resolveTxt('_atproto.Alice.far.dev')).toStrictEqual([['did=did:plc:abc']])
  server.setText('_atproto.alice.far.dev', undefined)
  await expect(resolver.resolveTxt('_atproto.alice.far.dev')).rejects.toMatchObject({ code: 'ENOTFOUND' })
})

test('a response waits until its way is over', async () => {
  const { server, resolver } = await serverFor('alice.far.dev')
  const events: string[] = []
  server.setWay(async () => void events.push('under way'))
  await resolver.resolve4('alice.far.dev')
  events.push('response')
  expect(events).toStrictEqual(['under way', 'response'])
})
