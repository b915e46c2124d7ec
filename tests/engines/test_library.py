from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from intermodel.core import Conflict, Invalid, NotFound
from intermodel.engines import Library
from intermodel.engines.library import SHIPPED, default_address
from intermodel.storage import digest_of
from tests.engines import tiny


@pytest.fixture
def other_file(tmp_path: Path) -> Path:
    (tmp_path / "other").mkdir()
    return tiny.write(tmp_path / "other" / "tiny.gguf", seed=1)


async def test_a_copy_is_kept_and_found_again(library: Library, tiny_file: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    added = await library.add(tiny_file, progress=seen.append)
    assert seen[-1] == added.size == tiny_file.stat().st_size
    assert added.address == "local/tiny"
    assert added.digest == digest_of(tiny_file)
    assert added.path.is_relative_to(tmp_path / "blobs")
    assert added.path.read_bytes() == tiny_file.read_bytes()
    assert await library.find("local/tiny") == added
    assert await library.all() == [added]


async def test_a_link_stays_where_it_is(library: Library, tiny_file: Path) -> None:
    added = await library.add(tiny_file, address="acme/tiny", keep="link")
    assert added.path == tiny_file
    await library.remove("acme/tiny")
    assert tiny_file.exists()
    assert await library.all() == []


async def test_adding_again_changes_nothing_but_mends_the_copy(library: Library, tiny_file: Path) -> None:
    added = await library.add(tiny_file)
    added.path.chmod(0o600)
    added.path.write_bytes(b"damaged")
    assert await library.add(tiny_file) == added
    assert digest_of(added.path) == added.digest


async def test_a_default_address_is_never_taken_from_another_file(
    library: Library, tiny_file: Path, other_file: Path
) -> None:
    added = await library.add(tiny_file)
    with pytest.raises(Conflict, match="another file") as caught:
        await library.add(other_file)
    assert "--as" in caught.value.hint
    assert await library.all() == [added]
    replaced = await library.add(other_file, address="local/tiny")
    assert (await library.find("local/tiny")).digest == replaced.digest
    assert not added.path.exists(), "the copy that nobody names any more is gone"


async def test_a_copy_goes_with_its_last_name(library: Library, tiny_file: Path) -> None:
    first = await library.add(tiny_file, address="a/one")
    await library.add(tiny_file, address="a/two")
    await library.remove("a/one")
    assert first.path.exists()
    await library.remove("a/two")
    assert not first.path.exists()


async def test_what_is_not_there_is_told_with_what_is_near(library: Library, tiny_file: Path) -> None:
    await library.add(tiny_file)
    with pytest.raises(NotFound) as caught:
        await library.find("local/tinny")
    assert "local/tiny" in caught.value.hint
    with pytest.raises(NotFound):
        await library.remove("nothing/near")


@pytest.mark.parametrize("address", ["", "a/b/c", "../x", "a b", "a/" + "b" * 300, "-x"])
async def test_addresses_have_a_form(library: Library, tiny_file: Path, address: str) -> None:
    with pytest.raises(Invalid, match="not an address"):
        await library.add(tiny_file, address=address)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("tiny.gguf", "local/tiny"),
        ("Qwen2.5 0.5B (q8).gguf", "local/Qwen2.5-0.5B-q8"),
        ("...gguf", "local/model"),
        ("modèle.gguf", "local/mod-le"),
        ("folder", "local/folder"),
    ],
)
def test_default_addresses(name: str, address: str) -> None:
    assert default_address(Path("/models") / name) == address


async def test_a_bad_file_leaves_no_row_and_no_blob(library: Library, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_text("bad")
    with pytest.raises(Invalid):
        await library.add(tmp_path / "bad.gguf")
    assert await library.all() == []
    assert not (tmp_path / "blobs").exists()


async def test_a_folder_that_is_no_model_says_why(library: Library, tmp_path: Path) -> None:
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(Invalid) as caught:
        await library.add(tmp_path / "empty-folder")
    assert caught.value.code == "invalid_model_folder"
    assert "Traceback" not in str(caught.value)


async def test_a_hugging_face_folder_is_converted(library: Library, tmp_path: Path) -> None:
    added = await library.add(tiny.write_folder(tmp_path / "my-finetune"))
    assert added.address == "local/my-finetune"
    assert (added.facts.architecture, added.facts.quantisation) == ("llama", "F16")
    assert added.facts.chat_template == tiny.CHATML
    assert digest_of(added.path) == added.digest
    assert not list((tmp_path / "blobs").glob(".converting-*"))


async def test_the_model_that_ships_is_served_while_it_is_wanted(library: Library, tiny_file: Path) -> None:
    shipped = await library.ship(True, tiny_file)
    assert shipped is not None
    assert (shipped.address, shipped.path) == (SHIPPED, tiny_file)
    assert await library.ship(True, tiny_file) == shipped
    assert await library.ship(False, tiny_file) is None
    assert await library.all() == []


async def test_the_manifest_says_what_should_ship(library: Library, tiny_file: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_file, tmp_path / "pebble.gguf"))
    stated = "ab" * 32
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"pebble.gguf": {"sha256": stated}}}))
    shipped = await library.ship(True, file)
    assert shipped is not None
    assert shipped.digest.hex == stated
