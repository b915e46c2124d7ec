"""What the SPDX list says of exceptions, as the library of expressions carries it."""

from __future__ import annotations

from functools import cache


def is_exception(name: str) -> bool:
    """Whether what stands after `WITH` is on SPDX's list of exceptions, which only add permissions.

    Any other may as well be a limit ("Commons-Clause"). Ids are matched without regard to case (SPDX 3.0.1, Annex B).
    """
    return name.casefold() in _exceptions()


@cache
def _exceptions() -> frozenset[str]:
    from license_expression import get_license_index  # only few licences need it

    listed = (one["spdx_license_key"] or "" for one in get_license_index() if one["is_exception"])
    return frozenset(name.casefold() for name in listed if not name.startswith("LicenseRef-"))
