"""Keys that sign: where they lie, how they are protected, and by what they are known.

A key's id is the SHA-256 of its SubjectPublicKeyInfo (DER), in hexadecimal, as this prints it too:
`openssl pkey -pubin -in KEY.pem -outform DER | sha256sum`.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import os
import re
import secrets
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from intermodel.core import Invalid, Unavailable
from intermodel.ledger.strict import from_base64

SIGNER_S = 60
"""Longest time that an external signer may take."""
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4)."""
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key by its 32 bytes. Raises `Invalid` for another length."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise Invalid(f"An Ed25519 key has 32 bytes, not {len(self.raw)}.", code="not_a_key")

    @property
    def id(self) -> str:
        return hashlib.sha256(_SPKI + self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        return _public(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def from_pem(cls, data: bytes) -> PublicKey:
        """Raises `Invalid` for what is no Ed25519 public key in PEM."""
        try:
            key = serialization.load_pem_public_key(data)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise Invalid("That is no Ed25519 public key in PEM.", code="not_a_key")
        return cls(key.public_bytes_raw())

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over the data is by this key (RFC 8032)."""
        try:
            _public(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):  # the latter: the 32 bytes are no point of the curve
            return False
        return True


class Signer(Protocol):
    """What can make a signature."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """Blocks. Raises `Unavailable` where it cannot."""


class LocalSigner:
    """A key in this process's memory."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def make(cls) -> LocalSigner:
        return cls(Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    def pem(self, passphrase: bytes) -> bytes:
        """PKCS #8, encrypted with the passphrase unless it is empty."""
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


class CommandSigner:
    """A key that another program holds: a token, an HSM, an agent.

    `COMMAND public` prints the public key (PEM, or base64 of its 32 bytes); `COMMAND sign` reads from standard input
    what is to be signed, and prints the signature in base64. What it prints is verified before it is used.
    """

    def __init__(self, command: str) -> None:
        """Raises `Unavailable` where the command does not run, `Invalid` where it gives no Ed25519 key."""
        self._command = shlex.split(command)
        if not self._command:
            raise Invalid("The command of the external signer is empty.", param="ledger.signer")
        given = self._run("public", b"")
        self.public = (
            PublicKey.from_pem(given)
            if given.startswith(b"-----")
            else PublicKey(from_base64(given.decode(errors="replace"), "The signer's key"))
        )

    def sign(self, data: bytes) -> bytes:
        try:
            signature = binascii.a2b_base64(self._run("sign", data))
        except binascii.Error:
            signature = b""
        if not self.public.verifies(signature, data):
            raise Unavailable(
                "The external signer gave no signature by its key.",
                hint=f"Try `{shlex.join(self._command)} sign` by hand: it reads data and prints base64.",
                code="signer_failed",
            )
        return signature

    def _run(self, verb: str, data: bytes) -> bytes:
        try:
            done = subprocess.run([*self._command, verb], input=data, capture_output=True, timeout=SIGNER_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", b"") or b""
            raise Unavailable(
                f"The external signer failed: {said.decode(errors='replace').strip()[:200] or error}.",
                hint=f"Try `{shlex.join(self._command)} {verb}` by hand. Nothing can be recorded without it.",
                code="signer_failed",
            ) from None
        return done.stdout.strip()


class KeyFolder:
    """Private keys as files `ID.pem`, readable by their owner alone. Old ones are kept until somebody deletes them."""

    def __init__(self, folder: Path, passphrase: str = "") -> None:
        self.folder = folder
        self._passphrase = passphrase.encode()

    def log_name(self) -> str:
        """What tells this ledger from others whose index is in the same database; made on first use.

        It lies with the keys: a ledger whose folder was taken away is missed then. Raises `Unavailable`.
        """
        path = self.folder / "log"
        try:
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                temporary = path.with_suffix(".new")
                temporary.write_text(secrets.token_hex(16))
                temporary.replace(path)
                _sync(self.folder)
            return path.read_text().strip()[:32]
        except OSError as error:
            raise Unavailable(
                f"{path} cannot be made: {error.strerror}.", hint="Mend the permissions of the data folder."
            ) from None

    def ids(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.pem") if _ID.fullmatch(path.stem))

    def make(self) -> LocalSigner:
        """A new key, on disk when this returns. Raises `Unavailable`."""
        signer = LocalSigner.make()
        path = self._path(signer.public.id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(signer.pem(self._passphrase))
                file.flush()
                os.fsync(file.fileno())
            _sync(self.folder)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(
                f"The key could not be kept: {error.strerror}: {path}.",
                hint="Free some space, or mend the permissions of the data folder.",
                code="key_unwritable",
            ) from None
        return signer

    def load(self, key_id: str) -> LocalSigner:
        """The key of that id. Raises `Unavailable` where it is not there, open to others, or does not open."""
        path = self._path(key_id)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            data = path.read_bytes()
        except OSError as error:
            raise Unavailable(
                f"The ledger's key cannot be read: {error.strerror}: {path}.",
                hint="Restore it from a backup. Without it nothing can be recorded; what is recorded stays verifiable.",
                code="key_missing",
            ) from None
        if mode & 0o077:
            raise Unavailable(
                f"Other users can read the ledger's key ({mode:o}): {path}.",
                hint=f"chmod 600 {path}; if somebody may have read it, `intermodel ledger rotate`.",
                code="key_open_to_others",
            )
        signer = self._opened(data, path)
        if signer.public.id != key_id:
            raise Unavailable(f"{path} holds another key, {signer.public.id[:16]}.", code="key_damaged")
        return signer

    def _opened(self, data: bytes, path: Path) -> LocalSigner:
        encrypted = b"ENCRYPTED" in data
        try:
            key = serialization.load_pem_private_key(data, self._passphrase if encrypted else None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Unavailable(
                f"The ledger's key does not open: {path}.",
                hint="Put its passphrase into the variable that `ledger.passphrase_variable` names."
                if encrypted
                else "Restore it from a backup.",
                code="key_locked" if encrypted else "key_damaged",
            )
        return LocalSigner(key)

    def _path(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.pem"


@functools.lru_cache(maxsize=64)
def _public(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
