/**
 * Connections that are opened before a request needs them: over TLS one takes two round trips. Nothing is sent on them, and the
 * first request to the same server gets one as if it had just been opened. Whatever happens to one before is nobody's
 * error: the request opens its own.
 */
import type { Socket } from 'node:net'
import type { Connect, OnConnect } from './connect.ts'

/**
 * Milliseconds to wait for the first request. Short, because servers do not wait for long either, and what is sent to one that
 * has just given up is lost.
 */
const KEPT_FOR = 3_000

export class EarlyConnection {
  readonly #onEnd: () => void
  readonly #sockets = new Set<Socket>()
  #socket: Socket | undefined
  #openedAt = 0
  #onConnect: OnConnect | undefined
  #hasEnded = false
  /** Called when a request has taken it, or it was closed. */
  readonly #release: (() => void)[] = []

  /** @param onEnd called when a request has taken it, or it was closed */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  /** @param signal ends a connection that no request has taken */
  open(connect: Connect, signal: AbortSignal): void {
    const close = () => this.#close()
    signal.addEventListener('abort', close, { once: true })
    this.#release.push(() => signal.removeEventListener('abort', close))
    connect(
      (error, socket) => this.#connected(error, socket),
      (socket) => {
        this.#sockets.add(socket)
        if (this.#onConnect) return
        if (this.#hasEnded) socket.destroy()
        else socket.unref()
      },
    )
  }

  /** @returns whether the request gets this connection, now or as soon as it stands */
  take(onConnect: OnConnect): boolean {
    if (this.#socket && !this.#isUsable(this.#socket)) {
      this.#close()
      return false
    }
    this.#onConnect = onConnect
    this.#end()
    for (const socket of this.#sockets) socket.ref()
    if (this.#socket) onConnect(null, this.#socket)
    return true
  }

  #connected(error: Error | null, socket: Socket | undefined): void {
    if (this.#onConnect) this.#onConnect(error, socket)
    else if (socket && !this.#hasEnded) this.#keep(socket)
    else {
      socket?.destroy()
      this.#end()
    }
  }

  #keep(socket: Socket): void {
    this.#socket = socket
    this.#openedAt = Date.now()
    socket.unref() // again: of several addresses that were tried, each had its own handle
    const close = () => this.#close()
    const timer = setTimeout(close, KEPT_FOR).unref()
    socket.once('close', close)
    this.#release.push(() => {
      clearTimeout(timer)
      socket.off('close', close)
    })
  }

  /** Data before any request is an error message, such as that of a proxy that has waited for too long. */
  #isUsable(socket: Socket): boolean {
    // By a clock that goes on while the machine sleeps.
    const age = Math.abs(Date.now() - this.#openedAt)
    return age < KEPT_FOR && socket.readable && socket.writable && !socket.destroyed && socket.readableLength === 0
  }

  #close(): void {
    this.#end()
    for (const socket of this.#sockets) socket.destroy()
    this.#socket?.destroy()
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    for (const release of this.#release) release()
    this.#onEnd()
  }
}
