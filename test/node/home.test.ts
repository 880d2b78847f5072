import { describe, expect, test } from 'vitest'
import type { Machine } from '../../src/node/folders.ts'
import { expandTilde } from '../../src/node/home.ts'

const machine = (platform: NodeJS.Platform, home: string): Machine => ({
  platform,
  environment: {},
  homedir: () => home,
})
const homeless = (platform: NodeJS.Platform): Machine => ({
  ...machine(platform, ''),
  homedir() {
    throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' })
  },
})
const ANN = 'C:\\Users\\Ann B'

describe('~ in a path', () => {
  test.each([
    ['~/session.env', '/home/ann/session.env'],
    ['~', '/home/ann'],
    ['~/', '/home/ann/'],
    ['./~/session.env', './~/session.env'],
    ['/tmp/~/x', '/tmp/~/x'],
    ['~bob/x', '~bob/x'],
    ['~\\x', '~\\x'],
  ])('%s', (text, expanded) => {
    expect(expandTilde(text, machine('linux', '/home/ann'))).toBe(expanded)
  })

  test('on Windows with either separator', () => {
    for (const text of ['~/x.env', '~\\x.env']) expect(expandTilde(text, machine('win32', ANN))).toBe(`${ANN}\\x.env`)
  })

  test('cannot be expanded without a home', () => {
    for (const of of [homeless('linux'), machine('linux', ''), machine('linux', 'ann')]) {
      expect(() => expandTilde('~/x', of)).toThrow(expect.objectContaining({ code: 'USAGE', session: 'none' }))
      expect(expandTilde('/x', of)).toBe('/x')
    }
  })
})
