#!/bin/sh
# Debian's Postgres, without the server that its package makes and starts; nothing where there is
# one, and nothing for whoever may not install it.
set -eu

command -v initdb >/dev/null && exit 0
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || exit 0

echo "installing Debian's postgresql (once)" >&2
settings=/etc/postgresql-common/createcluster.d
mkdir -p "$settings"
trap 'rm -f "$settings/bench.conf"' EXIT
echo "create_main_cluster = false" >"$settings/bench.conf"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } >&2 ||
	echo "Debian's postgresql could not be installed" >&2
