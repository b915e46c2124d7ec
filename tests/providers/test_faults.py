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


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"error": 7}', b'{"error": null}'])
def test_bodies_without_an_error_object(body: bytes) -> None:
    assert error_object(body) == {}


def test_an_error_may_be_a_string() -> None:
    assert error_object(b'{"error": "no"}') == {"message": "no"}
