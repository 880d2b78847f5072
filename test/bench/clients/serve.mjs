// What distance.ts asks of another client: a line of JSON on stdin for each action, and one on stdout with its time.
import { createInterface } from 'node:readline'

export const SCOPE = 'atproto transition:generic'
export const REDIRECT_URI = 'http://127.0.0.1/'

export async function serve(actions) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { action, argument } = JSON.parse(line)
    const began = performance.now()
    const result = await actions[action](argument)
    const milliseconds = performance.now() - began
    process.stdout.write(`${JSON.stringify({ milliseconds, result })}\n`)
  }
}

export async function bodyOf(response) {
  const body = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`)
  return body
}
