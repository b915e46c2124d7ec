#!/usr/bin/env bash
# ./setup.sh [comma-separated targets]  -- builds the two C programs and installs each target in its own folder of env/.
# Needs: cc, python3.11, the Debian packages wrk and nginx-light; node 20 + npm for portkey. Without targets: all;
# `none`: the two programs alone.
# Writes env/install.tsv: name, seconds, MB on disk, packages.
set -euo pipefail
cd "$(dirname "$0")"
PY=${PYTHON:-python3}
mkdir -p env/bin logs
wanted() { [ -z "$targets" ] || [[ ",$targets," == *",$1,"* ]]; }
targets=${1:-}
needs() { command -v "$1" >/dev/null || { echo "bench: $1 is missing (Debian packages: build-essential wrk nginx-light)" >&2; exit 1; }; }
needs cc
cc -O2 -Wall -o env/bin/mock mock/mock.c
cc -O2 -Wall -o env/bin/sload load/sload.c
[ "$targets" = none ] && exit
needs wrk
if wanted nginx; then needs nginx; fi
row() { printf '%s\t%s\t%s\t%s\n' "$@" >> env/install.tsv; }
install() { # name, folder with requirements.txt
    [ -e "env/$1/.done" ] && return
    rm -rf "env/$1"; $PY -m venv "env/$1"
    pin=(); [ -f "$2/constraints.txt" ] && pin=(-c "$2/constraints.txt")
    before=$(du -sm "env/$1" | cut -f1); t0=$(date +%s.%N)
    "env/$1/bin/pip" install -q --no-cache-dir --disable-pip-version-check "${pin[@]}" -r "$2/requirements.txt" > "logs/install-$1.log" 2>&1 \
        || { echo "install of $1 failed, see bench/logs/install-$1.log" >&2; return; }
    t1=$(date +%s.%N)
    row "$1" "$(echo "$t1 $t0" | awk '{printf "%.1f", $1-$2}')" $(( $(du -sm "env/$1" | cut -f1) - before )) "$("env/$1/bin/pip" list 2>/dev/null | tail -n +3 | wc -l)"
    touch "env/$1/.done"
}
for target in raw raw-full asgi-httptools asgi-aiohttp granian-aiohttp aiohttp starlette-httpx; do
    if wanted $target; then install baselines baselines; break; fi
done
for target in tensorzero litellm; do
    if wanted $target; then install $target peers/$target; fi
done
if wanted intermodel && [ ! -x ../.venv/bin/intermodel ]; then make -C .. setup; fi
if wanted portkey && [ ! -e env/portkey/.done ]; then
    rm -rf env/portkey; mkdir -p env/portkey; cp peers/portkey/package*.json env/portkey/
    t0=$(date +%s.%N)
    if (cd env/portkey && npm install --no-audit --no-fund --cache "$PWD/../npm-cache" > ../../logs/install-portkey.log 2>&1); then
        t1=$(date +%s.%N)
        row portkey "$(echo "$t1 $t0" | awk '{printf "%.1f", $1-$2}')" "$(du -sm env/portkey | cut -f1)" "$(find env/portkey/node_modules -name package.json -not -path '*/test/*' -path '*node_modules/*' | grep -cE 'node_modules/(@[^/]+/)?[^/]+/package.json$')"
        touch env/portkey/.done
    else echo "install of portkey failed, see bench/logs/install-portkey.log" >&2; fi
    rm -rf env/npm-cache
fi
[ ! -f env/install.tsv ] || cat env/install.tsv
