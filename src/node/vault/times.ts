/**
 * The times of the vault, all in milliseconds. Whoever takes over from another machine must be sure that this one can no
 * longer send, and has had the time to store what it received:
 *
 *   claimSwap + lastSend + the token request + publish < takeover
 *
 * No time of one machine is ever compared with that of another.
 */
export const VAULT_TIMES = {
  /** A claim that took longer to be confirmed is given back. */
  claimSwap: 30_000,
  /** After a claim, the latest moment to send a token for the first time, and after the server has asked for a nonce. */
  firstSend: 5_000,
  lastSend: 20_000,
  /** For how long new tokens are offered to a vault that does not respond. Later runs continue. */
  publish: 60_000,
  /** The same on a machine that is gone after this run. */
  publishFromHere: 600_000,
  /** A claim that has stood for so long is taken over; of a machine that keeps what it received, later. */
  takeover: 180_000,
  takeoverDurable: 900_000,
  pollLeast: 1_000,
  pollMost: 10_000,
  /** A refresh begins at a random moment of this time before the access token expires: the others can use it meanwhile. */
  early: 300_000,
} as const

export type VaultTimes = { readonly [Name in keyof typeof VAULT_TIMES]: number }

/** The clocks of one machine. */
export interface VaultClock {
  /** Milliseconds since the epoch; it may be set. */
  now(): number
  /** Milliseconds in this process; it may stand still while the machine sleeps. */
  monotonic(): number
  /** Milliseconds since `boot`, for all processes of the machine. */
  uptime(): number
  /** Names the time since the machine was started. */
  readonly boot: string
  sleep(milliseconds: number): Promise<void>
}

export interface VaultMachine {
  /** Of this machine's memory, since the machine was started: claims of it are not those of another. */
  readonly holder: string
  /** For people. */
  readonly label: string
  /** The memory outlives this run. */
  readonly durable: boolean
}
