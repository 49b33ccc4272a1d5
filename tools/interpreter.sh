#!/usr/bin/env bash
# The path of an interpreter: of the one with that name (`tools/interpreter.sh python3.13`), or of the oldest or newest that the
# project runs on (`tools/interpreter.sh newest`). Prints nothing where there is none. pyenv's shims name versions that are not
# active, so each candidate is asked whether it runs, and pyenv's own versions are looked through as well.
set -euo pipefail

candidates() { # of the names
  for name in "$@"; do type -aP "$name" || true; done
  if command -v pyenv >/dev/null; then
    for name in "$@"; do ls -d "$(pyenv root)"/versions/*/bin/"$name" 2>/dev/null || true; done
  fi
}

supported() { # lines of version and path
  candidates python3 python3.{11..19} | while read -r python; do
    "$python" -c 'import sys, venv; sys.version_info >= (3, 11) and print("%03d%03d" % sys.version_info[1:3], sys.argv[1])' "$python" \
      2>/dev/null || true
  done
}

case $1 in
oldest) supported | sort | awk 'NR == 1 {print $2}' ;;
newest) supported | sort -r | awk 'NR == 1 {print $2}' ;;
*)
  # Environments made by other tools have no pip; what they are made of usually has.
  base='import sys; print(getattr(sys, "_base_executable", sys.executable))'
  runs=
  while read -r python; do
    for one in "$python" "$("$python" -c "$base" 2>/dev/null || true)"; do
      if "$one" -c 'import pip' 2>/dev/null; then
        echo "$one"
        exit
      fi
    done
    if "$python" -c '' 2>/dev/null; then runs=${runs:-$python}; fi
  done < <(candidates "$1")
  echo "$runs"
  ;;
esac
