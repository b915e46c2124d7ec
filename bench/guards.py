"""What a guard costs: text a second, what a piece of a stream costs, and how much of it is held back."""

import pathlib
import random
import re
import statistics
import sysconfig
import time

from bench.report import table
from intermodel.guards import load
from intermodel.guards.credentials import SECRETS
from intermodel.guards.patterns import either, parse
from intermodel.guards.personal import PERSONAL
from intermodel.settings import GuardTable
from tests.guards.samples import CONTEXTS, LOOKALIKES, NAMED, VALUES

ROOT = pathlib.Path(__file__).parents[1]


def main(rounds):
    began = time.perf_counter()
    guards = {"sensitive-data": load("g", GuardTable()), "hidden-text": load("g", GuardTable(provider="hidden-text"))}
    print(f"## Guards ({rounds} rounds, medians; made in {1000 * (time.perf_counter() - began):.0f} ms)\n")
    rows = []
    for name, text in texts().items():
        peer = through_re(text)
        for guard, looks in guards.items():
            first, again = speed(looks, text, rounds)
            piece, held = stream(looks, text[:200_000], rounds)
            rows.append((name, guard, first, again, peer if guard == "sensitive-data" else None, piece, held))
    columns = {
        "text": lambda row: row[0],
        "guard": lambda row: row[1],
        "MB/s, seen for the first time": lambda row: f"{row[2]:.1f}",
        "again": lambda row: f"{row[3]:.1f}",
        "same patterns in Python's `re`": lambda row: f"{row[4]:.2f}" if row[4] else "",
        "µs a piece": lambda row: f"{row[5]:.1f}",
        "held: mean, p99, most": lambda row: row[6],
    }
    print(table(columns, rows))
    found, samples, alarms, alike = quality(guards["sensitive-data"])
    print(f"\nOf {samples} made-up values {found} were found exactly; of {alike} look-alikes {alarms} raised an alarm.")


def texts():
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    shuffle = random.Random(1)
    return {
        "prose (docs of this repository)": "\n".join(p.read_text() for p in sorted(ROOT.glob("docs/*.md"))),
        "code (Python's library)": "\n".join(p.read_text(errors="replace") for p in sorted(library.glob("*.py"))[:80]),
        "digits at random (hostile)": "".join(shuffle.choices("0123456789 -.", k=100_000)),
    }


def speed(guard, text, rounds):
    """Megabytes a second: the first time, while the automaton's states are made, and later."""
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        guard.inspect(text)
        taken.append(len(text) / (time.perf_counter() - began) / 1e6)
    return taken[0], statistics.median(taken[1:])


def through_re(text):
    patterns = either([parse(rule.lead + rule.pattern) for rule in (*SECRETS, *PERSONAL)])
    compiled = re.compile(patterns.whole)
    part = text[:50_000]
    began = time.perf_counter()
    for _ in compiled.finditer(part):
        pass
    return len(part) / (time.perf_counter() - began) / 1e6


def stream(guard, text, rounds):
    """Pieces as models make them: a space and up to four characters."""
    pieces = re.findall(r"\s?\S{1,4}|\s", text)
    taken = []
    for _ in range(rounds):
        watch = guard.stream()
        began = time.perf_counter()
        for piece in pieces:
            watch.feed(piece)
        taken.append(1e6 * (time.perf_counter() - began) / len(pieces))
    watch, held = guard.stream(), []
    for piece in pieces:
        watch.feed(piece)
        held.append(watch.held)
    held.sort()
    return statistics.median(taken), f"{statistics.mean(held):.1f}, {held[len(held) * 99 // 100]}, {held[-1]}"


def quality(guard):
    """On values and look-alikes of the tests: the author of the patterns made them too."""
    chance = random.Random(5)
    samples = [(kind, "", make(chance), "") for kind, makers in VALUES.items() for make in makers * 100]
    samples += [
        (kind, *make(chance), "@h/x" if kind == "url_password" else "")
        for kind, makers in NAMED.items()
        for make in makers * 100
    ]
    found = 0
    for kind, before, value, after in samples:
        text = chance.choice(CONTEXTS).format(before + value + after)
        found += [(f.kind, text[f.start : f.end]) for f in guard.inspect(text)] == [(kind, value)]
    alike = [chance.choice(CONTEXTS).format(make(chance)) for make in LOOKALIKES * 100]
    return found, len(samples), sum(bool(guard.inspect(text)) for text in alike), len(alike)
