/** A world for each worker: vitest runs this once, before and after every test file. */
import type { TestProject } from 'vitest/node'
import type { WorldAddresses } from './main.ts'
import { startWorld } from './start.ts'

declare module 'vitest' {
  interface ProvidedContext {
    worlds: WorldAddresses[]
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const worlds = await Promise.all(Array.from({ length: Number(project.config.maxWorkers) }, startWorld))
  project.provide(
    'worlds',
    worlds.map(({ addresses }) => addresses),
  )
  return async () => {
    await Promise.all(worlds.map(({ stop }) => stop()))
  }
}
