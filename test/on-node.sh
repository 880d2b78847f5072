#!/usr/bin/env bash
# The suite, or what vitest is told of it, on another Node, which npm serves: test/on-node.sh 22 --project unit
# The servers stay on the Node that ran `npm ci`: a native module of theirs was compiled for it.
set -euo pipefail
cd "$(dirname "$0")/.."
node=$(test/nodes/fetch.sh "${1:?which Node? For example: npm run test:node -- 22}")/bin/node
echo "Node $("$node" --version)"
shift
: "${ATPROTO_OAUTH_WORLD_NODE:=$(command -v node)}"
export ATPROTO_OAUTH_WORLD_NODE
exec "$node" node_modules/vitest/vitest.mjs run --config test/vitest.config.ts "$@"
