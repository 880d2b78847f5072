/**
 * Lets each connection rest after a response before the next request gets it: a server may close it without announcing
 * it, and what is sent on it just then is lost.
 */
import type { Agent } from 'node:http'
import type { Socket } from 'node:net'

/** Milliseconds; long enough to notice that the server has closed it. */
const REST = 2

/** One connection that rests. */
interface Rest {
  readonly timer: NodeJS.Timeout
  /** Tells the request that waits for it. */
  onEnd?: () => void
}

export interface Place {
  readonly host: string
  readonly port: number
}

/** What Node tells of a free connection. */
type Free = (this: Agent, socket: Socket, place: Place) => void

export class RestingConnections {
  readonly #rests = new Map<string, Rest[]>()

  /** From now on, the agent gets a free connection when it has rested. */
  constructor(agent: Agent) {
    const listeners = agent.listeners('free') as Free[]
    agent.removeAllListeners('free').on('free', (socket: Socket, place: Place) => {
      socket.unref() // as the agent does with a free one
      this.#begin(keyOf(place), () => {
        for (const listener of listeners) listener.call(agent, socket, place)
      })
    })
  }

  /** Resolves as soon as a connection has rested that no other request waits for; `undefined` if there is none. */
  next(place: Place): Promise<void> | undefined {
    const rest = this.#rests.get(keyOf(place))?.find(({ onEnd }) => onEnd === undefined)
    if (!rest) return undefined
    rest.timer.ref()
    return new Promise((resolve) => {
      rest.onEnd = resolve
    })
  }

  #begin(key: string, release: () => void): void {
    const rests = this.#rests.get(key) ?? []
    const end = () => {
      rests.splice(rests.indexOf(rest), 1)
      if (rests.length === 0) this.#rests.delete(key)
      release()
      rest.onEnd?.()
    }
    const rest: Rest = { timer: setTimeout(setImmediate, REST, end).unref() }
    rests.push(rest)
    this.#rests.set(key, rests)
  }
}

/** Long enough for a connection that was opened early and has stood for a while. */
export function settling(): Promise<void> {
  return new Promise((resolve) => void setTimeout(setImmediate, REST, resolve))
}

/**
 * If the process was blocked, only now is it noticed that a connection was closed meanwhile. After a timer, one
 * `setImmediate` is enough: sockets are read between the two.
 */
export function onceSocketsAreRead(proceed: () => void): void {
  setImmediate(() => setImmediate(proceed)) // the first may come before sockets are read once more
}

function keyOf({ host, port }: Place): string {
  return `${host} ${port}`
}
