#!/usr/bin/env bash
# Changes a file of the protocol in every small way and looks whether a test notices: test/mutation/run.sh login/callback
# In a copy, with packages that are too many for everybody's `npm ci`. What survives belongs into README.md beside this.
set -euo pipefail
cd "$(dirname "$0")/../.."
file=src/${1:?which file of src? For example: login/callback}.ts
folder=$PWD/node_modules/.cache/mutation
mkdir -p "$folder"
git ls-files -z | xargs -0 cp --parents -t "$folder"
cd "$folder"
if [ ! -x node_modules/.bin/stryker ]; then
  npm ci --silent --ignore-scripts
  npm install --silent --ignore-scripts --no-save @stryker-mutator/core@9.6.1 @stryker-mutator/vitest-runner@9.6.1
fi
node_modules/.bin/stryker run test/mutation/stryker.json --mutate "$file"
