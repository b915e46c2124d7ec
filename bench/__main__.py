"""`python -m bench`: every figure of docs/benchmarks.md, on this machine."""

import argparse
import subprocess
import sys

from bench import catalogue, client, edge, engines, gateway, guards, ledger, start

ALL = ("start", "engines", "client", "edge", "gateway", "guards", "ledger", "catalogue")
LONG = ("soak",)
"""Only where it is named: it takes two hours."""


def main():
    known = ", ".join(ALL)
    ap = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    ap.add_argument(
        "--only", help=f"comma-separated: {known} (the default: all of these); {', '.join(LONG)}", default=",".join(ALL)
    )
    ap.add_argument("--quick", action="store_true", help="fewest rounds: to see that it works, not for figures")
    ap.add_argument("--model", help="GGUF file for `engines` (default: the model that ships)")
    ap.add_argument("--peers", action="store_true", help="also LiteLLM in `gateway`; its install takes minutes")
    a = ap.parse_args()
    chosen = a.only.split(",")
    if unknown := set(chosen) - {*ALL, *LONG}:
        ap.error(f"unknown: {', '.join(sorted(unknown))}; there are {known}, {', '.join(LONG)}")
    if "start" in chosen:
        start.main(rounds=2 if a.quick else 7)
    if "engines" in chosen:
        engines.main(rounds=2 if a.quick else 6, seconds=2 if a.quick else 5, model=a.model)
    if "client" in chosen:
        client.main(rounds=1 if a.quick else 5, seconds=1 if a.quick else 3)
    if "edge" in chosen:
        edge.main(rounds=1 if a.quick else 5, seconds=1 if a.quick else 3)
    if "guards" in chosen:
        guards.main(rounds=2 if a.quick else 5)
    if "gateway" in chosen:
        gateway.main(rounds=1 if a.quick else 5, peers=a.peers)
    if "ledger" in chosen:
        ledger.main(rounds=1 if a.quick else 5, seconds=0.5 if a.quick else 2)
    if "catalogue" in chosen:
        catalogue.main(["--sizes", "1000,10000", "--rounds", "1", "--queries", "100"] if a.quick else [])
    if "soak" in chosen:  # in a process of its own: it raises limits, and ends all that it started
        soak = [sys.executable, "-m", "bench.soak", "--minutes", "1" if a.quick else "120"]
        subprocess.run(soak, check=True)


if __name__ == "__main__":
    main()
