/** A git server under the name of a public one: to a git that is configured for it, `https://github.com` is that server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { createAuthority, createCertificate } from './certificates.ts'
import { type GitServer, startGitServer, WRITER } from './git-server.ts'

export interface GitHost {
  readonly server: GitServer
  /** Writes the git configuration of a home. @param hasLogin whether its git has credentials of its own */
  configure(home: { readonly path: string }, hasLogin: boolean): Promise<void>
  close(): Promise<void>
}

export async function startGitHost(name: string): Promise<GitHost> {
  const server = await startGitServer()
  const authority = await createAuthority()
  const certificate = await createCertificate([name], authority)
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-git-host-'))
  const file = join(folder, 'ca.pem')
  writeFileSync(file, authority.cert)
  const sockets = new Set<Duplex>()
  const proxy = http.createServer((_, response) => response.writeHead(501).end())
  proxy.on('connect', (request, socket) => {
    if (request.url !== `${name}:443`) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    const secure = new TLSSocket(socket as net.Socket, { isServer: true, ...certificate })
    const upstream = net.connect(Number(new URL(server.origin).port), '127.0.0.1')
    for (const each of [socket, secure, upstream]) {
      sockets.add(each)
      each.on('error', () => undefined)
      each.on('close', () => {
        sockets.delete(each)
        secure.destroy()
        upstream.destroy()
      })
    }
    secure.pipe(upstream).pipe(secure)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  return {
    server,
    async configure(home, hasLogin) {
      const helper = `"!f() { echo username=${WRITER.user}; echo password=${WRITER.password}; }; f"`
      const lines = [`[http "https://${name}/"]`, `  proxy = ${address}`, `  sslCAInfo = ${file}`]
      if (hasLogin) lines.push(`[credential "https://${name}"]`, `  helper = ${helper}`)
      await writeFile(join(home.path, '.gitconfig'), `${lines.join('\n')}\n`)
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
      await server.close()
      rmSync(folder, { recursive: true })
    },
  }
}
