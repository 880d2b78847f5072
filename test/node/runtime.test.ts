/** Where a runtime keeps what it stores: a home that is named, the system's, or none. */
import { readdir } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { failure } from '../support/failure.ts'
import { pendingRecord, sessionRecord, THUMBPRINT, tempFolder } from './helpers.ts'

vi.mock(import('node:os'), async (original) => {
  const os = await original()
  return { ...os, homedir: vi.fn(os.homedir), userInfo: vi.fn(os.userInfo) as never }
})

beforeEach(() => {
  vi.stubEnv('XDG_DATA_HOME', undefined)
  return () => vi.unstubAllEnvs()
})

describe('a user without a home', () => {
  beforeEach(() => {
    vi.mocked(homedir).mockReturnValue('')
    vi.mocked(userInfo).mockReturnValue({ homedir: '' } as never)
    return () => vi.resetAllMocks()
  })

  test('given credentials can be used: nothing is looked for, and no nonce is kept', async () => {
    const { sessions } = nodeRuntime().stores
    expect(await sessions.read(THUMBPRINT)).toBeUndefined()
    expect(await sessions.readNonces(THUMBPRINT)).toStrictEqual({})
    await sessions.writeNonces(THUMBPRINT, { 'https://pds.example.com': 'n' })
  })

  test('what needs a store fails before anything is sent', async () => {
    const { sessions, pending } = nodeRuntime().stores
    const transaction = vi.fn()
    const attempts = [
      () => sessions.update(THUMBPRINT, transaction),
      () => pending.put(pendingRecord()),
      () => pending.get('state'),
    ]
    for (const attempt of attempts) {
      expect(await failure(attempt())).toMatchObject({
        code: 'USAGE',
        facts: { reason: 'home-needed' },
        session: 'alive',
      })
    }
    expect(transaction).not.toHaveBeenCalled()
    // Without a session there is none that could still be valid.
    expect(await failure(sessions.list())).toMatchObject({ facts: { reason: 'home-needed' }, session: 'none' })
  })

  test('a state file needs none', async () => {
    const path = join(await tempFolder(), 'login.json')
    const { pending } = nodeRuntime({ stateFile: path }).stores
    await pending.put(pendingRecord())
    expect((await pending.get('canary-state'))?.status).toBe('pending')
  })
})

test('~/ is expanded in a home, a state file and a save target', async () => {
  const folder = await tempFolder()
  vi.mocked(homedir).mockReturnValue(folder)
  const { stores, saving } = nodeRuntime({ home: '~/store', stateFile: '~/login.json', save: ['file:~/session.env'] })
  await stores.pending.put(pendingRecord())
  await stores.sessions.update(THUMBPRINT, ({ commit }) => commit(sessionRecord()))
  await saving.targets[0]!.save([['NAME', 'value']])
  expect(await readdir(folder)).toEqual(expect.arrayContaining(['login.json', 'session.env', 'store']))
  expect(saving.targets[0]!.name).toBe(`file:${join(folder, 'session.env')}`)
})
