/**
 * A fake world at a distance, in which time is counted in round trips: two for a new connection with TLS, one for a request and
 * its response. What a process does itself takes no time, and whatever is begun together passes together. So a command takes
 * as long here as the longest chain of requests that wait for one another.
 */
import type { ConnectOptions, HttpInit } from '../../src/ports.ts'
import type { FakeWorld } from './fake-atproto.ts'

const CONNECT = 2
const REQUEST = 1
/** Milliseconds. */
const ROUND_TRIP = 100
/** Of the event loop, in which streams and promises settle. */
const TURNS = 50

export interface Distance {
  /** The world for a process of its own, which has no connections yet. */
  readonly ports: FakeWorld
  /** The origins to which connections were opened. */
  readonly connections: readonly string[]
  /** The URLs that were requested, also of requests that were given up. */
  readonly requests: readonly string[]
  /** @returns how many round trips the work took */
  run<T>(work: Promise<T>): Promise<{ readonly roundTrips: number; readonly result: T }>
}

interface Connection {
  readonly origin: string
  readonly isOwn: boolean
  readonly readyAt: number
  isFree: boolean
}

export function atDistance(world: FakeWorld): Distance {
  calculations ??= countCalculations()
  const isCalculating = () => calculations!() > 0
  const connections: string[] = []
  const requests: string[] = []
  const pool: Connection[] = []
  const events: { readonly at: number; readonly run: () => void }[] = []
  let time = 0

  const until = (at: number) => new Promise<void>((run) => events.push({ at, run }))
  const open = (origin: string, isOwn: boolean): Connection => {
    const connection = { origin, isOwn, readyAt: time + CONNECT, isFree: true }
    connections.push(origin)
    pool.push(connection)
    return connection
  }
  const fetch = async (url: URL, init: HttpInit = {}): Promise<Response> => {
    requests.push(url.href)
    const isOwn = init.ownConnection === true
    const connection =
      pool.find((each) => each.isFree && each.origin === url.origin && each.isOwn === isOwn) ?? open(url.origin, isOwn)
    connection.isFree = false
    await until(Math.max(time, connection.readyAt) + REQUEST)
    const response = await world.fetch(url, init)
    connection.isFree = !isOwn
    return response
  }
  const connect = ({ origin }: URL, { ownConnection = false }: ConnectOptions) => void open(origin, ownConnection)
  const sleep = (milliseconds: number) => until(time + milliseconds / ROUND_TRIP)

  const settle = async () => {
    for (let turn = 0, all = 0; turn < TURNS; turn += 1, all += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      if (isCalculating()) turn = 0
      if (all > 1e6) throw new Error('a calculation does not end')
    }
  }
  return {
    ports: { ...world, fetch, connect, sleep },
    connections,
    requests,
    async run(work) {
      let isDone = false
      const mark = () => {
        isDone = true
      }
      work.then(mark, mark)
      const start = time
      for (await settle(); !isDone; await settle()) {
        if (events.length === 0) throw new Error('the work waits for nothing that is on its way')
        const next = events.reduce((first, event) => (event.at < first.at ? event : first), events[0]!)
        events.splice(events.indexOf(next), 1)
        world.advance((next.at - time) * ROUND_TRIP)
        time = next.at
        next.run()
      }
      return { roundTrips: time - start, result: await work }
    },
  }
}

let calculations: (() => number) | undefined

/** Counts the calculations in progress, which happen in other threads. */
function countCalculations(): () => number {
  let count = 0
  for (const name of ['digest', 'sign', 'verify', 'generateKey', 'importKey', 'exportKey'] as const) {
    const calculate = crypto.subtle[name].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>
    const counted = async (...given: unknown[]) => {
      count += 1
      try {
        return await calculate(...given)
      } finally {
        count -= 1
      }
    }
    Object.assign(crypto.subtle, { [name]: counted })
  }
  return () => count
}
