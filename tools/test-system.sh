#!/usr/bin/env bash
# The tests marked `system`. They need Debian packages: one that is missing is installed, or the run fails.
set -euo pipefail
packages=()

if ((${#packages[@]})) && ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

# Status 5 is pytest's word for "no such test", which is no failure while nothing needs a package.
status=0
pytest --collect-only -q -m system tests >/dev/null || status=$?
case $status in
  0) exec pytest -q -m system tests ;;
  5) echo "No test needs a Debian package yet." ;;
  *) exit "$status" ;;
esac
