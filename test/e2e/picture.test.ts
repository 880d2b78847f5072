import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { picture } from '../../scripts/docs/terminal.ts'
import { demonstrate, type Scene } from '../world/demonstrate.ts'
import { ownWorld } from '../world/own.ts'
import { uniqueHandle } from '../world/world.ts'
import { newHome } from './support.ts'

test('docs/demo.svg is what the demo says today (else: npm run picture)', async () => {
  const scenes: Scene[] = []
  const handle = uniqueHandle()
  await demonstrate({ addresses: ownWorld(), home: await newHome(), handle }, (scene) => scenes.push(scene))
  const drawn = picture(scenes, handle)
  expect(drawn).toBe(await readFile('docs/demo.svg', 'utf8'))
  expect(drawn).not.toMatch(/<script|href|@import|url\(/)
})
