/** A vault is a session store like the per-user one: over git as it is used, with the memory of a machine. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { parseVaultAddress } from '../../../src/node/vault/address.ts'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey } from '../../../src/node/vault/envelope.ts'
import { createGitEngine } from '../../../src/node/vault/git.ts'
import { openVault } from '../../../src/node/vault/open.ts'
import { GitRepository } from '../../support/git-server.ts'
import { describeSessionStore } from '../../support/session-store.ts'
import { tempFolder } from '../helpers.ts'

const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }

describeSessionStore('the per-user store', async () => {
  const home = await tempFolder()
  return async (hold = (work) => work()) => createSessionStore(home, { holdSignals: hold })
})

describeSessionStore('a vault in a git repository', async () => {
  const home = await tempFolder()
  const repository = new GitRepository(join(home, 'vault.git'))
  const address = await parseVaultAddress(`git:${repository.folder}`)
  const engine = createGitEngine(address, { cache: join(home, 'cache') })
  const key = createUserKey(random)
  const { text } = await createVault(engine.address, parseUserKey(key), random)
  await engine.swap(VAULT_RECORD, undefined, text)
  return async (hold = (work) => work()) =>
    openVault({
      ...random,
      engine: createGitEngine(address, { cache: join(home, 'cache') }),
      key,
      folder: join(home, 'memory'),
      environment: {},
      holdSignals: hold,
      nonces: createSessionStore(home, { holdSignals: hold }),
      endTokens: async () => {},
    })
})
