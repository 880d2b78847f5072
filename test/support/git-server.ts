/**
 * Git as a service: a bare repository, by its path or over smart HTTP with Basic authentication, where it can be made to
 * fail.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'

export interface Login {
  readonly user: string
  readonly password: string
}

export const WRITER = { user: 'x-access-token', password: 'writer-canary-0123456789abcdef' } as const
export const READER = { user: 'x-access-token', password: 'reader-canary-0123456789abcdef' } as const

const IDENTITY = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.com', '-c', 'init.defaultBranch=main']

/** Runs git as somebody with another program would; with `input`, on its stdin. */
export function git(folder: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync('git', [...IDENTITY, ...args], { cwd: folder, input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

export class GitRepository {
  readonly folder: string

  /** @param format of the object ids, by default SHA-1 */
  constructor(folder: string, format?: 'sha256') {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
    git(folder, ['init', '--quiet', '--bare', ...(format ? [`--object-format=${format}`] : [])])
  }

  git(args: readonly string[], input?: string): string {
    return git(this.folder, args, input)
  }

  /** The commit of a branch. */
  tip(branch = 'atproto-oauth'): string | undefined {
    return this.git(['for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]) || undefined
  }

  /** All refs with their commits. */
  refs(): string {
    return this.git(['for-each-ref', '--format=%(refname) %(objectname)'])
  }

  setTip(commit: string | undefined, branch = 'atproto-oauth'): void {
    const ref = `refs/heads/${branch}`
    this.git(commit === undefined ? ['update-ref', '-d', ref] : ['update-ref', ref, commit])
  }

  /**
   * Commits as another account does, onto the branch if it exists.
   *
   * @param change of the files in the root: a text, `undefined` to remove it, or a line of `git ls-tree` without its name
   */
  commit(change: Readonly<Record<string, string | undefined | { entry: string }>>, branch = 'atproto-oauth'): string {
    const parent = this.tip(branch)
    const lines =
      parent === undefined
        ? []
        : this.git(['ls-tree', parent])
            .split('\n')
            .filter((line) => line !== '')
    const files = new Map(lines.map((line) => [line.split('\t')[1]!, line.split('\t')[0]!]))
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined) files.delete(name)
      else if (typeof value === 'string')
        files.set(name, `100644 blob ${this.git(['hash-object', '-w', '--stdin'], value)}`)
      else files.set(name, value.entry)
    }
    const tree = this.git(['mktree', '--missing'], [...files].map(([name, entry]) => `${entry}\t${name}\n`).join(''))
    const commit = this.git(['commit-tree', tree, '-m', 'by somebody else', ...(parent ? ['-p', parent] : [])])
    this.setTip(commit, branch)
    return commit
  }

  /** Every push runs this shell script, which may reject it. */
  hook(name: 'pre-receive' | 'reference-transaction', script: string | undefined): void {
    const file = join(this.folder, 'hooks', name)
    rmSync(file, { force: true })
    if (script === undefined) return
    mkdirSync(join(this.folder, 'hooks'), { recursive: true })
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
  }

  /** The process that receives the next push is killed, once, or none. */
  killNextPush(when: 'before it is made' | 'after it was made' | undefined): void {
    const kill = 'rm "$0"; kill -9 $PPID'
    this.hook('pre-receive', when === 'before it is made' ? kill : undefined)
    const isMade = '[ "$1" = committed ] || exit 0'
    this.hook('reference-transaction', when === 'after it was made' ? `${isMade}; ${kill}` : undefined)
  }

  /** Rejects every push with these lines, as services do. */
  refusePushes(lines: readonly string[]): void {
    this.hook('pre-receive', `cat >&2 <<'END'\n${lines.join('\n')}\nEND\nexit 1`)
  }
}

export interface GitRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Whether this is the request that makes a change. */
  readonly isPush: boolean
  /** Each such header that was sent. */
  readonly authorization: readonly string[]
}

export type GitFault =
  /** The connection is cut before anything is done. */
  | 'cut-before'
  /** Everything is done, and the connection is cut before the response. */
  | 'cut-after'
  /** The same, before any byte of a response: curl repeats such a request by itself. */
  | 'close-after'
  /** The backend is killed when it has half of the request. */
  | 'kill'
  /** An HTTP status instead of a response. */
  | number

export interface GitServer extends AsyncDisposable {
  readonly origin: string
  /** The URL of a repository, which `repository` has made. */
  url(name?: string): string
  repository(name?: string, format?: 'sha256'): GitRepository
  readonly requests: GitRequest[]
  /** Called for each request that may be served; a promise delays it. */
  onRequest: ((request: GitRequest) => GitFault | undefined | Promise<GitFault | undefined>) | undefined
  close(): Promise<void>
}

/** Accepts {@link WRITER}, for reading {@link READER} too, the given writer, and nobody else. */
export async function startGitServer(writer: Login = WRITER): Promise<GitServer> {
  const root = mkdtempSync(join(tmpdir(), 'atproto-oauth-git-'))
  const requests: GitRequest[] = []
  const repositories = new Map<string, GitRepository>()
  const server = http.createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!
    const authorization = request.headersDistinct['authorization'] ?? []
    const seen: GitRequest = {
      method: request.method!,
      path,
      isPush: request.method === 'POST' && path.endsWith('/git-receive-pack'),
      authorization,
    }
    requests.push(seen)
    const body = await buffer(request)
    const isWrite = /git-receive-pack$/.test(path)
    const user = [WRITER, READER, writer].find(
      (each) => authorization.length === 1 && authorization[0]!.replace(/^basic /i, 'Basic ') === basic(each),
    )
    if (authorization.length > 1) return end(response, 400)
    if (!user) return end(response, 401, { 'www-authenticate': 'Basic realm="git"' })
    if (isWrite && user === READER) return end(response, 403)
    const fault = await result.onRequest?.(seen)
    if (typeof fault === 'number') return end(response, fault, { location: 'https://elsewhere.invalid/' })
    if (fault === 'cut-before') return cut(response)
    const output = await backend(request, body, fault === 'kill')
    if (fault === 'close-after') return void response.destroy()
    if (fault === 'cut-after' || output === undefined) return cut(response)
    const split = output.indexOf('\r\n\r\n')
    const lines = output
      .subarray(0, split)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': '))
    const status = Number(lines.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? 200)
    const headers = Object.fromEntries(lines.filter(([name]) => name !== 'Status')) as Record<string, string>
    response.writeHead(status, headers).end(output.subarray(split + 4))
  }

  async function backend(request: IncomingMessage, body: Buffer, isKilled: boolean): Promise<Buffer | undefined> {
    const url = new URL(request.url!, 'http://x')
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        REMOTE_USER: 'somebody',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        CONTENT_LENGTH: String(body.length),
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true, // a group, for git starts others
    })
    child.stdin.on('error', () => undefined)
    if (isKilled) child.stdin.write(body.subarray(0, body.length / 2), () => process.kill(-child.pid!, 'SIGKILL'))
    else child.stdin.end(body)
    const output = await buffer(child.stdout)
    return output.length === 0 ? undefined : output
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const result: GitServer = {
    origin,
    url: (name = 'vault') => `${origin}/${name}`,
    repository(name = 'vault', format) {
      const found = repositories.get(name) ?? new GitRepository(join(root, name), format)
      repositories.set(name, found)
      return found
    },
    requests,
    onRequest: undefined,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(root, { recursive: true, force: true })
    },
    [Symbol.asyncDispose]: () => result.close(),
  }
  return result
}

function basic({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** Within the response: without any of it, curl repeats the request by itself. */
function cut(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': 1000 })
  response.write('0', () => response.destroy())
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end()
}
