#!/usr/bin/env node
// Nothing here may need a newer Node than the one it is about to complain about.
var version = process.versions.node.split('.').map(Number)
if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  fail(
    'Node ' + process.versions.node + ' is too old, 20.19 or newer is needed',
    'npx -p node@22 -p atproto-oauth atproto-oauth --help',
  )
} else if (!require('node:fs').existsSync(__dirname + '/../dist/cjs/entry.cjs')) {
  fail('this clone is not built yet', 'npm ci && npm run build')
} else {
  require('../dist/cjs/entry.cjs').main(require.extensions)
}

function fail(problem, hint) {
  console.error('atproto-oauth: error: ' + problem)
  console.error('atproto-oauth: hint: ' + hint)
  process.exitCode = 2
}
