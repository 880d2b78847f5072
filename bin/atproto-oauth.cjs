#!/usr/bin/env node
// Nothing here may need a newer Node than the one it is about to complain about.
var version = process.versions.node.split('.').map(Number)
if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  console.error('atproto-oauth: error: Node ' + process.versions.node + ' is too old, 20.19 or newer is needed')
  console.error('atproto-oauth: hint: npx -p node@22 -p atproto-oauth atproto-oauth --help')
  process.exitCode = 2
} else {
  require('../dist/cjs/front.cjs').start()
}
