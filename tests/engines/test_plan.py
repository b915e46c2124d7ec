from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from intermodel.engines import plan
from intermodel.engines.facts import Facts
from intermodel.settings import Engines as Settings

MIB = 1024**2
GIB = 1024**3
LLAMA_8B = Facts(
    architecture="llama",
    name="",
    licence="",
    parameters=8_000_000_000,
    quantisation="Q4_K_M",
    context_length=131072,
    embedding_length=4096,
    block_count=32,
    head_count=32,
    head_count_kv=8,
    key_length=128,
    value_length=128,
    vocabulary=128256,
    tokenizer="gpt2",
    chat_template="",
    pooling="",
)

loaded = st.lists(st.tuples(st.integers(1, 100), st.floats(0, 1000), st.booleans()), max_size=8).map(
    lambda rows: [plan.Loaded(n, bytes_, used, in_use) for n, (bytes_, used, in_use) in enumerate(rows)]
)


def test_keys_and_values_of_a_known_model() -> None:
    assert plan.kv_bytes(LLAMA_8B, 1) == 128 * 1024  # 32 blocks x 8 heads x (128 + 128) x 2 bytes


def test_slots_are_given_up_before_context() -> None:
    def sized(budget: int) -> tuple[int, int]:
        found = plan.parameters(LLAMA_8B, 5 * GIB, Settings(), cores=8, budget=budget)
        return found.slots, found.context

    assert sized(64 * GIB) == (8, 8192)
    assert sized(12 * GIB) == (4, 8192)
    assert sized(7 * GIB) == (1, 8192)
    assert sized(6 * GIB) == (1, 2048)


def test_a_context_that_was_set_is_kept_even_if_nothing_fits() -> None:
    found = plan.parameters(LLAMA_8B, 5 * GIB, Settings(context_length=16384), cores=8, budget=GIB)
    assert (found.slots, found.context) == (1, 16384)
    assert found.bytes > GIB


def test_small_models_get_one_thread_and_large_ones_all_cores() -> None:
    def threads(size: int, **given: int) -> int:
        return plan.parameters(LLAMA_8B, size, Settings(**given), cores=8, budget=64 * GIB).threads

    assert threads(63 * MIB) == 1
    assert threads(65 * MIB) == 8
    assert threads(65 * MIB, threads=3) == 3


def test_an_embedding_model_keeps_its_own_pooling() -> None:
    own = dataclasses.replace(LLAMA_8B, pooling="cls")
    assert plan.parameters(LLAMA_8B, 1, Settings(), 1, GIB).mean_pooling
    assert not plan.parameters(own, 1, Settings(), 1, GIB).mean_pooling


@given(st.integers(1, 64), st.integers(1, 2**40), st.integers(1, 64 * GIB), st.integers(0, 2**20))
def test_parameters_fit_the_budget_or_are_the_least_there_are(slots: int, size: int, budget: int, context: int) -> None:
    facts = dataclasses.replace(LLAMA_8B, context_length=context)
    found = plan.parameters(facts, size, Settings(slots=slots), cores=4, budget=budget)
    assert 1 <= found.slots <= slots
    assert 0 < found.batch <= found.context <= plan.LONGEST_CONTEXT
    assert found.bytes > size
    assert found.bytes <= budget or (found.slots == 1 and found.context <= plan.SHORTEST_CONTEXT)


@given(loaded, st.integers(1, 200), st.integers(200, 400))
def test_room_never_takes_what_is_in_use_and_takes_no_more_than_needed(
    engines: list[plan.Loaded], need: int, budget: int
) -> None:
    by_key = {engine.key: engine for engine in engines}
    room = plan.room(engines, need, budget)
    assert not any(by_key[key].in_use for key in room.unload)
    left = [engine for engine in engines if engine.key not in room.unload]
    if room.wait_for:
        assert not room.unload
        assert any(by_key[key].in_use for key in room.wait_for)
        after = sum(e.bytes for e in engines if e.key not in room.wait_for)
        assert after + need <= budget
    else:
        assert sum(e.bytes for e in left) + need <= budget
        if room.unload:
            last = by_key[room.unload[-1]]
            assert sum(e.bytes for e in left) + last.bytes + need > budget


@given(loaded, st.integers(1, 200), st.integers(200, 400))
def test_the_least_recently_used_goes_first(engines: list[plan.Loaded], need: int, budget: int) -> None:
    room = plan.room(engines, need, budget)
    if room.unload:
        gone = max(e.last_used for e in engines if e.key in room.unload)
        kept = [e.last_used for e in engines if not e.in_use and e.key not in room.unload]
        assert all(used >= gone for used in kept)
