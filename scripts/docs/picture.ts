/** `npm run picture`: draws docs/demo.svg from a run of the demo. test/e2e/picture.test.ts fails when it is outdated. */
import { writeFile } from 'node:fs/promises'
import { createHome } from '../../test/world/cli.ts'
import { demonstrate, type Scene } from '../../test/world/demonstrate.ts'
import { startWorld } from '../../test/world/start.ts'
import { picture } from './terminal.ts'

const HANDLE = 'alice.test'
const scenes: Scene[] = []
const started = await startWorld()
const home = await createHome()
try {
  await demonstrate({ addresses: started.addresses, home, handle: HANDLE }, (scene) => scenes.push(scene))
} finally {
  await home.remove()
  await started.stop()
}
await writeFile(new URL('../../docs/demo.svg', import.meta.url), picture(scenes, HANDLE))
