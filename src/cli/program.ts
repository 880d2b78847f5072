/**
 * The program: runs the command that its arguments name, and ends with its exit code.
 */
import { Invocation } from './invocation.ts'
import { type CliIO, processIO } from './io.ts'

export async function runProcess(io: CliIO = processIO()): Promise<void> {
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
    process.on(signal, () => process.exit(code))
  }
  // For an event loop that runs empty too early. Not set in advance: commander would use it as its own exit code.
  const unfinished = () => {
    process.exitCode ??= 1
  }
  process.once('exit', unfinished)
  const invocation = new Invocation(io)
  process.once('uncaughtException', (error) => endWith(invocation.finish(error) || 1))
  process.exitCode = await runProgram(io, invocation)
  process.off('exit', unfinished)
}

/** After an error that nobody waits for, which Node would print as a line of minified code. Tokens in hand are stored first. */
async function endWith(code: number): Promise<void> {
  process.on('uncaughtException', () => undefined) // the first one was reported
  process.on('exit', () => {
    process.exitCode = code // also if the command comes to its end meanwhile
  })
  const { afterHold } = await import('../node/signals.ts')
  afterHold(() => process.exit(code))
}

/** @returns the exit code (docs/commands.md#errors) */
export async function runProgram(io: CliIO, invocation = new Invocation(io)): Promise<number> {
  io.stdout.on('error', () => undefined) // whoever writes reports it
  try {
    if (isPlainCall(io.arguments)) await callPlainly(io.arguments, invocation)
    else await (await import('./parser.ts')).parseAndRun(io, invocation)
    return invocation.finish()
  } catch (error) {
    return invocation.finish(error)
  }
}

/** A call without options needs no parser. To load it would take longer than to read the session and to sign the request. */
function isPlainCall([command, ...words]: readonly string[]): boolean {
  return command === 'call' && words.every((word) => !word.startsWith('-'))
}

async function callPlainly([command, nsid, ...fields]: readonly string[], invocation: Invocation): Promise<void> {
  const { runCall } = await import('./call/call.ts')
  await invocation.run(command!, runCall, nsid, fields, {})
}
