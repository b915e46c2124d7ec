from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from intermodel.core import Conflict, Invalid, NotFound
from intermodel.engines import Library
from intermodel.engines import library as room
from intermodel.engines.library import SHIPPED, default_address
from intermodel.storage import digest_of
from intermodel.storage.tables import models as table
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


async def test_the_shipped_models_address_is_not_given_away(
    library: Library, tiny_file: Path, other_file: Path
) -> None:
    with pytest.raises(Conflict, match="ships with the node") as caught:
        await library.add(other_file, address=SHIPPED)
    assert "--as" in caught.value.hint
    assert await library.all() == []


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("keep", ["copy", "link"])
async def test_what_someone_put_at_the_shipped_models_address_stays(
    library: Library, tiny_file: Path, tmp_path: Path, wanted: bool, keep: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = await library.add(tiny.write(tmp_path / "own.gguf", seed=1), keep=keep)  # type: ignore[arg-type]
    async with library._database.begin() as connection:  # as earlier versions let it be added
        await connection.execute(update(table).values(address=SHIPPED))
    assert await library.ship(wanted, tiny_file) is None
    assert (await library.find(SHIPPED)).digest == own.digest
    assert own.path.exists()
    assert ("not served" in caplog.text) == wanted


async def test_the_shipped_model_is_found_where_the_node_is_installed_now(
    library: Library, tiny_file: Path, tmp_path: Path
) -> None:
    await library.ship(True, Path(shutil.copy(tiny_file, tmp_path / tiny_file.name)))
    moved = await library.ship(True, tiny_file)
    assert moved is not None
    assert [model.path for model in await library.all()] == [tiny_file]


async def test_only_links_are_listed_as_such(library: Library, tiny_file: Path) -> None:
    await library.add(tiny_file, address="a/copy")
    link = await library.add(tiny_file, address="a/link", keep="link")
    assert await library.linked() == [link]


@pytest.mark.parametrize("keep", ["copy", "link"])
async def test_a_name_that_is_no_text_is_refused(library: Library, tiny_file: Path, tmp_path: Path, keep: str) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff.gguf")
    shutil.copy(tiny_file, path)
    with pytest.raises(Invalid, match="not UTF-8") as caught:
        await library.add(path, keep=keep)  # type: ignore[arg-type]
    caught.value.message.encode()
    assert await library.all() == []


async def test_the_converter_holds_no_keys(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setattr(room, "CONVERTER", tmp_path / "converter.py")
    (tmp_path / "converter.py").write_text("import os, sys; sys.exit(' '.join(os.environ))")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Invalid, match="PATH") as caught:
        await library.add(tmp_path / "folder")
    assert "OPENAI_API_KEY" not in caught.value.message


async def test_a_conversion_has_an_end(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CONVERT_S", 0.1)
    monkeypatch.setattr(room, "CONVERTER", tmp_path / "converter.py")
    (tmp_path / "converter.py").write_text("import time; time.sleep(60)")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Invalid, match="took longer than") as caught:
        await library.add(tmp_path / "folder")
    assert caught.value.code == "invalid_model_folder"
    assert not [c for c in psutil.Process().children() if "converter.py" in " ".join(c.cmdline())]


async def test_a_conversion_has_its_memory(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CONVERT_BYTES", 512 * 1024**2)
    with pytest.raises(Invalid, match=r"more than 0\.5 GiB of memory"):
        await library.add(enlarged(tiny.write_folder(tmp_path / "folder")))
    assert not list((tmp_path / "blobs").glob(".converting-*"))


def enlarged(folder: Path) -> Path:
    """The same model with feed-forward layers of 1 GiB each, of which the file system holds nothing."""
    config = json.loads((folder / "config.json").read_text())
    config["intermediate_size"] = 2**23
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / "model.safetensors").open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, offset = json.loads(file.read(length)), 0
        for tensor in header.values():
            tensor["shape"] = [2**23 if width == tiny.HIDDEN else width for width in tensor["shape"]]
            size = 4 * tensor["shape"][0] * (tensor["shape"] + [1])[1]
            tensor["data_offsets"] = [offset, offset + size]
            offset += size
        text = json.dumps(header).encode()
        file.truncate(0)
        file.seek(0)
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return folder
