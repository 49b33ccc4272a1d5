#!/usr/bin/env bash
# The tests marked `system`. They need Debian packages: one that is missing is installed, or the run fails.
set -euo pipefail
packages=(clamav-daemon)

if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

exec pytest -q -m system tests
