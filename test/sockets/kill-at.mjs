// Preloaded into a CLI that a test kills: numbers the steps of the process, writes them down in CRASH_LOG, and
// ends the process with SIGKILL just before number CRASH_AT.
//
// A step is whatever another process or a server could notice. Being killed after a step is being killed before
// the next one, for nothing that could be noticed is between them; the last step is the exit. These are no steps:
// reading; `sync`, which only a power cut would tell from its absence; what goes into a file that is there under a
// temporary name only, which nobody reads; making a folder that is there, or in one that is not, which fails; GET
// requests, which change nothing anywhere; that an answer came, of which only this process knows until it writes
// something. That a request was sent is a matter of the server, which kills the CLI itself then (matrix.ts).
import childProcess from 'node:child_process'
import fs from 'node:fs'
import promises from 'node:fs/promises'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname, relative } from 'node:path'

const { CRASH_AT, CRASH_LOG } = process.env
const log = fs.openSync(CRASH_LOG, 'a')
let steps = 0

function step(what) {
  fs.writeSync(log, `${what}\n`)
  steps += 1
  if (steps === Number(CRASH_AT)) process.kill(process.pid, 'SIGKILL')
}

/** The name without what is different in every run. */
function named(path) {
  const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}'
  return relative(process.cwd(), String(path))
    .replace(RegExp(`[^/]*${uuid}((?:\\.claimed)?\\.tmp)$`), '*$1')
    .replace(RegExp(uuid), '*')
    .replace(/atproto-oauth-[0-9a-f]{16}-[\w-]{43}/g, 'RESCUED')
    .replace(/[0-9a-f]{64}|(?<![\w-])[\w-]{43}(?![\w-])/g, 'ID')
}

function before(object, name, label) {
  const original = object[name]
  object[name] = function (...args) {
    const what = label.apply(this, args)
    if (what !== undefined) step(`${name} ${what}`)
    return original.apply(this, args)
  }
}

before(promises, 'mkdir', (path) => (fs.existsSync(path) || !fs.existsSync(dirname(path)) ? undefined : named(path)))
for (const name of ['rm', 'unlink', 'writeFile', 'appendFile', 'truncate', 'chmod', 'utimes']) {
  before(promises, name, named)
}
for (const name of ['rename', 'link', 'symlink', 'copyFile']) {
  before(promises, name, (from, to) => `${named(from)} ${named(to)}`)
}

const { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC } = fs.constants
const changes = (flags) => (typeof flags === 'number' ? flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) : flags !== 'r')
const paths = new WeakMap()
const open = promises.open
promises.open = async (path, flags = 'r', ...rest) => {
  if (changes(flags)) step(`open ${named(path)}`)
  const handle = await open(path, flags, ...rest)
  if (changes(flags)) paths.set(handle, named(path))
  return handle
}
const handle = await open(CRASH_LOG)
const prototype = Object.getPrototypeOf(handle)
await handle.close()
for (const name of ['write', 'writev', 'writeFile', 'appendFile', 'truncate', 'chmod', 'utimes']) {
  before(prototype, name, function () {
    const path = paths.get(this)
    return path?.endsWith('.tmp') ? undefined : path
  })
}

before(childProcess, 'spawn', (program) => basename(program))
before(process.stdout, 'write', () => 'stdout')
syncBuiltinESMExports()

const { ClientRequest } = http
const { end } = ClientRequest.prototype
ClientRequest.prototype.end = function (...args) {
  if (this.method === 'POST') step(`send ${this.path}`)
  return end.apply(this, args)
}
process.on('exit', () => step('exit'))
