/** A call without options does without the parser, and nobody notices. */
import { expect, test, vi } from 'vitest'
import { runCall } from '../../src/cli/call/call.ts'
import { loadCommands } from '../../src/cli/commands.ts'
import type { Runner } from '../../src/cli/invocation.ts'
import type { CliIO } from '../../src/cli/io.ts'
import { createProgram } from '../../src/cli/parser.ts'
import { run } from '../support/cli.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'

vi.mock(import('../../src/cli/call/call.ts'), async (load) => ({ ...(await load()), runCall: vi.fn() }))

/** What the parser gives to the action of the command. */
async function parsed(words: readonly string[]): Promise<unknown[]> {
  let given: unknown[] = []
  const note =
    () =>
    async (...all: unknown[]) => {
      given = all.slice(0, -1) // without the command
    }
  const runner = { action: note, settings: note, print: note } as unknown as Runner
  const io = { stdout: { columns: 80 } } as unknown as CliIO
  await createProgram(io, await loadCommands(['call', ...words], runner)).parseAsync(['call', ...words], {
    from: 'user',
  })
  return given
}

test.each([
  [[]],
  [['app.bsky.actor.getProfile']],
  [['app.bsky.actor.getProfile', 'actor={did}']],
  [['a.b.c', 'x=-1', 'y:={"z": "-"}', '', 'help', 'call']],
  [['help']],
  [['']],
])('%j', async (words) => {
  vi.mocked(runCall).mockClear()
  expect(await run({} as FakeWorld, ['call', ...words])).toMatchObject({ code: 0 })
  const context = expect.objectContaining({ common: {} })
  expect(vi.mocked(runCall).mock.calls).toStrictEqual([[...(await parsed(words)), context]])
})

test.each([[['--list']], [['-q', 'a.b.c']], [['a.b.c', '--', 'x=1']], [['a.b.c', '-']]])(
  '%j is for the parser',
  async (words) => {
    vi.mocked(runCall).mockClear()
    await run({} as FakeWorld, ['call', ...words])
    expect(runCall).not.toHaveBeenCalled()
  },
)
