/**
 * A vault in memory, for tests that need many of them, or faults at exact moments. Nothing in it waits for a timer: a
 * test delays a request by the promise that it returns from a hook.
 */
import { OAuthError } from '../../src/errors.ts'
import type { SwapOutcome, VaultEngine } from '../../src/node/vault/engine.ts'
import { checkRequest } from '../../src/node/vault/request.ts'

export interface MemoryRequest {
  readonly operation: 'read' | 'list' | 'swap' | 'describe' | 'destroy'
  /** Of `read` and `swap`. */
  readonly name?: string
  /** Of `swap`. */
  readonly before?: string | undefined
  readonly after?: string | undefined
}

export type MemoryFault =
  /** The request never left: an error, nothing was changed. */
  | 'unreachable'
  /** The service rejects it: an error, nothing was changed. */
  | 'refused'
  /** The request was lost: a swap is `unknown`, and nothing was changed. */
  | 'lost-before'
  /** The reply was lost: a swap is `unknown`, and was made. */
  | 'lost-after'
  /** The request is still on its way: a swap is `unknown`, and is tried when `MemoryService.deliver` is called. */
  | 'late'

export interface MemoryHooks {
  /** Called before the request has its effect, with the fault it shall have, if any. */
  readonly before?: (request: MemoryRequest) => MemoryFault | undefined | Promise<MemoryFault | undefined>
  /** Called after the effect and before the reply, which is not given if there was a fault. */
  readonly after?: (request: MemoryRequest, outcome: SwapOutcome | undefined) => void | Promise<void>
}

type Records = ReadonlyMap<string, string>

/** The service; `connect` gives each machine an engine on it. */
export class MemoryService {
  readonly address: string
  /** Every state there was, the newest last. */
  readonly states: Records[] = [new Map()]
  readonly #late: (() => void)[] = []

  constructor(address = 'memory:vault') {
    this.address = address
  }

  get records(): Records {
    return this.states.at(-1)!
  }

  /** The number of the newest state. */
  get version(): number {
    return this.states.length - 1
  }

  /** Changes a record as somebody with write access can, without a comparison. */
  set(name: string, text: string | undefined): void {
    const records = new Map(this.records)
    if (text === undefined) records.delete(name)
    else records.set(name, text)
    this.states.push(records)
  }

  /** Goes back to an earlier state, as a restored backup: the changes since then are lost. */
  restore(version: number): void {
    this.states.push(this.states[version]!)
  }

  /** Loses the newest change, which may have been acknowledged. */
  loseLastWrite(): void {
    this.restore(Math.max(0, this.version - 1))
  }

  /** Deletes everything. */
  clear(): void {
    this.states.push(new Map())
  }

  /** Lets the swaps with the fault `late` arrive, in their order. */
  deliver(): void {
    for (const arrive of this.#late.splice(0)) arrive()
  }

  connect(hooks: MemoryHooks = {}): VaultEngine {
    return new MemoryEngine(this, hooks)
  }

  /** @internal */
  swap(name: string, before: string | undefined, after: string | undefined): SwapOutcome {
    const now = this.records.get(name)
    if (now === after) return 'won'
    if (now !== before) return 'lost'
    this.set(name, after)
    return 'won'
  }

  /** @internal */
  postpone(change: () => void): void {
    this.#late.push(change)
  }
}

class MemoryEngine implements VaultEngine {
  readonly address: string
  readonly #service: MemoryService
  readonly #hooks: MemoryHooks

  constructor(service: MemoryService, hooks: MemoryHooks) {
    this.address = service.address
    this.#service = service
    this.#hooks = hooks
  }

  async read(name: string): Promise<string | undefined> {
    checkRequest(name)
    return this.#ask({ operation: 'read', name }, () => this.#service.records.get(name))
  }

  async list(): Promise<Records> {
    return this.#ask({ operation: 'list' }, () => new Map(this.#service.records))
  }

  async swap(name: string, before: string | undefined, after: string | undefined): Promise<SwapOutcome> {
    checkRequest(name, after)
    const request: MemoryRequest = { operation: 'swap', name, before, after }
    const fault = await this.#hooks.before?.(request)
    if (fault === 'unreachable' || fault === 'refused') throw failure(fault)
    if (fault === 'late') this.#service.postpone(() => this.#service.swap(name, before, after))
    if (fault === 'late' || fault === 'lost-before') return 'unknown'
    const outcome = this.#service.swap(name, before, after)
    if (fault === 'lost-after') return 'unknown'
    await this.#hooks.after?.(request, outcome)
    return outcome
  }

  async describe() {
    return this.#ask({ operation: 'describe' }, () => [
      { topic: 'records', verdict: 'ok', detail: String(this.#service.records.size) } as const,
    ])
  }

  async destroy(): Promise<void> {
    const fault = await this.#hooks.before?.({ operation: 'destroy' })
    if (fault === 'lost-after') this.#service.clear()
    if (fault === 'late') this.#service.postpone(() => this.#service.clear())
    if (fault) throw failure(fault)
    this.#service.clear()
    await this.#hooks.after?.({ operation: 'destroy' }, undefined)
  }

  /** For what changes nothing. */
  async #ask<T>(request: MemoryRequest, look: () => T): Promise<T> {
    const fault = await this.#hooks.before?.(request)
    if (fault) throw failure(fault)
    const found = look()
    await this.#hooks.after?.(request, undefined)
    return found
  }
}

function failure(fault: MemoryFault): OAuthError {
  if (fault !== 'refused') return new OAuthError('VAULT_UNREACHABLE', `the vault cannot be reached (${fault})`)
  return new OAuthError('VAULT_REFUSED', 'the vault rejected the request', { facts: { reason: 'vault-write-denied' } })
}
