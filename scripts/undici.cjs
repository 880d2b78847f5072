// What the bundle takes of undici: its index loads WebSockets, caches, mocks and more, which is half of its start.
exports.fetch = require('undici/lib/web/fetch/index.js').fetch
exports.EnvHttpProxyAgent = require('undici/lib/dispatcher/env-http-proxy-agent.js')
exports.buildConnector = require('undici/lib/core/connect.js')
