"""However a stream is cut, its events are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Upstream
from intermodel.protocols import sse
from intermodel.protocols.sse import Events, event

PAYLOADS = st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1), max_size=6)


def fed(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    events = Events()
    return [one for piece in pieces for one in events.feed(piece)] + events.end()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({min(i, len(data)) for i in at})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(PAYLOADS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 400), max_size=30))
def test_however_it_is_cut(payloads: list[str], line_end: str, at: list[int]) -> None:
    text = "".join(f": a comment{line_end}event: e{line_end}data: {p}{line_end}{line_end}" for p in payloads)
    data = text.encode()
    assert fed(cut(data, at)) == [(b"e", p.encode()) for p in payloads]
    assert fed([data[i : i + 1] for i in range(len(data))]) == fed([data])


def test_letters_cut_in_the_middle() -> None:
    data = event("é🙂".encode(), b"name")
    for i in range(len(data)):
        assert fed([data[:i], data[i:]]) == [(b"name", "é🙂".encode())]


def test_lines_of_one_event_are_joined_and_events_without_data_dropped() -> None:
    assert fed([b"data: a\ndata:b\ndata:\n\nevent: ping\n\n: only a comment\n\nid: 7\nretry: 1\n\n"]) == [
        (b"", b"a\nb\n")
    ]


def test_a_last_event_without_its_blank_line() -> None:
    events = Events()
    assert events.feed(b"data: a\n\ndata: b\n") == [(b"", b"a")]
    assert events.end() == [(b"", b"b")]
    assert events.end() == []


def test_an_event_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_BYTES", 100)
    with pytest.raises(Upstream, match="longer than"):
        Events().feed(b"data: " + b"x" * 100)


def test_an_event_is_written_as_it_is_read() -> None:
    assert fed([event(b"{}"), event(b"{}", b"done")]) == [(b"", b"{}"), (b"done", b"{}")]
