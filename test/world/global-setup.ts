/** One world for the whole suite: vitest runs this once, before and after every test file. */
import type { TestProject } from 'vitest/node'
import type { WorldAddresses } from './main.ts'
import { startWorld } from './start.ts'

declare module 'vitest' {
  interface ProvidedContext {
    world: WorldAddresses
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { addresses, stop } = await startWorld()
  project.provide('world', addresses)
  return stop
}
