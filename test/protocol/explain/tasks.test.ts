import { describe, expect, test } from 'vitest'
import { explainScope, isFaulty } from '../../../src/protocol/explain/explain.ts'
import { isCovered, parsePermission } from '../../../src/protocol/scope/permission.ts'
import { presetScope } from '../../../src/protocol/scope/presets.ts'
import { parseScope, scopeTokens } from '../../../src/protocol/scope/scope.ts'
import { missingScope, requiredScope } from '../../../src/protocol/xrpc/required-scope.ts'
import { requestOf, SCOPE_TASKS, type TaskRequest } from '../../support/scope-tasks.ts'

const needs = (request: TaskRequest) => requiredScope(requestOf(request, 'did:plc:x', 'did:web:pds.example.com'))

test('there are twenty of them, each from another thread', () => {
  expect(SCOPE_TASKS).toHaveLength(20)
  expect(new Set(SCOPE_TASKS.map(({ source }) => source)).size).toBe(20)
})

describe.each(SCOPE_TASKS)('15.16 $task', ({ presets, more, scope, inResponse = [], does, refused }) => {
  test('its scope is what --for and --scope lead to, and has nothing to correct', () => {
    expect(presets ? presetScope(presets, more) : parseScope(scope)).toBe(scope)
    const explanation = explainScope(scope)
    expect(isFaulty(explanation)).toBe(false)
    expect(explanation.scope).toBe(scope)
    for (const { allows, excludes, coveredBy, faults } of explanation.permissions) {
      expect({ allows, excludes, coveredBy, faults }).toStrictEqual({
        allows: expect.stringMatching(/^[A-Z].*\.$/),
        excludes: expect.stringMatching(/^(?:It|Each) .*\.$/),
        coveredBy: [],
        faults: [],
      })
    }
  })

  test('the scope does it', () => {
    for (const request of does) {
      expect(needs(request), request.nsid).not.toBe('unknown')
      expect(missingScope(needs(request), scope), request.nsid).toStrictEqual([])
    }
  })

  test.each(refused)('and not $nsid', (request) => {
    expect(needs(request)).toBeInstanceOf(Array)
    expect(missingScope(needs(request), scope)).not.toStrictEqual([])
  })

  test('nothing in the scope is left over', () => {
    const used = does.flatMap((request) => {
      const tokens = needs(request)
      return typeof tokens === 'string' ? [] : tokens.map((token) => token.replace(/(?<=[?&]aud=)[^&]*/, '*'))
    })
    for (const token of scopeTokens(scope).filter((one) => one !== 'atproto' && !inResponse.includes(one))) {
      const permission = parsePermission(token)!
      if (permission.resource === 'blob') {
        const types = permission.values.get('accept')!
        const isUsed = (type: string) => used.some((other) => isBlobOf(other, type))
        expect(types.filter((type) => !isUsed(type))).toStrictEqual([])
      } else expect(isCovered(permission, used), token).toBe(true)
    }
  })
})

function isBlobOf(token: string, type: string): boolean {
  const permission = parsePermission(token)
  return permission?.resource === 'blob' && isCovered(permission, [`blob:${type}`])
}
