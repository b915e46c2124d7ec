"""Records to make bills of material from: some by hand, and any at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from intermodel.records.bom import Described, Evidence, Result
from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure

AT = datetime(2026, 11, 20, 12, 30, 15, 999, tzinfo=UTC)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


FULL = Described(
    "acme/tiny@v1",
    digest("a"),
    WhatItIs(
        kind=Fact(Kind.WEIGHTS, "file:model.safetensors"),
        architecture=Fact("LlamaForCausalLM", "file:config.json"),
        parameters=Fact(1_234_567, "file:model.safetensors"),
        precision=Fact("BF16", "file:model.safetensors"),
        formats=Fact(("safetensors", "gguf"), "derived:files"),
        context_length=Fact(4096, "file:config.json"),
        languages=Fact(("en", "de"), "card:language"),
        modalities=Fact(("text",), "card:pipeline_tag"),
        tokenizer=Fact("BPE", "file:tokenizer.json"),
        vocabulary=Fact(32_000, "file:tokenizer.json"),
        chat_template=Fact("{% for m in messages %}\n{{ m.content }}{% endfor %}", "file:tokenizer_config.json"),
    ),
    Fact("llama2", "card:license"),
    "LLAMA 2 COMMUNITY LICENSE AGREEMENT\n...",
    Disclosure(
        "acme/tiny",
        {
            "parameters": Component(Presence.OPEN, "llama2", "https://example.org/acme/tiny", "all of them", "card:"),
            "training_code": Component(Presence.OPEN, "Apache-2.0", "https://example.org/acme/code"),
            "datasets": Component(Presence.PARTIAL, "", "no address at all"),
            "model_card": Component(Presence.OPEN, None, "https://example.org/acme/tiny/README.md"),
        },
        {
            "limitations": Told("It is wrong at times.\nMost times.", "card:limitations", Presence.OPEN),
            "risks": Told("It may insult: a lot.", "card:risks", Presence.OPEN),
            "energy": Told("3 kWh, measured", "card:energy", Presence.OPEN),
            "compute": Told("", "card:", Presence.CLOSED),
            "training_method": Told("next token, then preference tuning", "card:", Presence.OPEN),
        },
        {"code": "Apache-2.0"},
        {"model size": True, "compute usage": False},
        {"weights": Presence.OPEN},
    ),
    Graph(
        {
            "acme/tiny@v1": Node("acme/tiny@v1", Kind.WEIGHTS, "Tiny", "Acme", "2026-01-02", declared="llama2"),
            "meta-llama/Llama-2-7b": Node(
                "meta-llama/Llama-2-7b", Kind.WEIGHTS, "", "Meta", "2023-07", "llama2", digest=digest("b")
            ),
            "the-pile": Node("the-pile", Kind.DATASET, "The Pile", "EleutherAI", terms="various"),
            "squad": Node(
                "squad", Kind.DATASET, licence="CC-BY-SA-4.0", history=(Tenure("cc-by-4.0", "2016", "2018-01-01"),)
            ),
        },
        (
            Edge("meta-llama/Llama-2-7b", "acme/tiny@v1", How.FINE_TUNE, "delta-weights", "card:base_model"),
            Edge("meta-llama/Llama-2-7b", "acme/tiny@v1", How.QUANTISE, source="file:config.json"),
            Edge("the-pile", "meta-llama/Llama-2-7b", How.PRE_TRAINED_ON, source="somebody"),
            Edge("squad", "acme/tiny@v1", How.EVALUATED_ON, source="card:model-index"),
            Edge("gpt-4", "the-answers", How.OUTPUTS, source="rumour"),
            Edge("the-answers", "acme/tiny@v1", How.TRAINED_ON, source="rumour"),
            Edge("gpt-4", "acme/tiny@v1", How.DISTIL),
        ),
    ),
    digest("c"),
    "Acme Hosting",
    (Result("exact_match", "0.71", "squad", "card:model-index"), Result("perplexity", "12.5")),
    (Evidence(12, "https://intermodel.dev/predicates/what/v1", "key-1", "https://example.org/ledger/12"),),
    {"parameters": (Fact(7_000_000, "statement:12"), Fact("about a million", "card:"))},
)

NEARLY_EMPTY = Described("unknown-thing")

CLOSED_SERVICE = Described(
    "openai/gpt-4",
    None,
    WhatItIs(kind=Fact(Kind.SERVICE, "statement:3")),
    None,
    "",
    Disclosure("openai/gpt-4", {}, {name: Told("", "arXiv:2303.08774", Presence.CLOSED) for name in DISCLOSED[:6]}),
    Graph({"openai/gpt-4": Node("openai/gpt-4", Kind.SERVICE, maker="OpenAI", terms="openai-terms-2023-03")}),
)

ADAPTER = Described(
    "acme/lora",
    digest("d"),
    WhatItIs(kind=Fact(Kind.ADAPTER, "file:adapter_config.json")),
    Fact("MIT OR Apache-2.0", "card:license"),
    "",
    Disclosure("acme/lora"),
    Graph(
        {"acme/base": Node("acme/base", Kind.WEIGHTS, licence="Apache-2.0", declared="MIT")},
        (Edge("acme/base", "acme/lora", How.ADAPTER, "adapter", "file:adapter_config.json"),),
    ),
)

CYCLIC = Described(
    "a/a",
    graph=Graph(
        {"a/a": Node("a/a", licence="MIT AND CC-BY-4.0", declared="wtfpl")},
        (
            Edge("a/a", "a/a", How.COPY),
            Edge("b/b", "a/a", How.MERGE),
            Edge("c/c", "b/b", How.CONVERT),
            Edge("a/a", "c/c", How.PRUNE),
            Edge("d/d", "d/d", How.ADAPTED),
        ),
    ),
)

DATASET = Described(
    "acme/words",
    what=WhatItIs(kind=Fact(Kind.DATASET, "card:"), modalities=Fact(("text", "smell"), "card:")),
    licence=Fact("", "card:license"),
    disclosure=Disclosure("acme/words", told={"data_processing": Told("lower case", "card:", Presence.OPEN)}),
)

SAMPLES = {
    "full": FULL,
    "nearly empty": NEARLY_EMPTY,
    "closed service": CLOSED_SERVICE,
    "adapter": ADAPTER,
    "cyclic": CYCLIC,
    "dataset": DATASET,
    "application": Described("acme/bot", what=WhatItIs(kind=Fact(Kind.APPLICATION, "card:"))),
}

_words = st.text(max_size=20)
_sources = st.sampled_from(["", "card:license", "file:config.json", "statement:12 github a/b", "https://example.org"])
_licences = st.none() | st.sampled_from(
    ["", "MIT", "mit", " Apache-2.0 ", "llama2", "other", "unknown", "NONE", "NOASSERTION", "MIT OR Apache-2.0",
     "GPL-2.0-only WITH Classpath-exception-2.0", "gpl-3.0", "MIT AND llama2", "((", "cc-by-4.0", "LicenseRef-x"]
) | _words  # fmt: skip
_ids = st.sampled_from(["a/a", "b/b@v1", "h.example/o/n@main", "c", "", "urn:cdx:x", "id:", "a/a#service"]) | _words
_urls = st.sampled_from(["", "https://example.org/x?y=%20z", "http://a b", "javascript:x", "https://x/[", "ftp://x"])
_presences = st.sampled_from(Presence)


def _facts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.builds(Fact, values, _sources)


_counts = st.integers(0, 10**18 - 1)
_lists = st.lists(_words, min_size=1, max_size=3).map(tuple)
_whats = st.builds(
    WhatItIs,
    kind=_facts(st.sampled_from(Kind)),
    **{name: _facts(_words) for name in ("architecture", "precision", "tokenizer", "chat_template")},
    **{name: _facts(_counts) for name in ("parameters", "context_length", "vocabulary")},
    **{name: _facts(_lists) for name in ("formats", "languages", "modalities")},
)
_components = st.builds(Component, _presences, _licences, _urls | _words, _words, _sources)
_disclosures = st.builds(
    Disclosure,
    _words,
    st.dictionaries(st.sampled_from(COMPONENTS), _components, max_size=3),
    st.dictionaries(st.sampled_from(DISCLOSED), st.builds(Told, _words, _sources, _presences), max_size=3),
    st.dictionaries(st.sampled_from(["code", "data"]), _words, max_size=2),
    st.dictionaries(_words, st.booleans(), max_size=2),
    st.dictionaries(_words, _presences, max_size=2),
)
_digests = st.none() | st.sampled_from([digest("0"), digest("e")])
_nodes = st.builds(
    Node, _ids, st.none() | st.sampled_from(Kind), _words, _words, st.sampled_from(["", "2023", "2023-03-14", "soon"]),
    _licences, _licences, st.none() | _words, _words, _words, _digests,
    st.lists(st.builds(Tenure, _words, _words), max_size=2).map(tuple), st.lists(_words, max_size=2).map(tuple),
    st.none() | st.booleans(),
)  # fmt: skip
_graphs = st.builds(
    Graph,
    st.lists(_nodes, max_size=4).map(lambda nodes: {node.id: node for node in nodes}),
    st.lists(st.builds(Edge, _ids, _ids, st.sampled_from(How), _words, _sources), max_size=6).map(tuple),
)
RECORDS = st.builds(
    Described,
    _ids.filter(bool),
    _digests,
    _whats,
    st.none() | st.builds(Fact, _licences.map(lambda licence: licence or ""), _sources),
    _words,
    _disclosures,
    _graphs,
    st.sampled_from(["", digest("f")]),
    _words,
    st.lists(st.builds(Result, _words, _words, _words, _sources), max_size=2).map(tuple),
    st.lists(st.builds(Evidence, st.integers(0, 9), _words, _words, _urls), max_size=2).map(tuple),
    st.dictionaries(_words, st.lists(st.builds(Fact, _words | _counts, _sources)).map(tuple), max_size=2),
)
"""Any record at all, also such as no reader of cards would make."""
