/**
 * A real Secret Service: GNOME Keyring on a message bus of its own, with nobody who could answer a prompt.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { lacks } from './machine.ts'

const PASSWORD = 'the password of the keyring'
/** No service is started by a message. */
const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`
const LOGIN = '/org/freedesktop/secrets/collection/login'

/** Taken from the PATH of all tests, whose user has none. */
const SECRET_TOOL = '/usr/bin/secret-tool'

export interface SecretService {
  /** What a program needs to reach it. */
  readonly env: Readonly<Record<string, string>>
  lock(): Promise<void>
  unlock(): Promise<void>
  /** Ends it; the bus stays. */
  stop(): Promise<void>
  /** Starts it again, unlocked, with the same entries. */
  start(): Promise<void>
  close(): Promise<void>
}

export function lacksSecretService(): boolean {
  if (lacks('gnome-keyring-daemon', 'dbus-run-session', 'dbus-send')) return true
  if (existsSync(SECRET_TOOL)) return false
  return lacks('secret-tool')
}

export async function openSecretService(): Promise<SecretService> {
  const folder = await mkdtemp(join(tmpdir(), 'secret-service-'))
  const [bin, runtime] = [join(folder, 'bin'), join(folder, 'runtime')]
  for (const path of [bin, runtime]) await mkdir(path, { mode: 0o700 })
  await symlink(SECRET_TOOL, join(bin, 'secret-tool'))
  await writeFile(join(folder, 'bus.conf'), BUS)
  const bus = spawn(
    'dbus-run-session',
    [`--config-file=${join(folder, 'bus.conf')}`, '--', 'sh', '-c', 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat'],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  )
  const ended = new Promise((resolve) => bus.once('close', resolve))
  const address = (await said(bus, '\n')).trim()
  const env = {
    DBUS_SESSION_BUS_ADDRESS: address,
    PATH: `${bin}${delimiter}${process.env['PATH']}`,
  }
  const own = { ...env, HOME: folder, XDG_DATA_HOME: join(folder, 'data'), XDG_RUNTIME_DIR: runtime }
  let daemon: ChildProcess | undefined

  const send = (path: string, method: string, ...args: string[]) =>
    promisify(execFile)(
      'dbus-send',
      ['--session', '--print-reply', '--dest=org.freedesktop.secrets', path, method, ...args],
      { env: own },
    )
  const start = async () => {
    const child = spawn('gnome-keyring-daemon', ['--foreground', '--unlock', '--components=secrets'], {
      env: own,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    daemon = child
    child.stdin.end(PASSWORD)
    while (!(await send(LOGIN, 'org.freedesktop.DBus.Peer.Ping').catch(() => undefined))) {
      if (child.exitCode !== null) throw new Error('gnome-keyring-daemon ended')
    }
  }
  const stop = async () => {
    const child = daemon
    daemon = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise((resolve) => child.on('close', resolve))
    child.kill('SIGKILL')
    await closed
  }
  await start()
  return {
    env,
    start,
    stop,
    async unlock() {
      // It has no other way without a desktop.
      await stop()
      await start()
    },
    async lock() {
      await send('/org/freedesktop/secrets', 'org.freedesktop.Secret.Service.Lock', `array:objpath:${LOGIN}`)
    },
    async close() {
      await stop()
      // Killed, it would leave the bus behind, which has our pipe open.
      bus.stdin.end()
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function said(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = ''
    child.on('error', reject)
    child.on('close', () => reject(new Error(`it ended without saying ${JSON.stringify(text)}: ${all}`)))
    child.stdout!.setEncoding('utf8').on('data', (chunk) => {
      all += chunk
      if (all.includes(text)) resolve(all)
    })
  })
}
