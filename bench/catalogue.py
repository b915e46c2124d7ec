"""`python -m bench.catalogue`: the catalogue's import rate, search times and memory, by size, on both databases.

Records are made up: names in Zipf's proportions of which a fifth hold `llama`, owners, tags, tasks, languages and sizes
in about the proportions of a large hub. Each size runs in a process of its own, so that its memory is its own.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import os
import pathlib
import pwd
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import orjson

from bench.process import cpu, tree

SIZES = (1_000, 10_000, 100_000, 761_000, 1_000_000)
FAMILIES = (
    "llama",
    "mistral",
    "qwen2.5",
    "bert",
    "gpt2",
    "t5",
    "whisper",
    "gemma-2",
    "Phi-3",
    "stable-diffusion",
    "wav2vec2",
    "falcon",
    "pythia",
    "deberta-v3",
    "roberta",
    "opt",
    "bloom",
    "vit",
    "resnet",
    "clip",
    "DeepSeek",
    "yi",
    "mamba",
    "sdxl",
    "ppo",
    "dqn",
    "distilbert",
    "xlm-roberta",
    "mpnet",
    "electra",
)
ENDINGS = (
    "chat",
    "Instruct",
    "finetuned",
    "lora",
    "GGUF",
    "AWQ",
    "GPTQ",
    "base",
    "large",
    "small",
    "v1",
    "v2",
    "v3",
    "sft",
    "dpo",
    "merge",
    "4bit",
    "8bit",
    "imdb",
    "squad",
    "emotion",
    "ner",
    "code",
    "math",
    "LunarLander",
    "CartPole",
    "hindi",
    "medical",
    "legal",
    "uncased",
    "cased",
    "multilingual",
)
TASKS = (
    "text-generation",
    "text-classification",
    "reinforcement-learning",
    "text-to-image",
    "token-classification",
    "automatic-speech-recognition",
    "fill-mask",
    "question-answering",
    "translation",
    "image-classification",
    "feature-extraction",
    "summarization",
    "sentence-similarity",
    "object-detection",
    "text-to-speech",
)
LANGUAGES = (
    "en",
    "zh",
    "de",
    "fr",
    "es",
    "ja",
    "ko",
    "ru",
    "ar",
    "hi",
    "pt",
    "it",
    "tr",
    "vi",
    "pl",
    "nl",
    "id",
    "fa",
    "sv",
    "cs",
)
SIZES_OF_MODELS = (None, 66e6, 110e6, 355e6, 1.1e9, 3e9, 7e9, 8e9, 13e9, 34e9, 70e9, 405e9)
SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ra",
    "ten",
    "sor",
    "vi",
    "an",
    "del",
    "qu",
    "zen",
    "tor",
    "pi",
    "mar",
    "nu",
    "bel",
    "cha",
    "dro",
    "ex",
    "fi",
    "gra",
    "hu",
    "jin",
    "os",
)


def zipf(count, power=1.0):
    weights = 1 / np.arange(1, count + 1) ** power
    return weights / weights.sum()


def documents(count, seed=1):
    """So many made-up entries of the catalogue, as documents."""
    r = np.random.default_rng(seed)
    words = ["".join(SYLLABLES[i] for i in r.integers(0, len(SYLLABLES), r.integers(2, 5))) for _ in range(6_000)]
    owners = [words[i % 6_000] + ("" if i < 6_000 else str(i // 6_000)) for i in range(max(10, count // 7))]
    families, endings = [*FAMILIES, *words[:300]], [*ENDINGS, *words[300:]]
    share = np.concatenate([[0.2], 0.8 * zipf(len(families) - 1)])
    size_share = np.array([0.45, 0.04, 0.08, 0.05, 0.06, 0.06, 0.12, 0.06, 0.05, 0.01, 0.015, 0.005])

    def choose(values, p, shape=count):
        return r.choice(len(values), shape, p=p)

    family, ending = choose(families, share), choose(endings, zipf(len(endings)), (count, 2))
    owner, task = choose(owners, zipf(len(owners), 0.8)), choose(TASKS, zipf(len(TASKS)))
    size, language = choose(SIZES_OF_MODELS, size_share), choose(LANGUAGES, zipf(len(LANGUAGES), 1.3), (count, 2))
    languages = r.choice(3, count, p=[0.55, 0.4, 0.05])
    licence = r.choice(["allow", "duties", "refuse", ""], count, p=[0.35, 0.1, 0.12, 0.43])
    grade = r.choice(["open source", "open access", "closed", ""], count, p=[0.02, 0.4, 0.08, 0.5])
    tier = r.choice(6, count, p=[0.7, 0.12, 0.1, 0.05, 0.02, 0.01])
    popularity = np.minimum(r.pareto(0.8, count) * 8, 2e8).astype(int)
    run = r.integers(0, 10**6, count)
    seen = set()
    for i in range(count):
        f = families[family[i]]
        parameters = SIZES_OF_MODELS[size[i]]
        tail = (
            [] if parameters is None else [f"{parameters / 1e9:g}b" if parameters >= 1e9 else f"{parameters / 1e6:g}m"]
        )
        tail += [endings[e] for e in ending[i, : 1 + run[i] % 2]]
        if run[i] % 5 == 0:
            tail.append(f"checkpoint-{run[i]}" if run[i] % 10 else f"{run[i]:x}")
        base = address = f"{owners[owner[i]]}/{'-'.join([f, *tail])}"
        for again in itertools.count(2):
            if address not in seen:
                break
            address = f"{base}-{again}"
        seen.add(address)
        library = ("transformers", "diffusers", "peft", "stable-baselines3", "gguf")[run[i] % 5]
        yield {
            "address": address,
            "kind": "adapter" if run[i] % 7 == 0 else "weights",
            "tasks": [TASKS[task[i]]] if run[i] % 9 else [],
            "licence": str(licence[i]),
            "grade": str(grade[i]),
            "parameters": None if parameters is None else int(parameters),
            "languages": sorted({LANGUAGES[x] for x in language[i, : languages[i]]}),
            "tier": int(tier[i]),
            "tags": [library, "safetensors" if run[i] % 2 else "pytorch", f"base_model:{f}", "region:us"],
            "popularity": int(popularity[i]),
        }


def queries(count, seed=2):
    """A mixed list: (what it is of, a function of the package that makes it)."""
    r = random.Random(seed)
    words = [
        w for d in itertools.islice(documents(3_000, seed=1), 3_000) for w in d["address"].replace("/", "-").split("-")
    ]
    common = ("llama", "mistral", "chat", "gguf", "transformers", "7b", "instruct")
    filters = (
        {"licence": ("allow",)},
        {"licence": ("duties",), "size": ("3B to 10B",)},
        {"grade": ("open source",)},
        {"task": ("text-generation",), "language": ("de",)},
        {"tier": ("0", "1"), "kind": ("weights",)},
    )

    def prefix():
        word = r.choice(words)
        return {"text": word[: r.randint(1, max(1, len(word) - 1))], "typing": True}

    kinds = {
        "common word": lambda: {"text": r.choice(common)},
        "rare word": lambda: {"text": r.choice(words)},
        "two words": lambda: {"text": f"{r.choice(common)} {r.choice((r.choice(common), r.choice(words)))}"},
        "common word, filtered": lambda: {"text": r.choice(common), "facets": r.choice(filters)},
        "rare word, filtered": lambda: {"text": r.choice(words), "facets": r.choice(filters)},
        "filter alone": lambda: {"facets": r.choice(filters)},
        "prefix, while typing": prefix,
        "everything": dict,
    }
    weights = (20, 20, 15, 20, 10, 7, 6, 2)
    return [(kind, kinds[kind]()) for kind in r.choices(list(kinds), weights, k=count)]


@contextlib.contextmanager
def database(kind):
    """URL and file of an empty database, durable as a node's is, and the process of its server or None."""
    with tempfile.TemporaryDirectory(prefix="cat-") as name:
        folder = pathlib.Path(name)
        if kind == "sqlite":
            yield "", folder / "catalogue.db", None
            return
        binaries = pathlib.Path(
            shutil.which("initdb") or sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1]
        ).parent
        as_user = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

        def command(program, *arguments):
            subprocess.run([*as_user, binaries / program, *arguments], check=True, capture_output=True, cwd=folder)

        command("initdb", "-D", folder / "data", "-U", "bench", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_wal_size=4GB"
        command("pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start")
        try:
            server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            yield f"postgresql://bench@/postgres?host={folder}", folder / "unused", server
        finally:
            command("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")


def memory_mb():
    """Resident memory of this process, now and at its greatest."""
    lines = dict(line.split(":") for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def served_s(server):
    """Processor time of the database's server and of its processes, the ended ones too."""
    return 0 if server is None else cpu(tree(server))[1]


def spread(ms):
    ms = sorted(ms)
    return {"p50": statistics.median(ms), "p99": ms[min(len(ms) - 1, len(ms) * 99 // 100)], "max": ms[-1]}


async def measure(kind, size, file, rounds, asked):
    from intermodel.records.catalogue import Catalogue, Entry, Query
    from intermodel.storage import Database

    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)  # as `intermodel up` has it
    with database(kind) as (url, path, server):
        db = Database(url, default=path)
        await db.open()
        catalogue, lags = Catalogue(db), []

        async def watch():
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.005)
                lags.append((time.perf_counter() - began - 0.005) * 1e3)

        def entries():
            with open(file, "rb") as lines:
                for line in itertools.islice(lines, size):
                    yield Entry.of(orjson.loads(line))

        watching = asyncio.create_task(watch())
        began, own, served = time.perf_counter(), time.process_time(), served_s(server)
        await catalogue.put(entries())
        wall, own, served = time.perf_counter() - began, time.process_time() - own, served_s(server) - served
        watching.cancel()
        told = {
            "database": kind,
            "size": size,
            "import_per_s": size / wall,
            "import_cpu_us": own / size * 1e6,
            "server_cpu_us": served / size * 1e6,
            "import_lag_ms": spread(lags),
            "import_peak_mb": memory_mb()[1],
        }
        catalogue = Catalogue(db)  # as after a start
        began = time.perf_counter()
        await catalogue.search(Query("llama"))
        told["first_search_s"] = time.perf_counter() - began
        told["segments"] = len(catalogue._keeper.index.views)
        times, runs = {}, []
        for _ in range(rounds):
            run = []
            for name, query in asked:
                began = time.perf_counter()
                await catalogue.search(Query(**query))
                run.append((time.perf_counter() - began) * 1e3)
                times.setdefault(name, []).append(run[-1])
            runs.append(spread(run))
        told["search_ms"] = {k: statistics.median(run[k] for run in runs) for k in runs[0]}
        told["by_kind_ms"] = {name: spread(found) for name, found in times.items()}
        told["rss_mb"] = memory_mb()[0]
        began = time.perf_counter()
        for i in range(20):
            await catalogue.put([Entry(f"some/one{i}", summary="zyzzyva")])
            assert (await catalogue.search(Query("zyzzyva"))).total == i + 1
        told["put_and_found_ms"] = (time.perf_counter() - began) / 20 * 1e3
        told["load"] = os.getloadavg()[0]
        if kind == "sqlite":
            told["file_mb"] = path.stat().st_size / 2**20
        await db.close()
    return told


def table(rows):
    columns = {
        "database": lambda r: r["database"],
        "records": lambda r: f"{r['size']:,}",
        "import/s": lambda r: f"{r['import_per_s']:,.0f}",
        "its CPU, us/record": lambda r: f"{r['import_cpu_us']:.0f}",
        "the server's": lambda r: f"{r['server_cpu_us']:.0f}" if r.get("server_cpu_us") else "",
        "loop held up p99, ms": lambda r: f"{r['import_lag_ms']['p99']:.0f}",
        "search p50, ms": lambda r: f"{r['search_ms']['p50']:.1f}",
        "p99": lambda r: f"{r['search_ms']['p99']:.1f}",
        "first search, s": lambda r: f"{r['first_search_s']:.2f}",
        "RSS, MB": lambda r: f"{r['rss_mb']:.0f}",
        "peak, MB": lambda r: f"{r['import_peak_mb']:.0f}",
        "put and found, ms": lambda r: f"{r['put_and_found_ms']:.1f}",
        "load": lambda r: f"{r['load']:.1f}",
    }
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for r in rows:
        print("| " + " | ".join(column(r) for column in columns.values()) + " |")
    largest = max(r["size"] for r in rows if r["size"] <= 761_000)
    for r in (r for r in rows if r["size"] == largest):
        print(f"\n{r['database']}, {r['size']:,} records, ms:\n\n| query | p50 | p99 | max |\n|---|---|---|---|")
        for name, ms in r["by_kind_ms"].items():
            print(f"| {name} | {ms['p50']:.1f} | {ms['p99']:.1f} | {ms['max']:.1f} |")


def plot(rows, path):
    """Time against size, both logarithmic, as SVG."""
    import math

    width, height, left, bottom = 640, 380, 60, 50
    low, high = 0.5, 200

    def x(size):
        return left + (math.log10(size) - 3) / 3 * (width - left - 150)

    def y(ms):
        return height - bottom - math.log(max(ms, low) / low) / math.log(high / low) * (height - bottom - 20)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    right = width - 150
    for ms in (1, 2, 5, 10, 20, 50, 100, 150):
        style = 'stroke="#b00" stroke-dasharray="4"' if ms in (50, 150) else 'stroke="#ddd"'
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" {style}/>')
        parts.append(f'<text x="{left - 6}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms}</text>')
    for size in (1_000, 10_000, 100_000, 1_000_000):
        parts.append(f'<text x="{x(size):.1f}" y="{height - bottom + 18}" text-anchor="middle">{size:,}</text>')
    series = [
        (kind, key, colour)
        for kind, colour in (("sqlite", "#1665c0"), ("postgresql", "#2e7d32"))
        for key in ("p50", "p99")
    ]
    for at, (kind, key, colour) in enumerate(series):
        points = [(x(r["size"]), y(r["search_ms"][key])) for r in rows if r["database"] == kind]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        stroke = f'stroke="{colour}" stroke-width="2"' + (' stroke-dasharray="6 3"' if key == "p99" else "")
        parts.append(f'<polyline points="{line}" fill="none" {stroke}/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        high_up = 40 + at * 20
        parts.append(f'<line x1="{width - 140}" x2="{width - 115}" y1="{high_up}" y2="{high_up}" {stroke}/>')
        parts.append(f'<text x="{width - 110}" y="{high_up + 4}">{kind}, {key}</text>')
    parts.append(f'<text x="{(width - 90) / 2}" y="{height - 10}" text-anchor="middle">records</text>')
    turned = f'transform="translate(14 {height / 2}) rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turned}>one search, ms</text></svg>")
    pathlib.Path(path).write_text("\n".join(parts) + "\n")


def main(given=None):
    ap = argparse.ArgumentParser(prog="python -m bench.catalogue", description=__doc__)
    ap.add_argument("--sizes", default=",".join(map(str, SIZES)))
    ap.add_argument("--databases", default="sqlite,postgresql")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--queries", type=int, default=1_000)
    ap.add_argument("--plot", help="file to write, .svg")
    ap.add_argument("--results", help="file of JSON lines to add to; given alone with --sizes '', it is drawn again")
    ap.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    a = ap.parse_args(given)
    if a.one:
        kind, size, file = a.one
        print(json.dumps(asyncio.run(measure(kind, int(size), file, a.rounds, queries(a.queries)))))
        return
    sizes = sorted(int(size) for size in a.sizes.split(",") if size)
    rows = []
    with tempfile.TemporaryDirectory(prefix="cat-") as folder:
        file = pathlib.Path(folder) / "records.jsonl"
        if sizes:
            with file.open("wb") as out:
                out.writelines(orjson.dumps(d) + b"\n" for d in documents(sizes[-1]))
        for kind in a.databases.split(","):
            for size in sizes:
                command = [
                    sys.executable,
                    "-m",
                    "bench.catalogue",
                    "--rounds",
                    str(a.rounds),
                    "--queries",
                    str(a.queries),
                    "--one",
                    kind,
                    str(size),
                    str(file),
                ]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout))
                print(f"{kind} {size}: done", file=sys.stderr, flush=True)
                if a.results:
                    with open(a.results, "a") as out:
                        out.write(done.stdout)
    if a.results:
        latest = {(r["database"], r["size"]): r for r in map(json.loads, open(a.results))}
        rows = [latest[key] for key in sorted(latest, key=lambda k: (k[0] != "sqlite", k[1]))]
    print("\n## The catalogue\n")
    table(rows)
    if a.plot:
        plot(rows, a.plot)


if __name__ == "__main__":
    main()
