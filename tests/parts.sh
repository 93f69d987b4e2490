#!/bin/sh
# What some tests need beside Python packages. In CI, as root on Debian, it is installed here; elsewhere each test
# that lacks its part says so and is skipped (tests/support/parts.py).
set -eu
[ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

missing=""
need() { # PACKAGE TEST...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
need default-jre-headless command -v java
need maven command -v mvn
need kcat command -v kcat
need prometheus command -v promtool
need npm command -v npm
need libfaketime sh -c 'ls /usr/lib/*/faketime/libfaketime.so.1'
[ -z "$missing" ] && exit 0

echo "Setting up: Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # one word a package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
