/** What a terminal sends when a long URL is pasted, key by key. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { CliIO } from '../../../src/cli/io.ts'
import { readPaste } from '../../../src/cli/login/paste.ts'
import { OAuthError } from '../../../src/errors.ts'

const URL_ = `http://127.0.0.1/callback?state=s&code=${'c'.repeat(6000)}`

/** Sends each chunk once the screen shows what precedes it. */
async function paste(...steps: readonly (readonly [shown: string, keys: string])[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined })
  let screen = ''
  const waiting = [...steps]
  const stderr = {
    write(text: string) {
      screen += text
      const at = waiting[0] ? screen.lastIndexOf(waiting[0][0]) : -1
      if (at < 0) return
      const [, keys] = waiting.shift()!
      queueMicrotask(() => stdin.write(keys))
    },
  }
  const checked: string[] = []
  const asked = {
    prompt: () => 'URL: ',
    interrupted: 'interrupted',
    check: async (text: string) => {
      checked.push(text)
      const whole = text.replace(/\s/g, '')
      if (whole === URL_) return undefined
      const code = URL_.startsWith(whole) && whole.length > 10 ? 'CALLBACK_INCOMPLETE' : 'CALLBACK_UNREADABLE'
      return new OAuthError(code, `wrong ${checked.length}`)
    },
  }
  const text = await readPaste({ stdin, stderr } as unknown as CliIO, asked)
  return { text: text.replace(/\s/g, ''), screen, checked, left: stdin.listenerCount('data') }
}

test('longer than a line of a terminal; the screen grows by what is typed', async () => {
  const { text, screen, left } = await paste(['URL: ', `${URL_}\r`])
  expect(text).toBe(URL_)
  expect(screen.length).toBeLessThan(URL_.length + 100)
  expect(left).toBe(0)
})

test('a bracketed paste with line breaks is one paste, submitted by Enter', async () => {
  const wrapped = URL_.replace(/.{80}/g, '$&\r')
  const { text, checked } = await paste(['URL: ', `\u001b[200~${wrapped}\u001b[201~\r`])
  expect(text).toBe(URL_)
  expect(checked).toHaveLength(1)
})

test('lines without marks are one paste', async () => {
  const { text, checked } = await paste(['URL: ', `${URL_.replace(/.{80}/g, '$&\r')}\r`])
  expect(text).toBe(URL_)
  expect(checked).toHaveLength(1)
})

test('lines that come one at a time are put together', async () => {
  const { text, screen } = await paste(['URL: ', `${URL_.slice(0, 100)}\r`], ['wrong 1;', `${URL_.slice(100)}\r`])
  expect(text).toBe(URL_)
  expect(screen).toContain('wrong 1; paste the whole callback URL, or press Ctrl-C\n')
})

test('a wrong paste is asked for again, and so is a part that is followed by the whole', async () => {
  const again = await paste(['URL: ', 'words\r'], ['wrong 1;', 'more\r'], ['wrong 2;', `${URL_}\r`])
  expect(again.text).toBe(URL_)
  const part = await paste(['URL: ', `${URL_.slice(0, 100)}\r`], ['wrong 1;', `${URL_}\r`])
  expect(part.text).toBe(URL_)
})

test('backspace, Ctrl-U, arrow keys and empty lines', async () => {
  const keys = `\r\u001b[A\u001bOBno\u0015${URL_.slice(0, -1)}xy\u007f\bc\r`
  expect((await paste(['URL: ', keys])).text).toBe(URL_)
})

test('marks that are split between two reads', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const read = readPaste({ stdin, stderr: { write: () => true } } as unknown as CliIO, {
    prompt: () => '',
    interrupted: '',
    check: async () => undefined,
  })
  for (const part of ['\u001b', '[20', '0~a\rb\u001b[', '201~', '\r']) stdin.write(part)
  expect((await read).trim()).toBe('a\nb')
})

test.each([
  ['Ctrl-C', '\u0003'],
  ['Ctrl-C after a part', 'http\u0003'],
  ['Ctrl-D', '\u0004'],
])('%s interrupts', async (_, keys) => {
  await expect(paste(['URL: ', keys])).rejects.toMatchObject({ code: 'INTERRUPTED', session: 'none' })
})

test('a failure of the check itself ends the prompt', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const read = readPaste({ stdin, stderr: { write: () => true } } as unknown as CliIO, {
    prompt: () => '',
    interrupted: '',
    check: () => Promise.reject(new OAuthError('STORE_UNAVAILABLE', 'no')),
  })
  stdin.write('x\r')
  await expect(read).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(stdin.listenerCount('data')).toBe(0)
})
