/** Machines that change one record while connections break at random: no outcome may be wrong. */
import { expect, onTestFinished, test } from 'vitest'
import { parseVaultAddress } from '../../src/node/vault/address.ts'
import { createGitEngine } from '../../src/node/vault/git.ts'
import { tempFolder } from '../node/helpers.ts'
import { type GitFault, type GitRepository, startGitServer, WRITER } from '../support/git-server.ts'

const A = 'a'.repeat(40)
const MACHINES = 3
const CHANGES = Number(process.env['PROPERTY_RUNS'] ?? 5)
const FAULTS: readonly (GitFault | undefined)[] = ['cut-before', 'cut-after', 'close-after', 'kill', 502]

/** Every text that the record ever had, the oldest first. */
function history(repository: GitRepository): string[] {
  const commits = repository.git(['rev-list', '--reverse', '--first-parent', repository.tip()!]).split('\n')
  return commits.map((commit) => repository.git(['cat-file', 'blob', `${commit}:records/${A}`]))
}

test('what has won was the record once, what has lost never was, and nothing was twice', async () => {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  const repository = server.repository()
  const address = await parseVaultAddress(`git:${server.url()}`)
  server.onRequest = ({ isPush }) => {
    const at = Math.floor(Math.random() * FAULTS.length * 2) // half of them arrive
    return isPush ? FAULTS[at] : undefined
  }
  const outcomes: Record<string, string[]> = { won: [], lost: [], unknown: [] }
  const lostAtOnce: string[] = []
  const work = async (me: number) => {
    const engine = createGitEngine(address, { cache: await tempFolder(), token: WRITER.password })
    for (let change = 0; change < CHANGES; change += 1) {
      const text = `${change} by ${me}`
      const before = await engine.read(A)
      let outcome = await engine.swap(A, before, text)
      if (outcome === 'lost') lostAtOnce.push(text)
      // As a caller does who has to know.
      for (let again = 0; outcome === 'unknown' && again < 3; again += 1) outcome = await engine.swap(A, before, text)
      outcomes[outcome]!.push(text)
    }
  }
  await Promise.all(Array.from({ length: MACHINES }, (_, me) => work(me)))
  const texts = history(repository)
  expect(new Set(texts).size).toBe(texts.length)
  expect(outcomes['won']!.filter((text) => !texts.includes(text))).toStrictEqual([])
  // After an unknown outcome, `lost` tells what is there now, and not what was there before.
  expect(lostAtOnce.filter((text) => texts.includes(text))).toStrictEqual([])
  expect(outcomes['won']!.length).toBeGreaterThan(0)
})
