// Many requests at once, as from a program with many threads.
const [count] = process.argv.slice(2).map(Number)
const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_DID: did, ATPROTO_OAUTH_RUN_PASSWORD: password } = process.env
const login = await fetch(`${url}/xrpc/com.atproto.server.createSession`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ identifier: did, password }),
})
const headers = { authorization: `Bearer ${(await login.json()).accessJwt}` }
/** What came of a request: the status, and the error if there is one. */
const ask = async () => {
  const response = await fetch(`${url}/xrpc/com.atproto.server.checkAccountStatus`, { headers })
  const { error, message } = await response.json()
  return [response.status, error, message].filter(Boolean).join(' ')
}
const outcomes = await Promise.all(Array.from({ length: count }, () => ask().catch(({ cause }) => String(cause))))
const counts = {}
for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
process.stdout.write(JSON.stringify(counts))
