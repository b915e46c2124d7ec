"""SHA-256 digests as the project writes them: ``sha256:`` and 64 hexadecimal digits."""

from __future__ import annotations

import re

from intermodel.core.errors import Invalid

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


class Digest(str):
    """A digest in its written form; `hex` is the bare part, as file names use it.

    Raises `Invalid` for anything that is not one.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        if not _FORM.fullmatch(text):
            raise Invalid(
                f"{text[:80]!r} is not a digest.",
                hint="A digest is 'sha256:' and 64 hexadecimal digits.",
            )
        return super().__new__(cls, text)

    @classmethod
    def of_hex(cls, hexadecimal: str) -> Digest:
        return cls(f"sha256:{hexadecimal}")

    @property
    def hex(self) -> str:
        return self[7:]
