/** The suite of an engine, on git as it is used. */
import { join } from 'node:path'
import { parseVaultAddress } from '../../src/node/vault/address.ts'
import { createGitEngine } from '../../src/node/vault/git.ts'
import { tempFolder } from '../node/helpers.ts'
import { type GitFault, GitRepository, startGitServer, WRITER } from '../support/git-server.ts'
import { describeEngine, type EngineWorld } from '../support/vault-engine.ts'

function faultsOf(repository: GitRepository) {
  return {
    async backup() {
      const tip = repository.tip()
      return async () => repository.setTip(tip)
    },
    wipe: async () => repository.setTip(undefined),
  }
}

async function overPath(): Promise<EngineWorld> {
  const folder = await tempFolder()
  const repository = new GitRepository(join(folder, 'vault.git'))
  const address = await parseVaultAddress(`git:${repository.folder}`)
  return {
    connect: async () => createGitEngine(address, { cache: await tempFolder() }),
    faults: {
      ...faultsOf(repository),
      loseRequest: () => repository.killNextPush('before it is made'),
      loseReply: () => repository.killNextPush('after it was made'),
    },
  }
}

async function overHttp(): Promise<EngineWorld> {
  const server = await startGitServer()
  const repository = server.repository()
  const address = await parseVaultAddress(`git:${server.url()}`)
  const next = (fault: GitFault) => () => {
    server.onRequest = ({ isPush }) => {
      if (!isPush) return undefined
      server.onRequest = undefined
      return fault
    }
  }
  return {
    connect: async () => createGitEngine(address, { cache: await tempFolder(), token: WRITER.password }),
    faults: { ...faultsOf(repository), loseRequest: next('cut-before'), loseReply: next('cut-after') },
    close: () => server.close(),
  }
}

describeEngine('on git over a path', overPath)
describeEngine('on git over HTTP', overHttp)
