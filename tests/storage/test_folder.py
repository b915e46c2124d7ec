import os
import stat
from pathlib import Path

import pytest

from intermodel.core import Conflict, Unavailable
from intermodel.storage import DataFolder


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "a" / "data")
    folder.prepare()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.secret()
    assert stat.S_IMODE((folder.path / "secret").stat().st_mode) == 0o600


def test_the_key_is_made_once(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.secret() == folder.secret() == DataFolder(tmp_path).secret()
    assert DataFolder(tmp_path / "..").path != folder.path


def test_a_damaged_key_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(Unavailable, match="5 bytes instead of 32"):
        DataFolder(tmp_path).secret()


def test_one_node_at_a_time(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.prepare()
    assert folder.holder() is None
    with folder.held():
        assert folder.holder() == f"process {os.getpid()}"
        folder.announce("http://127.0.0.1:1")
        assert folder.url() == "http://127.0.0.1:1"
        with pytest.raises(Conflict, match=f"process {os.getpid()}"), folder.held():
            pass
    assert folder.holder() is None
    assert folder.url() is None


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable, match="cannot be written"):
        DataFolder(tmp_path / "file" / "data").prepare()


def test_an_address_from_before_a_crash_is_not_trusted(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.prepare()
    (tmp_path / "url").write_text("http://127.0.0.1:1")
    with folder.held():
        assert folder.url() is None
