import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core import Digest, Invalid, NotFound, Unavailable
from intermodel.storage import Blobs, digest_of


@given(content=st.binary(max_size=5000))
@settings(max_examples=30, deadline=None)
def test_what_goes_in_is_found_under_its_digest(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    digest, size = blobs.add(io.BytesIO(content))
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert size == len(content)
    assert blobs.find(digest).read_bytes() == content
    assert digest_of(blobs.find(digest)) == digest


def test_the_same_bytes_twice_are_one_blob(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert blobs.add(io.BytesIO(b"x")) == blobs.add(io.BytesIO(b"x"))
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(10)
            if not data:
                raise RuntimeError("the source broke")
            return data

    with pytest.raises(RuntimeError):
        Blobs(tmp_path).add(Failing(b"x" * 100))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        Blobs(tmp_path).add(io.BytesIO(b"x"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_unknown_and_malformed_digests(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Blobs(tmp_path).find(Digest.of_hex("0" * 64))
    for text in ("sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 64, ""):
        with pytest.raises(Invalid):
            Digest(text)
