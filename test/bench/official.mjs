// A warm call as a program with @atproto/oauth-client-node makes it: its session in a file, one request.
import { readFileSync, writeFileSync } from 'node:fs'
import { atprotoLoopbackClientMetadata, NodeOAuthClient, requestLocalLock } from '@atproto/oauth-client-node'

const [file, clientId, did, path, plcDirectoryUrl, handleResolver] = process.argv.slice(2)
const unused = { get: () => undefined, set: () => undefined, del: () => undefined }
const client = new NodeOAuthClient({
  clientMetadata: atprotoLoopbackClientMetadata(clientId),
  stateStore: unused,
  sessionStore: {
    get: () => JSON.parse(readFileSync(file, 'utf8')),
    set: (_, value) => writeFileSync(file, JSON.stringify(value)),
    del: () => undefined,
  },
  requestLock: requestLocalLock,
  plcDirectoryUrl,
  handleResolver,
  allowHttp: true,
})
const session = await client.restore(did, false)
const response = await session.fetchHandler(path)
if (response.status !== 200) throw new Error(`${response.status}`)
process.stdout.write(await response.text())
