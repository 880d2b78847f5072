import { describe, expect, test } from 'vitest'
import {
  findMethod,
  listMethods,
  methodWarning,
  nearestMethod,
  refusalReason,
  unavailableReason,
} from '../../../src/protocol/xrpc/lexicons.ts'

test('a query, a procedure with a JSON body, one with bytes, one without a body', () => {
  expect(findMethod('com.atproto.repo.listRecords')).toStrictEqual({
    nsid: 'com.atproto.repo.listRecords',
    kind: 'query',
    parameters: [
      { name: 'repo', type: 'text', isList: false, isRequired: true },
      { name: 'collection', type: 'text', isList: false, isRequired: true },
      { name: 'limit', type: 'integer', isList: false, isRequired: false },
      { name: 'cursor', type: 'text', isList: false, isRequired: false },
      { name: 'reverse', type: 'boolean', isList: false, isRequired: false },
    ],
    input: undefined,
    output: 'application/json',
  })
  expect(findMethod('com.atproto.repo.createRecord')?.input).toMatchObject({
    mediaType: 'application/json',
    fields: expect.arrayContaining([{ name: 'record', type: 'json', isList: false, isRequired: true }]),
  })
  expect(findMethod('com.atproto.repo.uploadBlob')?.input).toStrictEqual({ mediaType: '*/*', fields: [] })
  expect(findMethod('com.atproto.server.requestEmailConfirmation')).toMatchObject({
    kind: 'procedure',
    input: undefined,
  })
  expect(findMethod('com.atproto.sync.getRepo')?.output).toBe('application/vnd.ipld.car')
})

test.each(['', 'com', 'com.atproto', 'com.atproto.repo', 'com.atproto.repo.list', 'com.example.nothing.here'])(
  '%j is no method',
  (name) => expect(findMethod(name)).toBeUndefined(),
)

test('a prefix is a part of a name as it is typed', () => {
  expect(listMethods('com.atproto.repo.g').map(({ nsid }) => nsid)).toStrictEqual(['com.atproto.repo.getRecord'])
  expect(listMethods('com.nobody')).toStrictEqual([])
})

test('26.1 what a server is likely to reject is named, with the version that did; only its refusal is certain', () => {
  const closed = 'com.atproto.server.createAppPassword'
  expect(unavailableReason(closed)).toMatch(
    /^the server is likely to reject it for OAuth sessions, as PDS \d+\.\d+\.\d+ does;/,
  )
  expect(refusalReason(closed)).toMatch(/^this server rejects it for OAuth sessions;/)
  expect(refusalReason('com.atproto.admin.getAccountInfo')).toContain('administrator')
  expect(refusalReason('com.atproto.server.getSession')).toBeUndefined()
  expect(unavailableReason('com.atproto.admin.getAccountInfo')).toContain('administrator')
  for (const nsid of ['com.atproto.server.getSession', 'com.atproto.server.deactivateAccount']) {
    expect(unavailableReason(nsid)).toBeUndefined()
  }
  expect(methodWarning('com.atproto.server.createAppPassword')).toContain('OAuth')
  expect(methodWarning('com.atproto.server.deactivateAccount')).toContain('ends all sessions')
  expect(methodWarning('com.atproto.server.getSession')).toBeUndefined()
})

test('the list is of the methods with a text anywhere in their names, in any case', () => {
  expect(listMethods('createrec').map(({ nsid }) => nsid)).toStrictEqual(['com.atproto.repo.createRecord'])
})

describe('the nearest method', () => {
  test.each([
    ['inserted', 'com.atproto.repo.creeateRecord'],
    ['deleted', 'com.atproto.repo.createRcord'],
    ['deleted at the end', 'com.atproto.repo.createRecor'],
    ['deleted at the beginning', 'om.atproto.repo.createRecord'],
    ['replaced', 'com.atproto.repo.createRecoed'],
    ['replaced at the end', 'com.atproto.repo.createRecorf'],
    ['exchanged', 'com.atproto.repo.createRecrod'],
    ['exchanged at the end', 'com.atproto.repo.createRecodr'],
    ['in another case', 'com.atproto.repo.createrecord'],
    ['in another case, and exchanged', 'com.atproto.repo.createrecrod'],
    ['a dot for another character', 'com.atproto,repo.createRecord'],
  ])('%s: %s', (_, typed) => expect(nearestMethod(typed)?.nsid).toBe('com.atproto.repo.createRecord'))

  test.each([
    'com.atproto.repo.creaetRecrod',
    'com.atproto.repo.creatRecor',
    'com.atproto.repo.ceraetRecord',
    'com.atproto.repo.eratceRecord',
    'com.example.createRecord',
    'createRecord',
    '',
  ])('two slips or more are no slip: %s', (typed) => expect(nearestMethod(typed)).toBeUndefined())

  test('a published method is the nearest to itself', () => {
    for (const { nsid } of listMethods()) expect(nearestMethod(nsid)?.nsid).toBe(nsid)
  })
})
