import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchResult } from '../../../src/call/batch.ts'
import { FinishedLines, openResults, ResultWriter } from '../../../src/cli/call/batch-output.ts'
import { rawLines, textLines } from '../../../src/cli/call/lines.ts'
import type { Output } from '../../../src/cli/output.ts'
import { OAuthError } from '../../../src/errors.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'answers-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
async function fileOf(content: string | Uint8Array): Promise<string> {
  files += 1
  const path = join(folder, `${files}.jsonl`)
  await writeFile(path, content)
  return path
}

const toFile = (path: string, resume: boolean) => openResults(path, resume, {} as Output)
const answer = (line: number) => ({ line, status: 200, output: { line } })
const textOf = (...lines: number[]) => lines.map((line) => `${JSON.stringify(answer(line))}\n`).join('')

/** Resumes with what is there, and answers the lines that are missing. */
async function resumed(content: string | Uint8Array, upTo: number) {
  const path = await fileOf(content)
  await using answers = await toFile(path, true)
  const after = await readFile(path, 'utf8')
  const asked: number[] = []
  for (let line = 1; line <= upTo; line += 1) {
    if (answers.known.has(line)) continue
    asked.push(line)
    await answers.write(answer(line))
  }
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  return { asked, after, lines: lines.map((line) => JSON.parse(line).line as number), known: answers.known }
}

describe('--resume', () => {
  test('continues after the last result', async () => {
    expect(await resumed(textOf(1, 2, 3), 5)).toMatchObject({ asked: [4, 5], lines: [1, 2, 3, 4, 5] })
    expect(await resumed('', 2)).toMatchObject({ asked: [1, 2], lines: [1, 2] })
  })

  test('a file that is not there yet is made', async () => {
    const path = join(folder, 'new.jsonl')
    await using answers = await toFile(path, true)
    await answers.write(answer(1))
    expect(await readFile(path, 'utf8')).toBe(textOf(1))
  })

  test('a last line that was cut off, anywhere, is removed and asked again', async () => {
    const [before, last] = [textOf(1, 2), textOf(3)]
    for (let length = 1; length < last.length - 1; length += 1) {
      const { asked, after, lines } = await resumed(before + last.slice(0, length), 4)
      expect({ asked, after, lines }).toStrictEqual({ asked: [3, 4], after: before, lines: [1, 2, 3, 4] })
    }
    // What a power cut leaves where it was not yet written.
    expect(await resumed(`${before}\0\0\0\0`, 3)).toMatchObject({ asked: [3], after: before })
  })

  test('a last line without its line feed is a result', async () => {
    const { asked, after, lines } = await resumed(textOf(1, 2).slice(0, -1), 3)
    expect({ asked, after, lines }).toStrictEqual({ asked: [3], after: textOf(1, 2), lines: [1, 2, 3] })
  })

  test('gaps that an earlier end has left are filled', async () => {
    expect((await resumed(textOf(2, 3, 7), 8)).asked).toStrictEqual([1, 4, 5, 6, 8])
    expect((await resumed(textOf(1, 4, 6, 2, 5), 7)).asked).toStrictEqual([3, 7])
  })

  test('counts what has failed', async () => {
    const failed = '{"line":2,"status":400,"error":"InvalidRequest"}\n'
    expect((await resumed(textOf(1) + failed, 2)).known).toMatchObject({ count: 2, failed: 1, highest: 2 })
  })

  test.each(['{"nsid":"a.b.c"}\n', '\n', 'null\n', '{"line":0}\n', '{"line":"1"}\n', 'text\n{"line":1}\n'])(
    'a file that has something else is left as it is: %j',
    async (content) => {
      const path = await fileOf(textOf(1) + content)
      await expect(toFile(path, true)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('line 2'),
      })
      expect(await readFile(path, 'utf8')).toBe(textOf(1) + content)
    },
  )

  test('without it a file with something in it is not touched', async () => {
    const path = await fileOf(textOf(1))
    const refused = { code: 'USAGE', hint: expect.stringContaining('--resume') }
    await expect(toFile(path, false)).rejects.toMatchObject(refused)
    expect(await readFile(path, 'utf8')).toBe(textOf(1))
    await (await toFile(await fileOf(''), false))[Symbol.asyncDispose]()
  })

  test('what cannot be gone on with is said', async () => {
    await expect(toFile('/dev/null', true)).rejects.toMatchObject({ code: 'USAGE' })
    await expect(toFile(join(folder, 'no', 'such'), false)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('no such file or directory'),
    })
    await using full = await toFile('/dev/full', false)
    await expect(full.write(answer(1))).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringContaining('no space left on device'),
    })
  })
})

test('after a result that could not be written, none is, and what was sent is recorded', async () => {
  const written: number[] = []
  const full = new OAuthError('OUTPUT_FAILED', 'disk full')
  const writer = new ResultWriter({
    write: async ({ line }) => {
      if (line === 2) throw full
      written.push(line)
    },
  })
  const results: BatchResult[] = [
    { line: 1, status: 200 },
    { line: 2, status: 200 },
    { line: 3, error: 'USAGE', message: 'no JSON' },
    { line: 5, error: 'NETWORK_LOST', message: 'lost' },
    { line: 6, status: 400, error: 'InvalidRequest' },
  ]
  const were: boolean[] = []
  for (const result of results) were.push(await writer.write(result))
  expect({ were, written, lost: writer.lost }).toStrictEqual({
    were: [true, false, false, false, false],
    written: [1],
    lost: [2, 5, 6],
  })
  expect(writer.failure?.error).toBe(full)
})

test('a million results are recorded, and the missing lines', () => {
  const answered = new FinishedLines()
  for (let line = 1; line <= 1_000_000; line += 1) answered.add({ line })
  expect([answered.has(1), answered.has(1_000_000), answered.has(1_000_001)]).toStrictEqual([true, true, false])
})

describe('lines', () => {
  async function* chunksOf(content: string, size: number): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(content)
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const texts = async (content: string, size: number, longest = 100) => {
    const lines: string[] = []
    for await (const some of textLines(chunksOf(content, size), longest)) {
      for (const line of some) lines.push(typeof line === 'string' ? line : `${line.code}: ${line.message}`)
    }
    return lines
  }

  test.each([1, 2, 3, 5, 1000])('in pieces of %d bytes', async (size) => {
    const lines = ['one', '', 'zwölf 🦋', 'x'.repeat(100), 'last']
    expect(await texts(lines.join('\n'), size)).toStrictEqual(lines)
    expect(await texts(`${lines.join('\n')}\n`, size)).toStrictEqual(lines)
    expect(await texts('', size)).toStrictEqual([])
  })

  test.each([1, 7, 1000])('one that is too long is omitted, the next is complete (pieces of %d)', async (size) => {
    const lines = await texts(`a\n${'x'.repeat(101)}\nb\n${'x'.repeat(500)}`, size)
    expect(lines).toStrictEqual(['a', expect.stringMatching(/^USAGE: .*longer/), 'b', expect.stringMatching(/^USAGE/)])
  })

  test('bytes that are no text are said', async () => {
    const chunks = (async function* () {
      yield Buffer.from([0x61, 0xff, 0x0a, 0x62])
    })()
    const lines: unknown[] = []
    for await (const some of textLines(chunks, 100)) lines.push(...some)
    expect(lines).toMatchObject([{ code: 'USAGE', message: 'the line is not UTF-8' }, 'b'])
  })

  test('their lengths add up to the file', async () => {
    for (const content of ['', 'a', 'a\n', '\n\n', `a\n${'x'.repeat(300)}\nö`]) {
      let sum = 0
      for await (const { length } of rawLines(chunksOf(content, 3), 100)) sum += length
      expect(sum).toBe(Buffer.byteLength(content))
    }
  })
})
