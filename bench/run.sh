#!/usr/bin/env bash
# ./run.sh [rounds] [comma-separated targets]  -- installs what is missing, runs, writes results/report.md
set -euo pipefail
cd "$(dirname "$0")/.."
bench/setup.sh "${2:-}"
PY=${PYTHON:-python3}
name=$(date +%Y%m%d-%H%M%S)
$PY -m bench.run --rounds "${1:-5}" --name "$name" ${2:+--only "$2"} | cut -c1-200
$PY -m bench.report "bench/results/$name.jsonl" | tee bench/results/report.md
