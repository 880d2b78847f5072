#!/usr/bin/env bash
# The end-to-end tests, or what vitest is told of the suite, against the newest PDS and beside the newest official
# packages, all of it on Node 22: test/newest/run.sh --project e2e main-job
set -euo pipefail
cd "$(dirname "$0")/../.."
node=$(test/nodes/fetch.sh 22)
packages=$(test/newest/install.sh)
export ATPROTO_OAUTH_TEST_PACKAGES="$packages" ATPROTO_OAUTH_WORLD_NODE="$node/bin/node"
[ $# -gt 0 ] || set -- --project e2e --project unit test/e2e test/world test/lexicons test/protocol/scope
exec test/on-node.sh 22 "$@"
