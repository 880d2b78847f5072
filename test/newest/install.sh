#!/usr/bin/env bash
# Installs the newest PDS and official packages, compiled for Node 22, in a folder of their own, and prints the folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=$PWD/node_modules/.cache/newest
if ! cat test/newest/package-lock.json test/newest/*.mjs | cmp -s - "$packages/installed"; then
  node=$(test/nodes/fetch.sh 22)
  rm -rf "$packages"
  mkdir -p "$packages"
  cp test/newest/package.json test/newest/package-lock.json test/newest/*.mjs "$packages"
  PATH="$node/bin:$PATH" npm_config_nodedir="$node" npm ci --silent --no-audit --prefix "$packages" >&2
  cat test/newest/package-lock.json test/newest/*.mjs > "$packages/installed"
fi
echo "$packages"
