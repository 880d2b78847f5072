// Many requests at once, as from a program with many threads.
const [count] = process.argv.slice(2).map(Number)
const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_DID: did, ATPROTO_OAUTH_RUN_PASSWORD: password } = process.env
const login = await fetch(`${url}/xrpc/com.atproto.server.createSession`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ identifier: did, password }),
})
const headers = { authorization: `Bearer ${(await login.json()).accessJwt}` }
const ask = async () => {
  const response = await fetch(`${url}/xrpc/com.atproto.server.checkAccountStatus`, { headers })
  return response.ok && typeof (await response.json()).repoRev === 'string'
}
const answered = await Promise.all(Array.from({ length: count }, ask))
process.stdout.write(JSON.stringify(answered.filter(Boolean).length))
