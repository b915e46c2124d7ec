from datetime import UTC, datetime, timedelta

import pytest

from intermodel.protocols.faults import error_object
from intermodel.providers.faults import LONGEST_PAUSE_S, _seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("", None), ("7", 7), (" 7 ", 7), ("\u00b2", None), ("-1", None), ("1.5", None), ("soon", None),
     ("9" * 400, LONGEST_PAUSE_S)],
)  # fmt: skip
def test_how_long_a_server_asks_to_be_left_alone(header: str | None, seconds: float | None) -> None:
    assert _seconds(header) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0200"])
def test_a_server_may_say_until_when_it_asks_to_be_left_alone(zone: str) -> None:
    def after(seconds: float) -> str:
        ahead = 7200 if zone == "+0200" else 0
        return f"{datetime.now(UTC) + timedelta(seconds=seconds + ahead):%a, %d %b %Y %H:%M:%S} {zone}"

    assert _seconds(after(90)) == pytest.approx(90, abs=2)
    assert _seconds(after(400 * 86400)) == LONGEST_PAUSE_S
    assert _seconds(after(-90)) is None


@pytest.mark.parametrize("header", ["Wed, 99 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 99999 07:28:00 GMT", "Oct", ","])
def test_a_date_that_is_none(header: str) -> None:
    assert _seconds(header) is None


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"error": 7}', b'{"error": null}'])
def test_bodies_without_an_error_object(body: bytes) -> None:
    assert error_object(body) == {}


def test_an_error_may_be_a_string() -> None:
    assert error_object(b'{"error": "no"}') == {"message": "no"}
