#!/usr/bin/env bash
# Installs the other clients in a folder of their own, and prints it. They need Node 22.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=$PWD/node_modules/.cache/clients
if ! cat test/bench/clients/package-lock.json test/bench/clients/*.mjs | cmp -s - "$folder/installed"; then
  rm -rf "$folder"
  mkdir -p "$folder"
  cp test/bench/clients/package.json test/bench/clients/package-lock.json test/bench/clients/*.mjs "$folder"
  npm ci --silent --no-audit --ignore-scripts --prefix "$folder" >&2
  cat test/bench/clients/package-lock.json test/bench/clients/*.mjs > "$folder/installed"
fi
echo "$folder"
