/**
 * A program that reads one request a line from stdin, and writes one result a line to stdout.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { CliProcess } from '../world/cli.ts'

export interface LineClient {
  /** Resolves once each line has a result. @returns how many have the status 200 */
  send(lines: readonly string[]): Promise<number>
  /** Milliseconds of processor time that it has used; `undefined` where it cannot be read. */
  cpu(): Promise<number | undefined>
  close(): Promise<void>
}

export function lineClient(child: CliProcess): LineClient {
  const results = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  return {
    async send(lines) {
      child.stdin!.write(lines.map((line) => `${line}\n`).join(''))
      let good = 0
      for (const _ of lines) {
        const { done, value } = await results.next()
        if (done) throw new Error(`the client has ended: ${said}`)
        const { status } = JSON.parse(value) as { status?: number }
        if (status === 200) good += 1
      }
      return good
    },
    cpu: () => cpuOf(child.pid!),
    async close() {
      const ended = once(child, 'exit')
      child.stdin!.end()
      await ended
    },
  }
}

/** A hundredth of a second is the unit of Linux. */
export async function cpuOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  const fields = stat.split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
