"""The ledger beside the disk it writes to: entries a second, with proofs, and verifications a second."""

import argparse
import asyncio
import collections
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.report import table
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import open_ledger, uri, verify
from intermodel.ledger.bundle import read_tlog_proof
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.merkle import includes, leaf_hash
from intermodel.ledger.note import Checkpoint
from intermodel.storage import Database

BASE = "bare fsync"
SIGN = "bare Ed25519"
ROWS = {
    BASE: "write 1.1 KB, `fdatasync`, again",
    "one": "`record`, one caller after another",
    "64": "`record`, 64 callers at once",
    "64 proven": "the same, and each takes its inclusion proof",
    "batch": "`record_all`, 1,000 statements a time",
    "leaves": "entries that are signed already, 4,096 a group",
    "receipts": "receipts, 1,000 a signature (`seal`)",
    SIGN: "one Ed25519 signature checked",
    "proof": "inclusion proof and checkpoint checked",
    "bundle": "a bundle of one entry checked (`verify`)",
    "bundle 100": "entries of a bundle of 100 checked",
}


def statement(number):
    predicate = {
        "framework": "mof",
        "version": "1.0.1",
        "outcome": "class II",
        "facts": [{"what": f"component {i}", "holds": True, "source": "card:license"} for i in range(5)],
    }
    return Statement((Subject("m", f"sha256:{number:064x}"),), uri("grade"), predicate)


def per_second(count, began):
    return count / (time.perf_counter() - began)


def bare(folder, seconds):
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT)
    data, began, count = b"x" * 1100, time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        os.write(file, data)
        os.fdatasync(file)
        count += 1
    found = per_second(count, began)
    os.close(file)
    return found


def repeated(work, seconds, times=1):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        count += times
    return per_second(count, began)


async def one_after_another(ledger, seconds):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        await ledger.record(statement(count))
        count += 1
    return per_second(count, began)


async def at_once(ledger, seconds, proven=False):
    began, count = time.perf_counter(), 0

    async def caller():
        nonlocal count
        while time.perf_counter() - began < seconds:
            made = await ledger.record(statement(count))
            if proven:
                ledger.proof(made.index)
            count += 1

    await asyncio.gather(*(caller() for _ in range(64)))
    return per_second(count, began)


async def batches(ledger, seconds):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        await ledger.record_all([statement(i) for i in range(1000)])
        count += 1000
    return per_second(count, began)


async def leaves(folder, seconds):
    log = Log(folder / "leaves", origin="bench")
    log.open()
    log.signer = LocalSigner.make()
    ready = [b"%01100d" % i for i in range(4096)]
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        await log.add(ready)
        count += len(ready)
    await log.settle()
    found = per_second(count, began)
    await log.close()
    return found


async def receipts(ledger, seconds):
    bodies = [(f"{i:026d}", b"r" * 900) for i in range(1000)]
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        await ledger.seal(bodies)
        count += 1000
    return per_second(count, began)


async def once(folder, seconds, found):
    found[BASE].append(bare(folder, seconds))
    database = Database("", default=folder / "bench.db")
    await database.open()
    async with open_ledger(folder, database) as ledger:
        found["one"].append(await one_after_another(ledger, seconds))
        found["64"].append(await at_once(ledger, seconds))
        found["64 proven"].append(await at_once(ledger, seconds, proven=True))
        found["batch"].append(await batches(ledger, seconds))
        found["receipts"].append(await receipts(ledger, seconds))
        size = ledger.log.size
        key, entry = ledger.verifier, ledger.log.entry(size // 2)
        text = ledger.proof(size // 2)
        single, hundred = await ledger.bundle([size // 2]), await ledger.bundle(range(1, 101))
    found["leaves"].append(await leaves(folder, seconds))
    await database.close()

    def proof():
        index, path, note = read_tlog_proof(text)
        head = Checkpoint.parse(note.text)
        assert note.signed_by([key])
        assert includes(index, head.size, leaf_hash(entry), path, head.root)

    signer = LocalSigner.make()
    signature = signer.sign(entry)
    found[SIGN].append(repeated(lambda: signer.public.verifies(signature, entry), seconds))
    found["proof"].append(repeated(proof, seconds))
    found["bundle"].append(repeated(lambda: verify(single, [key]), seconds))
    found["bundle 100"].append(repeated(lambda: verify(hundred, [key]), seconds, 100))
    return size


def main(rounds=5, seconds=2.0, folder=None):
    found, size = collections.defaultdict(list), 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder, prefix="ledger-") as name:
            size = max(size, asyncio.run(once(Path(name), seconds, found)))
    print(f"## The ledger ({rounds} rounds of {seconds:g} s; up to {size:,} entries; median [min-max])\n")

    def spread(row):
        values = found[row]
        return f"{statistics.median(values):,.0f} [{min(values):,.0f}-{max(values):,.0f}]"

    def ratio(row):
        writes = list(ROWS).index(row) < list(ROWS).index(SIGN)
        base = BASE if writes else SIGN
        value = statistics.median(a / b for a, b in zip(found[row], found[base], strict=True))
        return f"{value:.2f} x {base}"

    print(table({"what": ROWS.get, "a second": spread, "ratio": ratio}, ROWS))


if __name__ == "__main__":
    ap = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=2)
    ap.add_argument("--folder", help="a folder on the disk to measure (default: that of temporary files)")
    a = ap.parse_args()
    sys.exit(main(a.rounds, a.seconds, a.folder))
