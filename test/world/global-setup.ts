/** The package, and a world for each worker: vitest runs this once, before and after every test file. */
import type { TestProject } from 'vitest/node'
import setUpPackage from '../package/packed.ts'
import type { WorldAddresses } from './main.ts'
import { startWorld } from './start.ts'

declare module 'vitest' {
  interface ProvidedContext {
    worlds: WorldAddresses[]
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [removePackage, ...worlds] = await Promise.all([
    setUpPackage(),
    ...Array.from({ length: Number(project.config.maxWorkers) }, startWorld),
  ])
  project.provide(
    'worlds',
    worlds.map(({ addresses }) => addresses),
  )
  return async () => {
    await Promise.all([removePackage(), ...worlds.map(({ stop }) => stop())])
  }
}
