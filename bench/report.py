"""results/<name>.jsonl -> Markdown tables on standard output. Medians over rounds, [min-max] where it matters."""

import collections
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import tomllib

from bench.process import ENV, HERE, RESULTS

NONE = "-"


class Results:
    """Rows of one run, by target and phase. `base` is the target that ratios are made to."""

    def __init__(self, path):
        self.rows, self.errors = collections.defaultdict(list), collections.Counter()
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if row["phase"] == "error":
                self.errors[row["target"], row["error"][:160]] += 1
            else:
                self.rows[row["target"], row["phase"]].append(row)
        self.specs = tomllib.loads((HERE / "targets.toml").read_text())
        self.names = [t for t in self.specs if (t, "load") in self.rows]
        self.base = next((t for t in ("nginx", "raw-full") if t in self.names), None)
        self.rounds = max((row["round"] for rows in self.rows.values() for row in rows), default=0)

    def values(self, target, phase, key):
        return [row[key] for row in self.rows.get((target, phase), ()) if row.get(key) is not None]

    def median(self, target, phase, key):
        found = self.values(target, phase, key)
        return statistics.median(found) if found else None

    def span(self, target, phase, key):
        """Median, least and greatest."""
        found = self.values(target, phase, key)
        return f"{num(statistics.median(found))} [{num(min(found))}-{num(max(found))}]" if found else NONE

    def ratio(self, target, phase, key):
        """Median over rounds of the target's figure by the base's in the same round."""
        base = {row["round"]: row[key] for row in self.rows.get((self.base, phase), ())}
        pairs = [row[key] / base[row["round"]] for row in self.rows[target, phase] if row["round"] in base]
        return statistics.median(pairs) if pairs and target != "direct" else None

    def added(self, target, phase, key):
        """Median over rounds of the target's figure less that of `direct` in the same round."""
        base = {row["round"]: row[key] for row in self.rows.get(("direct", phase), ())}
        pairs = [row[key] - base[row["round"]] for row in self.rows[target, phase] if row["round"] in base]
        return statistics.median(pairs) if pairs and target != "direct" else None

    def failed(self, target):
        return sum(sum(self.values(target, phase, "errors")) for phase in ("c1", "load", "burst", "paced"))


def num(x, scale=1):
    if x is None:
        return NONE
    x *= scale
    return f"{x:,.{0 if abs(x) >= 100 else 1 if abs(x) >= 10 else 2}f}"


def table(columns, rows):
    """Markdown, of column titles with a function of the row each."""
    lines = [" | ".join(columns), "|".join("---" for _ in columns)]
    lines += [" | ".join(str(cell(row)) for cell in columns.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def whole(r):
    return table(
        {
            "target": lambda t: f"{t}: {r.specs[t]['label']}",
            "version": lambda t: version(t, r.specs[t]),
            "CPU µs/request, median [min-max]": lambda t: r.span(t, "load", "cpu_us"),
            f"x {r.base}": lambda t: num(r.ratio(t, "load", "cpu_us")),
            "one core could do, req/s": lambda t: num(1e6 / r.median(t, "load", "cpu_us")),
            "measured req/s, median [min-max]": lambda t: r.span(t, "load", "rps"),
            "p50 / p99 ms under load": lambda t: " / ".join(num(r.median(t, "load", k)) for k in ("p50_ms", "p99_ms")),
            "1 connection: p50 ms": lambda t: num(r.median(t, "c1", "p50_ms")),
            "added to direct, µs": lambda t: num(r.added(t, "c1", "p50_ms"), 1e3),
            "peak RSS MB": lambda t: num(r.median(t, "process", "rss_mb")),
        },
        r.names,
    )


def streamed(r):
    def reads(t):
        return [row["chunks"] / row["reads"] for row in r.rows[t, "burst"] if row.get("reads")]

    return table(
        {
            "target": str,
            "burst: CPU µs/event, median [min-max]": lambda t: r.span(t, "burst", "cpu_us_event"),
            f"x {r.base}": lambda t: num(r.ratio(t, "burst", "cpu_us_event")),
            "burst: events/s, median [min-max]": lambda t: r.span(t, "burst", "chunks_per_s"),
            "paced: CPU µs/event, median [min-max]": lambda t: r.span(t, "paced", "cpu_us_event"),
            f"x {r.base} ": lambda t: num(r.ratio(t, "paced", "cpu_us_event")),
            "TTFT p50 ms": lambda t: num(r.median(t, "paced", "ttft_p50_ms")),
            "added to direct, ms": lambda t: num(r.added(t, "paced", "ttft_p50_ms")),
            "events per read, burst": lambda t: num(statistics.median(reads(t) or [0])),
        },
        r.names,
    )


def started(r):
    def install(t):
        own = "baselines" if "baselines" in r.specs[t].get("cmd", "") else t
        return installed().get(own, (NONE, NONE, NONE))

    return table(
        {
            "target": str,
            "install s": lambda t: install(t)[0],
            "MB on disk": lambda t: install(t)[1],
            "packages": lambda t: install(t)[2],
            "start to first answer, s, median [min-max]": lambda t: r.span(t, "process", "startup_s"),
            "processes": lambda t: int(r.median(t, "process", "procs") or 0),
            "wrong key answered with": lambda t: int(r.median(t, "process", "wrong_key") or 0),
        },
        [t for t in r.names if t != "direct"],
    )


@functools.cache
def installed():
    """By target: seconds, MB, packages, as setup.sh noted them."""
    file = ENV / "install.tsv"
    lines = file.read_text().splitlines() if file.exists() else ()
    return {name: rest for name, *rest in (line.split("\t") for line in lines)}


def version(target, spec):
    try:
        if "dist" in spec:
            python = spec["cmd"].split("/bin/")[0].format(env=ENV, here=HERE) + "/bin/python"
            code = f"import importlib.metadata as m; print(m.version('{spec['dist']}'))"
            return subprocess.check_output([python, "-c", code], text=True).strip()
        if target == "nginx":
            return subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.split("/")[-1].strip()
        if target == "portkey":
            about = ENV / "portkey/node_modules/@portkey-ai/gateway/package.json"
            return json.loads(about.read_text())["version"]
    except (OSError, subprocess.SubprocessError, KeyError):
        return NONE
    return NONE


def text(path):
    r = Results(path)
    parts = [
        f"## Whole answers ({r.rounds} rounds, 32 connections, 2.0 KB request, 1.0 KB answer)", whole(r),
        "## Streams (52 events of about 0.3 KB each)", streamed(r),
        "## Install and start", started(r), notes(r),
    ]  # fmt: skip
    return "\n\n".join(parts)


def notes(r):
    foreign = [row["foreign"] for (_, phase), rows in r.rows.items() if phase == "load" for row in rows]
    steal = [row["steal"] for (_, phase), rows in r.rows.items() if phase == "load" for row in rows]
    failed = [f"{t} {r.failed(t):.0f}" for t in r.names if r.failed(t)]
    lines = [
        f"Other programs' share of the machine during the load phases: median {statistics.median(foreign):.0%}, "
        f"range {min(foreign):.0%}-{max(foreign):.0%}; steal median {statistics.median(steal):.1%}.",
        f"Failed requests during measured phases: {', '.join(failed) or 'none'}.",
    ]
    lines += [f"{t}: {n} round(s) without a result: {error}." for (t, error), n in r.errors.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    newest = max(RESULTS.glob("*.jsonl"), key=lambda p: p.stat().st_mtime, default=None)
    print(text(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else newest))
