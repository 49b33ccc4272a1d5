#!/bin/sh
# Makes what compose.yaml needs and what is not there yet: secrets/ with random secrets, and settings.env to be edited.
# A file that is there is never changed: to renew a secret, delete its file and run this again.
set -eu
cd "$(dirname "$0")"

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
make() { # a name; its content comes from standard input
  content=$(cat)
  [ -e "secrets/$1" ] || { printf '%s' "$content" >"secrets/$1.new" && chmod 0444 "secrets/$1.new" && mv "secrets/$1.new" "secrets/$1"; }
}

# The folder is closed to others; its files are open, because they are mounted one by one for users of containers.
mkdir -p secrets
chmod 0700 secrets
random | make jwt_secret
random | make redis_password
digest=$(sha256sum <secrets/redis_password | cut -d' ' -f1)
sed "s/PASSWORD_SHA256/$digest/" valkey/users.acl.template | { cat; echo; } | make valkey_users
random | make postgres_password
printf 'postgresql://qcollector:%s@postgres:5432/qcollector' "$(cat secrets/postgres_password)" | make database_url
printf '' | make encryption_key # Q-Collector's own ENCRYPTION_KEY, for exports of encrypted answers
printf '' | make smtp_password
[ -e settings.env ] || cp settings.env.example settings.env
