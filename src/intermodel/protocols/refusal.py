"""Refusing by name what another protocol has no place for."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping
from typing import Any

from intermodel.core import Invalid


def unsupported(param: str, protocol: str, hint: str = "") -> Invalid:
    """The refusal of the field `param`, which cannot be said to an upstream that speaks `protocol`."""
    return Invalid(
        f"'{param}' cannot be said in {protocol}, the form in which the chosen model is asked.",
        hint=hint or "Leave it out, or choose a model that is asked in the form of this request.",
        code="unsupported_field",
        param=param,
    )


def refuse_others(given: Mapping[str, Any], known: Container[str], protocol: str, place: str = "") -> None:
    """Raise for the first field that is not `known`; one that is null or empty says nothing."""
    for name, value in given.items():
        if name not in known and not says_nothing(value):
            raise unsupported(f"{place}{name}", protocol)


def says_nothing(value: Any) -> bool:
    """Whether a field with this value is as good as left out: null, "", [], {}. Not so 0 and false."""
    return value is None or (not value and isinstance(value, str | list | dict))


@contextlib.contextmanager
def well_formed(protocol: str) -> Iterator[None]:
    """Around the translation of a request into whose depths the edge has not looked."""
    try:
        yield
    except KeyError as error:
        raise Invalid(
            f"The request is not of {protocol}: a field {error} is missing.", param=str(error.args[0])
        ) from None
    except (AttributeError, TypeError, ValueError, IndexError):
        raise Invalid(f"The request is not of {protocol}: a field holds what cannot stand there.") from None
