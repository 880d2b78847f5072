import { expect, test } from 'vitest'
import { openTarget } from '../../../src/node/save/targets.ts'
import { failure } from '../../support/failure.ts'

test('a name that a program gave its own target starts no program', async () => {
  const target = openTarget('database', { environment: {} })
  expect(target).toMatchObject({ name: 'database', durable: false })
  expect(await failure(target.save([['NAME', 'canary']]))).toMatchObject({
    code: 'SAVE_FAILED',
    message: 'the save target "database" belongs to another program',
  })
})
