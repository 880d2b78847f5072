// Preloaded into a CLI that works on a vault: finds the steps that another machine, a server or a later run could
// notice, writes them down in STEPS_LOG, and ends the process with SIGKILL at one of them: STEPS_KILL is "2 before push".
// STEPS_STOP stops it there with SIGSTOP instead; when it goes on, its clock has advanced by STEPS_STOPPED milliseconds.
//
// kill-at.mjs has every write of a file; these are those of a vault, with what comes between them: before and after each
// push and each change in Redis, each request that has a token in it, and each file of what this machine owes to the vault
// or to the store, or with the vaults that it keeps.
import childProcess from 'node:child_process'
import fs from 'node:fs'
import promises from 'node:fs/promises'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

const { STEPS_LOG, STEPS_KILL, STEPS_STOP, STEPS_STOPPED } = process.env
const log = fs.openSync(STEPS_LOG, 'a')
const [, nth, last] = /^(\d+) (.+)$/.exec(STEPS_KILL ?? STEPS_STOP ?? '') ?? []
let seen = 0

const { now } = Date
let stopped = 0
Date.now = () => now() + stopped

function stop() {
  process.kill(process.pid, 'SIGSTOP')
  // Another thread may receive the signal: this one does nothing until it is stopped too.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  stopped = Number(STEPS_STOPPED ?? 0)
}

function step(what) {
  fs.writeSync(log, `${what}\n`)
  if (what === last) seen += 1
  if (what !== last || seen !== Number(nth)) return
  if (STEPS_KILL) process.kill(process.pid, 'SIGKILL')
  else stop()
}

const spawn = childProcess.spawn
childProcess.spawn = (program, args, ...rest) => {
  const isPush = Array.isArray(args) && args.includes('push') && !args.includes('--dry-run')
  if (isPush) step('before push')
  const child = spawn(program, args, ...rest)
  if (isPush) child.prependOnceListener('exit', (code) => step(`after push ${code}`))
  return child
}

const KEPT = /\/(?:(ahead|sessions|pending)\/[^/]+|(vault\.json))$/
const named = (path) => {
  const [, folder, file] = KEPT.exec(String(path)) ?? []
  return folder ?? file
}
for (const [name, target] of [
  ['rename', 1],
  ['link', 1],
  ['unlink', 0],
  ['rm', 0],
]) {
  const original = promises[name]
  promises[name] = async (...args) => {
    const what = named(args[target])
    if (what === undefined) return original(...args)
    step(`before ${name} ${what}`)
    const result = await original(...args)
    step(`after ${name} ${what}`)
    return result
  }
}
syncBuiltinESMExports()

const { end } = http.ClientRequest.prototype
http.ClientRequest.prototype.end = function (...args) {
  if (this.method === 'POST') {
    step(`before ${this.path}`)
    this.prependOnceListener('response', ({ statusCode }) => step(`after ${this.path} ${statusCode}`))
  }
  return end.apply(this, args)
}

const { write } = net.Socket.prototype
net.Socket.prototype.write = function (data, ...args) {
  // The changes are scripts.
  const isChange = /^\*\d+\r\n\$\d+\r\neval/i.test(String(data).slice(0, 40))
  if (isChange) {
    step('before change')
    this.prependOnceListener('data', () => step('after change'))
  }
  return write.call(this, data, ...args)
}
