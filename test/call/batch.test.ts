import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type BatchLine, type BatchLines, type BatchOptions, type BatchResult, batch } from '../../src/call/batch.ts'
import { OAuthError } from '../../src/errors.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { openSession } from '../../src/session/open.ts'
import { createFakeWorld, json } from '../support/fake-atproto.ts'
import { signedIn, stored } from '../support/login.ts'

const READ = 'com.example.read'
const readOf = (number: number) => JSON.stringify({ nsid: READ, params: { number } })
const numbersTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

/** One at a time. */
async function* linesOf(lines: Iterable<BatchLine>): AsyncGenerator<BatchLine[]> {
  for (const line of lines) yield [line]
}

type Call = (request: XrpcRequest) => Promise<Response>

/** A batch of a session whose server is `call`. */
function begin(lines: Iterable<BatchLine> | BatchLines, call: Call, options: Partial<BatchOptions> = {}) {
  const world = createFakeWorld()
  const record = () => ({ pds: world.pds, accessToken: 'the-access-token', dpopPrivateJwk: {} }) as never
  const session = { call, record, did: world.alice.did as never, currentHandle: async () => undefined }
  const source = Symbol.asyncIterator in lines ? lines : linesOf(lines)
  return { world, answers: batch(source, session, { concurrency: 4, ...options }, world) }
}

async function collect(answers: AsyncIterable<BatchResult>) {
  const collected: BatchResult[] = []
  const error = await (async () => {
    for await (const answer of answers) collected.push(answer)
  })().catch((thrown) => thrown)
  return { answers: collected, lines: collected.map(({ line }) => line), error }
}

const turn = () => new Promise(setImmediate)

/** A server that answers when it is told to. */
function held() {
  const waiting = new Map<number, (response: Response | Promise<Response>) => void>()
  const sent: number[] = []
  const call = ({ parameters }: XrpcRequest) =>
    new Promise<Response>((resolve) => {
      const number = Number(parameters![0]![1])
      sent.push(number)
      waiting.set(number, resolve)
    })
  const release = async (number: number, response: Response | Promise<Response> = json(200, { number })) => {
    while (!sent.includes(number)) await turn()
    waiting.get(number)!(response)
  }
  const sentAre = async (count: number) => {
    while (sent.length < count) await turn()
  }
  return { call, sent, release, sentAre }
}

const lost = () => Promise.reject(new OAuthError('NETWORK_LOST', 'the connection broke'))

describe('26.14 the state of the account', () => {
  const refused = (error: string, status = 401) => json(status, { error, message: 'no' })

  test('is found out once, and said with each line that it concerns', async () => {
    const { world, credentials } = await signedIn()
    const states: string[] = []
    const lines = [1, 2, 3].map((number) => JSON.stringify({ nsid: `com.example.read${number}` }))
    const other = JSON.stringify({ nsid: 'com.example.read', params: { repo: 'did:plc:zyxwvutsrqponmlkjihgfedc' } })
    const call = async ({ nsid }: XrpcRequest) =>
      nsid === 'com.example.read' ? refused('RepoDeactivated', 400) : refused('AccountDeactivated')
    const opened = await openSession(credentials, world)
    const { did } = opened
    const before = world.requests.length
    const answers = batch(
      linesOf([...lines, other]),
      { call, did, record: () => opened.record(), currentHandle: async () => undefined },
      { concurrency: 4, onAccountState: ({ message }) => states.push(message) },
      world,
    )
    const state = `${did} is deactivated at ${world.pds}, and has not moved`
    expect((await collect(answers)).answers.map(({ message }) => message)).toStrictEqual([
      ...lines.map(() => `no: ${state}`),
      'no',
    ])
    expect(states).toStrictEqual([state])
    expect(world.requests.length - before).toBe(1)
  })
})

describe('order and window', () => {
  test('results are in the order of the lines, whatever the order of the responses', async () => {
    const { call, release } = held()
    const { answers } = begin(numbersTo(12).map(readOf), call)
    const collected = collect(answers)
    for (const number of [4, 2, 1, 3, 8, 7, 6, 5, 10, 12, 9, 11]) await release(number)
    const expected = numbersTo(12).map((number) => ({ line: number, status: 200, output: { number } }))
    expect(await collected).toMatchObject({ answers: expected, error: undefined })
  })

  test('no more are on their way than wanted, and behind a slow line no more than the window', async () => {
    const { call, sent, release, sentAre } = held()
    let taken = 0
    const source = (function* () {
      for (const number of numbersTo(100)) {
        taken += 1
        yield readOf(number)
      }
    })()
    const { answers } = begin(source, call, { concurrency: 2 })
    const collected = collect(answers)
    await sentAre(2)
    for (const number of [2, 3, 4, 5, 6, 7, 8]) await release(number)
    // The first is not answered: of those that are, and wait behind it, there are seven, and nothing more is read.
    await turn()
    expect({ sent, taken }).toStrictEqual({ sent: numbersTo(8), taken: 8 })
    await release(1)
    for (const number of numbersTo(100).slice(8)) await release(number)
    expect((await collected).lines).toStrictEqual(numbersTo(100))
  })

  test('behind a slow line, no more is held than fits into memory', async () => {
    const { call, sent, release, sentAre } = held()
    const { answers } = begin(numbersTo(100).map(readOf), call, { concurrency: 32 })
    const collected = collect(answers)
    await sentAre(32)
    const large = () => new Response(new Uint8Array(8 * 1024 * 1024))
    for (const number of numbersTo(10).slice(1)) await release(number, large())
    for (const number of numbersTo(32).slice(10)) await release(number)
    for (let turns = 0; turns < 50; turns += 1) await turn()
    expect(sent.length).toBeLessThan(32 + 10) // with small ones, as many as were released
    await release(1)
    for (const number of numbersTo(100).slice(32)) await release(number)
    expect((await collected).lines).toStrictEqual(numbersTo(100))
  })

  test('a result is returned before the next line is read', async () => {
    let write: (line: string | undefined) => void = () => undefined
    const source = async function* () {
      for (;;) {
        const line = await new Promise<string | undefined>((resolve) => {
          write = resolve
        })
        if (line === undefined) return
        yield [line]
      }
    }
    const { answers } = begin(source(), async () => json(200, {}))
    for (const line of [1, 2, 3]) {
      const next = answers.next()
      write(readOf(line))
      expect((await next).value).toMatchObject({ line })
    }
    const end = answers.next()
    write(undefined)
    expect(await end).toMatchObject({ done: true })
  })

  test('nothing is read before the results are consumed', async () => {
    const source = vi.fn(async function* () {
      yield [readOf(1)]
    })
    const { answers } = begin({ [Symbol.asyncIterator]: source }, async () => json(200, {}))
    await turn()
    expect(source).not.toHaveBeenCalled()
    expect(await collect(answers)).toMatchObject({ lines: [1] })
  })
})

describe('lines', () => {
  test('become requests: parameters, input, headers, placeholders; an id comes back', async () => {
    const requests: XrpcRequest[] = []
    const lines = [
      { id: 'a', nsid: 'app.bsky.feed.getPosts', params: { uris: ['at://{did}/x/1', 'at://{did}/x/2'] } },
      {
        id: null,
        nsid: 'com.atproto.repo.createRecord',
        params: { repo: '{did}' },
        input: { collection: 'a.b.c', record: { text: 'is {did}' } },
      },
      { id: { n: 1 }, nsid: 'com.example.do', method: 'POST', headers: { 'X-One': '1' } },
      { nsid: 'chat.bsky.convo.listConvos', params: { limit: 5 } },
    ]
    const call = async (request: XrpcRequest) => {
      requests.push(request)
      return json(200, { ok: true })
    }
    const { world, answers } = begin(
      lines.map((line) => JSON.stringify(line)),
      call,
    )
    const { did } = world.alice
    expect((await collect(answers)).answers).toStrictEqual([
      { line: 1, id: 'a', status: 200, output: { ok: true } },
      { line: 2, id: null, status: 200, output: { ok: true } },
      { line: 3, id: { n: 1 }, status: 200, output: { ok: true } },
      { line: 4, status: 200, output: { ok: true } },
    ])
    expect(requests).toMatchObject([
      {
        method: 'GET',
        parameters: [
          ['uris', `at://${did}/x/1`],
          ['uris', `at://${did}/x/2`],
        ],
      },
      { method: 'POST', body: JSON.stringify({ collection: 'a.b.c', record: { text: 'is {did}' }, repo: did }) },
      { method: 'POST', headers: { 'x-one': '1' } },
      { parameters: [['limit', '5']], headers: { 'atproto-proxy': 'did:web:api.bsky.chat#bsky_chat' } },
    ])
  })

  test.each([
    ['no JSON', '{"nsid": ', 'invalid JSON'],
    ['no object', '[]', 'not a JSON object'],
    ['no nsid', '{}', '"nsid"'],
    ['a member that there is not', '{"nsid":"a.b.c","param":{}}', 'unknown member "param"; a request has nsid, params'],
    ['a method that there is not', '{"nsid":"a.b.c","method":"PUT"}', '"method"'],
    ['parameters that are a list', '{"nsid":"a.b.c","params":[]}', '"params"'],
    ['headers that are text', '{"nsid":"a.b.c","headers":"x: y"}', '"headers"'],
    ['a header that is a number', '{"nsid":"a.b.c","headers":{"x":1}}', 'header "x" must be a string'],
    ['text for a number', '{"nsid":"app.bsky.feed.getTimeline","params":{"limit":"5"}}', 'limit must be an integer'],
    ['a list for one text', '{"nsid":"app.bsky.actor.getProfile","params":{"actor":["a"]}}', 'actor must be a string'],
    ['a missing parameter', '{"nsid":"app.bsky.actor.getProfile"}', 'requires actor'],
    ['an unknown parameter', '{"nsid":"app.bsky.actor.getProfile","params":{"acter":"a"}}', 'has no field "acter"'],
    [
      'a handle that is not known',
      '{"nsid":"app.bsky.actor.getProfile","params":{"actor":"{handle}"}}',
      'write it instead of {handle}',
    ],
    ['no text', new OAuthError('USAGE', 'the line is not UTF-8'), 'not UTF-8'],
  ])('%s is said and never sent, and the others go on', async (_, line, message) => {
    const call = vi.fn(async () => json(200, {}))
    const { answers } = begin([readOf(1), line, readOf(3)], call)
    const collected = await collect(answers)
    expect(collected.lines).toStrictEqual([1, 2, 3])
    expect(collected.answers[1]).toStrictEqual({ line: 2, error: 'USAGE', message: expect.stringContaining(message) })
    expect(call).toHaveBeenCalledTimes(2)
  })

  test('an id is given back with what is wrong', async () => {
    const { answers } = begin(['{"id": 7, "nsid": 5}'], vi.fn())
    expect((await collect(answers)).answers).toMatchObject([{ line: 1, id: 7, error: 'USAGE' }])
  })

  test('blank ones count but have no result, finished ones are not sent again', async () => {
    const call = vi.fn(async ({ parameters }: XrpcRequest) => json(200, parameters![0]![1]))
    const lines = [readOf(1), '', readOf(3), ' \r', readOf(5), readOf(6)]
    const { answers } = begin(lines, call, { isFinished: (line) => line === 3 || line === 5 })
    expect((await collect(answers)).answers.map(({ line, output }) => [line, output])).toStrictEqual([
      [1, '1'],
      [6, '6'],
    ])
    expect(call).toHaveBeenCalledTimes(2)
  })
})

describe('results', () => {
  const answerTo = async (response: Response | Promise<Response>, line = readOf(1)) =>
    (await collect(begin([line], async () => response).answers)).answers[0]

  test('errors of the server have its name and its message, and the batch goes on', async () => {
    const call = async ({ parameters }: XrpcRequest) =>
      parameters![0]![1] === '2' ? json(400, { error: 'InvalidRequest', message: 'Bad' }) : json(200, {})
    const { answers, error } = await collect(begin(numbersTo(3).map(readOf), call).answers)
    expect(answers[1]).toStrictEqual({ line: 2, status: 400, error: 'InvalidRequest', message: 'Bad' })
    expect([answers.length, error]).toStrictEqual([3, undefined])
  })

  test('without a name it is ours, and a token that the server repeats is omitted', async () => {
    const page = new Response('<h1>', { status: 500 })
    expect(await answerTo(page)).toMatchObject({ status: 500, error: 'XRPC_ERROR', message: `${READ} returned 500` })
    const answer = await answerTo(json(403, { error: 'Forbidden', message: 'not the-access-token' }))
    expect(answer).toMatchObject({ message: 'not …' })
  })

  test('bytes as base64, nothing as null, JSON that is none as bytes', async () => {
    const bytes = new Uint8Array(20_000).map((_, index) => index)
    const binary = await answerTo(new Response(bytes, { headers: { 'content-type': 'application/vnd.ipld.car' } }))
    const base64 = Buffer.from(bytes).toString('base64')
    expect(binary).toStrictEqual({ line: 1, status: 200, output: { mediaType: 'application/vnd.ipld.car', base64 } })
    expect(await answerTo(new Response(null))).toMatchObject({ status: 200, output: null })
    const broken = new Response('{', { headers: { 'content-type': 'application/json' } })
    expect(await answerTo(broken)).toMatchObject({ output: { mediaType: 'application/json', base64: 'ew==' } })
  })

  test('one that is too large for a line is said to be', async () => {
    const answer = await answerTo(new Response(new Uint8Array(8 * 2 ** 20 + 1)))
    expect(answer).toMatchObject({ status: 200, error: 'RESPONSE_INVALID', message: expect.stringContaining('8 MiB') })
    expect(answer).not.toHaveProperty('output')
  })

  test('a write whose response was lost may have taken effect, a read cannot; neither is repeated', async () => {
    const call = vi.fn(lost)
    const write = JSON.stringify({ nsid: 'com.example.do', method: 'POST' })
    const { answers, error } = await collect(begin([write, readOf(2)], call).answers)
    expect(answers).toStrictEqual([
      { line: 1, error: 'NETWORK_LOST', message: 'the connection broke; the request may have taken effect' },
      { line: 2, error: 'NETWORK_LOST', message: 'the connection broke' },
    ])
    expect([error, call.mock.calls.length]).toStrictEqual([undefined, 2])
  })
})

describe('18.8 a rate limit', () => {
  test('is sat out once for all, and nothing is lost', async () => {
    const { call, sent, release, sentAre } = held()
    const { world, answers } = begin(numbersTo(8).map(readOf), call)
    const sleepers: (() => void)[] = []
    world.sleep = () => new Promise((resolve) => sleepers.push(resolve))
    const collected = collect(answers)
    await sentAre(4)
    await release(1, json(429, {}, { 'retry-after': '60' }))
    while (sleepers.length === 0) await turn()
    await release(2)
    await release(3, json(429, {}, { 'retry-after': '60' }))
    await release(4)
    // Both that are to be sent again, and the two whose turn it is now.
    while (sleepers.length < 4) await turn()
    expect(sent).toStrictEqual([1, 2, 3, 4])
    expect(world.warnings).toHaveLength(1)
    world.advance(61_000)
    for (const wakeUp of sleepers) wakeUp()
    await sentAre(8)
    expect(sent.slice(4).sort()).toStrictEqual([1, 3, 5, 6])
    for (const number of [1, 3, 5, 6, 7, 8]) await release(number)
    expect(await collected).toMatchObject({ lines: numbersTo(8), error: undefined })
  })

  test('thirty-two requests that wait for its end put one listener on the signal', async () => {
    const warned = vi.fn()
    process.on('warning', warned)
    onTestFinished(() => void process.off('warning', warned))
    const controller = new AbortController()
    const { world, answers } = begin(numbersTo(32).map(readOf), async () => json(429, {}, { 'retry-after': '60' }), {
      concurrency: 32,
      signal: controller.signal,
    })
    let asleep = 0
    world.sleep = () => {
      asleep += 1
      return new Promise(() => undefined)
    }
    const collected = collect(answers)
    while (asleep < 32) await turn()
    controller.abort()
    expect(await collected).toMatchObject({ lines: [], error: undefined })
    expect(warned).not.toHaveBeenCalled()
  })

  test('does not hold back the end', async () => {
    const controller = new AbortController()
    const { world, answers } = begin([readOf(1)], async () => json(429, {}, { 'retry-after': '60' }), {
      signal: controller.signal,
    })
    world.sleep = () => {
      controller.abort()
      return new Promise(() => undefined)
    }
    expect(await collect(answers)).toMatchObject({ lines: [], error: undefined })
  })

  test('met after the end is not waited for', async () => {
    const { call, sentAre, release } = held()
    const controller = new AbortController()
    const { world, answers } = begin([readOf(1)], call, { signal: controller.signal })
    world.sleep = () => new Promise(() => undefined)
    const collected = collect(answers)
    await sentAre(1)
    controller.abort()
    await release(1, json(429, {}, { 'retry-after': '60' }))
    expect(await collected).toMatchObject({ lines: [], error: undefined })
  })
})

describe('the end', () => {
  test.each([
    'NETWORK_UNREACHABLE',
    'HOST_NOT_FOUND',
    'SESSION_DEAD',
    'REFRESH_AMBIGUOUS',
    'SAVE_FAILED',
    'SERVER_UNAVAILABLE',
  ] as const)('%s ends it, after the results of sent requests', async (code) => {
    const { call, sent, release, sentAre } = held()
    const collected = collect(begin(numbersTo(50).map(readOf), call).answers)
    await release(1)
    await sentAre(5)
    await release(3, Promise.reject(new OAuthError(code, 'it is over')))
    await release(5)
    await release(2)
    await release(4)
    const { lines, error } = await collected
    expect(lines).toStrictEqual([1, 2, 4, 5])
    expect(error).toMatchObject({ code, message: 'it is over' })
    expect(sent).toStrictEqual([1, 2, 3, 4, 5])
  })

  test('a signal stops it: sent requests are finished, no more are sent, a pending read is abandoned', async () => {
    const { call, sent, release, sentAre } = held()
    const controller = new AbortController()
    const source = async function* () {
      for (const number of numbersTo(3)) yield [readOf(number)]
      await new Promise(() => undefined)
    }
    const collected = collect(begin(source(), call, { signal: controller.signal, concurrency: 2 }).answers)
    await sentAre(2)
    controller.abort()
    await release(2)
    await release(1)
    expect(await collected).toMatchObject({ lines: [1, 2], error: undefined })
    expect(sent).toStrictEqual([1, 2])
  })

  test('no line is read after it', async () => {
    const { call, release, sentAre } = held()
    const controller = new AbortController()
    let taken = 0
    const source = (function* () {
      for (const number of numbersTo(100)) {
        taken += 1
        yield readOf(number)
      }
    })()
    const collected = collect(begin(source, call, { signal: controller.signal, concurrency: 2 }).answers)
    for (const number of [2, 3, 4, 5, 6, 7, 8]) await release(number)
    await sentAre(8) // the first is not answered, and the window is full
    await turn()
    const before = taken
    controller.abort()
    await release(1)
    expect(await collected).toMatchObject({ lines: numbersTo(8), error: undefined })
    await turn()
    expect(taken).toBe(before)
  })

  test('before the start: no line is read', async () => {
    let taken = 0
    const source = (function* () {
      taken += 1
      yield readOf(1)
    })()
    const call = vi.fn(async () => json(200, {}))
    expect((await collect(begin(source, call, { signal: AbortSignal.abort() }).answers)).lines).toStrictEqual([])
    expect([taken, call.mock.calls]).toStrictEqual([0, []])
  })

  test('while finished lines are skipped: the rest is not read', async () => {
    const controller = new AbortController()
    let taken = 0
    const source = (async function* () {
      for (const number of numbersTo(1000)) {
        taken += 1
        if (number === 10) controller.abort()
        yield [readOf(number)]
      }
    })()
    const isFinished = () => true
    const { answers } = begin(source, async () => json(200, {}), { signal: controller.signal, isFinished })
    expect(await collect(answers)).toMatchObject({ lines: [], error: undefined })
    await turn()
    expect(taken).toBe(10)
  })

  test("lines that cannot be read after it are nobody's loss", async () => {
    const { call, release, sentAre } = held()
    const controller = new AbortController()
    let breakOff = (_: Error) => {}
    const source = async function* () {
      yield [readOf(1)]
      await new Promise((_, reject) => {
        breakOff = reject
      })
    }
    const collected = collect(begin(source(), call, { signal: controller.signal, concurrency: 2 }).answers)
    await sentAre(1)
    controller.abort()
    breakOff(new Error('the file is gone'))
    await turn()
    await release(1)
    expect(await collected).toMatchObject({ lines: [1], error: undefined })
  })

  test.each(['id', 'input', 'params'])('a line that is nested too deep (%s) is an error of its own', async (member) => {
    const deep = `{"nsid":"com.example.do","method":"POST","${member}":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const { answers, error } = await collect(begin([readOf(1), deep, readOf(3)], async () => json(200, {})).answers)
    expect(error).toBeUndefined()
    expect(answers).toMatchObject([{ status: 200 }, { error: 'USAGE' }, { status: 200 }])
  })

  test.each([
    ['9007199254740993', false],
    ['[{"a":-123456789012345678901234567890}]', false],
    ['9007199254740991', true],
    ['{"a":"12345678901234567890"}', true],
    ['{"a":0.1234567890123456789}', true],
    ['1e300', true],
  ])('a whole number that cannot be kept exactly is refused: %s', async (number, isSent) => {
    const line = `{"nsid":"com.example.do","method":"POST","input":{"value":${number}}}`
    const { answers } = await collect(begin([line], async () => json(200, {})).answers)
    const refused = { error: 'USAGE', message: expect.stringContaining('beyond 2^53') }
    expect(answers).toMatchObject([isSent ? { status: 200 } : refused])
  })

  test('"input" that is null is refused, whatever the method', async () => {
    const call = vi.fn(async () => json(200, {}))
    const lines = ['', ',"method":"POST"', ',"method":"GET"'].map((more) => `{"nsid":"a.b.c"${more},"input":null}`)
    const { answers } = await collect(begin(lines, call).answers)
    expect(answers).toMatchObject([1, 2, 3].map((line) => ({ line, error: 'USAGE' })))
    expect(call).not.toHaveBeenCalled()
  })

  test('lines that cannot be read end it', async () => {
    const source = async function* () {
      yield [readOf(1)]
      throw new OAuthError('USAGE', 'the file is gone')
    }
    const { lines, error } = await collect(begin(source(), async () => json(200, {})).answers)
    expect(lines).toStrictEqual([1])
    expect(error).toMatchObject({ message: 'the file is gone' })
  })
})

describe('with a real session', () => {
  /** A signal that comes while a refresh is underway. */
  const abortedByRefresh = (world: ReturnType<typeof createFakeWorld>) => {
    const controller = new AbortController()
    const fetch = async (...request: Parameters<typeof world.fetch>) => {
      const response = await world.fetch(...request)
      if (request[0].pathname === '/oauth/token') controller.abort()
      return response
    }
    return { signal: controller.signal, fetch }
  }
  const post = (text: string) =>
    JSON.stringify({
      nsid: 'com.atproto.repo.createRecord',
      input: { repo: '{did}', collection: 'app.bsky.feed.post', record: { text } },
    })

  test('11.5 an expired token is refreshed once, and every record is created once', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    const texts = numbersTo(30).map((number) => `post ${number}`)
    const answers = await collect(batch(linesOf(texts.map(post)), session, { concurrency: 8 }, world))
    expect(answers.error).toBeUndefined()
    expect(answers.answers.filter(({ status }) => status === 200)).toHaveLength(30)
    expect(world.records.map(({ value }) => (value as { text: string }).text).sort()).toStrictEqual(texts.sort())
    expect(stored(world).spentTokens).toHaveLength(1)
  })

  test('a signal during a refresh: the refresh is finished and saved, and no record is created', async () => {
    const { world, separate } = await signedIn()
    const { signal, fetch } = abortedByRefresh(world)
    const session = await openSession(separate, { ...world, fetch })
    const lines = linesOf(numbersTo(30).map(String).map(post))
    const collected = await collect(batch(lines, session, { concurrency: 8, signal }, world))
    expect(collected).toMatchObject({ lines: [], error: undefined })
    await session.settled()
    expect(signal.aborted).toBe(true)
    expect(world.sent('com.atproto.repo.createRecord')).toStrictEqual([])
    expect(stored(world).spentTokens).toHaveLength(1)
    expect(stored(world).accessToken).toBe(session.record().accessToken)
  })

  test('a signal while a token is rejected as expired: what was refused is not sent again', async () => {
    const { world, credentials } = await signedIn()
    const { signal, fetch } = abortedByRefresh(world)
    world.faults.rsError = 'tokenInvalid'
    const session = await openSession(credentials, { ...world, fetch })
    const lines = linesOf(numbersTo(30).map(String).map(post))
    const collected = await collect(batch(lines, session, { concurrency: 4, signal }, world))
    expect(collected).toMatchObject({ lines: [], error: undefined })
    expect(signal.aborted).toBe(true)
    expect(world.sent('com.atproto.repo.createRecord')).toHaveLength(2 * 4) // the first time without a nonce
  })

  test('a token that is rejected after a refresh ends the batch instead of failing line after line', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    world.faults.rsError = 'tokenInvalid'
    const { lines, error } = await collect(
      batch(linesOf(numbersTo(50).map(String).map(post)), session, { concurrency: 2 }, world),
    )
    expect({ lines, error }).toMatchObject({ lines: [], error: { code: 'XRPC_ERROR', session: 'unknown' } })
    expect(world.records).toHaveLength(0)
    expect(world.sent('com.atproto.repo.createRecord').length).toBeLessThan(12)
  })
})
