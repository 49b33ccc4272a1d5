#!/usr/bin/env bash
# Runs the platform's tests in a copy of the project in which families/ is empty: the platform needs none of them.
# Arguments are the tests to run; without any, all of the platform's.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=build/platform
rm -rf "$copy"
mkdir -p "$copy/families"
# Shadows the project's own, which the environment has on its path.
touch "$copy/families/__init__.py"
git ls-files -z --cached --others --exclude-standard -- ':!families' ':!dashboard' |
  while IFS= read -r -d '' file; do if [ -f "$file" ]; then printf '%s\0' "$file"; fi; done |
  xargs -0 cp --parents --target-directory "$copy"
cd "$copy"
if [ $# = 0 ]; then set -- tests/platform tests/base tests/contract tests/engine tests/service tests/workers tests/cli; fi
exec pytest -q -n auto --dist loadfile -p no:cacheprovider -m "not families and not chaos and not system" "$@"
