import ipaddress
from pathlib import Path

import pytest

from intermodel.core import Invalid, Upstream
from intermodel.providers.http import Http, Origin, _Checked, reachable

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "192.0.0.192", "198.18.0.1",
    "::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip
NEVER = ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "224.0.0.1", "ff02::1",
         "255.255.255.255"]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_called(text: str) -> None:
    assert reachable(ipaddress.ip_address(text), private=False)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_ones_only_where_meant(text: str) -> None:
    assert not reachable(ipaddress.ip_address(text), private=False)
    assert reachable(ipaddress.ip_address(text), private=True)


@pytest.mark.parametrize("text", NEVER)
def test_metadata_services_and_groups_never(text: str) -> None:
    assert not reachable(ipaddress.ip_address(text), private=True)


def test_a_link_local_base_url_is_refused_at_once() -> None:
    with pytest.raises(Invalid, match="never calls"):
        Origin("http://169.254.169.254/v1")


async def test_a_name_that_resolves_to_this_machine_needs_to_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"host": "127.0.0.1", "port": 80, "hostname": "rebound.test", "family": 2, "proto": 6, "flags": 0}]

    async def resolve(*_: object) -> object:
        return found

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    with pytest.raises(Upstream, match=r"resolves to 127\.0\.0\.1"):
        await _Checked(private=False).resolve("rebound.test", 80)
    assert await _Checked(private=True).resolve("rebound.test", 80) == found
    assert await _Checked(private=False).resolve("localhost", 80) == found


async def test_the_refusal_reaches_the_caller_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object) -> object:
        return [{"host": "10.0.0.1", "port": 80, "hostname": "x", "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    http = Http()
    try:
        with pytest.raises(Upstream, match="private = true"):
            await http.post(Origin("http://internal.test/v1"), "/x", b"", headers={}, silence_s=5, name="x")
    finally:
        await http.close()


async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    http = Http()
    try:
        with pytest.raises(Exception, match="could not be reached"):
            await http.post(
                Origin("http://localhost", socket=tmp_path / "none"), "/x", b"", headers={}, silence_s=5, name="x"
            )
    finally:
        await http.close()
