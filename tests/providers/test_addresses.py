import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from intermodel.core import Invalid, Upstream
from intermodel.providers import addresses
from intermodel.providers.addresses import Names, reachable
from intermodel.providers.http import Http, Origin

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "192.0.0.8", "198.18.0.1",
    "::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    "64:ff9b:1::a01:203", "fd00:ec3::254",
]  # fmt: skip
NEVER = ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "224.0.0.1", "ff02::1",
         "255.255.255.255", "fe80::1%1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192",
         "168.63.129.16", "::ffff:100.100.100.200", "64:ff9b:1::a9fe:a9fe", "::169.254.169.254",
         "64:ff9b:1:a9fe:a9:fe00::",
         "64:ff9b:1:ffa9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0"]  # fmt: skip


def resolving(monkeypatch: pytest.MonkeyPatch, *texts: str) -> list[str]:
    """Makes every name resolve to these addresses; the names that were looked up."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        await asyncio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in texts]

    monkeypatch.setattr(addresses, "_resolve", resolve)
    return asked


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


@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://[fe80::1]:80", "http://[::ffff:169.254.1.1]/v1"])
def test_a_link_local_base_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid, match="never calls"):
        Origin(url)


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://x", "http://", "http://x:99999", "http://x:0", "http://[::1", "http://a..b\u00fc"]
)
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        Origin(url)


async def test_a_name_that_resolves_to_this_machine_needs_to_be_meant(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resolving(monkeypatch, "127.0.0.1")
    with pytest.raises(Upstream, match="does not call") as caught:
        await Names().find("rebound.test", 80, private=False)
    assert "rebound" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert caplog.records[-1].__dict__["found"] == ["127.0.0.1"]
    assert caplog.records[-1].__dict__["host"] == "rebound.test"
    here = [(socket.AF_INET, ("127.0.0.1", 80))]
    assert await Names().find("rebound.test", 80, private=True) == here
    assert await Names().find("localhost", 80, private=False) == here
    assert await Names().find("127.0.0.1", 80, private=False) == here


async def test_only_what_may_be_called_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "10.0.0.1", "8.8.8.8", "169.254.169.254")
    assert await Names().find("mixed.test", 80, private=False) == [(socket.AF_INET, ("8.8.8.8", 80))]
    assert [a[0] for _, a in await Names().find("mixed.test", 80, private=True)] == ["10.0.0.1", "8.8.8.8"]


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1"])
async def test_an_address_written_oddly_is_a_name(host: str) -> None:
    try:
        with pytest.raises(Upstream, match="not call"):
            await Names().find(host, 80, private=False)
    except OSError:
        pass  # this system's resolver does not take it


async def test_many_who_ask_at_once_share_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, "8.8.8.8")
    names = Names()
    await asyncio.gather(*(names.find("shared.test", 80, private=False) for _ in range(50)))
    await names.find("shared.test", 80, private=False)
    assert asked == ["shared.test"]
    names.forget("shared.test", 80)
    await names.find("shared.test", 80, private=False)
    assert asked == ["shared.test"] * 2


async def test_one_who_leaves_does_not_end_the_look_up_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "8.8.8.8")
    names = Names()
    first, second = (asyncio.create_task(names.find("shared.test", 80, private=False)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert first.cancelled()


async def test_addresses_are_remembered_for_a_while_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, "8.8.8.8")
    names = Names()
    for number in range(300):
        await names.find(f"{number}.test", 80, private=False)
    assert len(names._known) <= 256
    monkeypatch.setattr(addresses, "REMEMBERED_S", -1)
    asked.clear()
    await names.find("new.test", 80, private=False)
    await names.find("new.test", 80, private=False)
    assert asked == ["new.test"] * 2


async def test_a_name_that_is_none_is_asked_for_again() -> None:
    names = Names()
    for host in ("nowhere.invalid", "a..b", "x" * 70):
        with pytest.raises(OSError, match=r"."):
            await names.find(host, 80, private=True)
    assert not names._known
    names.close()


async def test_the_refusal_reaches_the_caller_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "10.0.0.1")
    http = Http()
    try:
        with pytest.raises(Upstream, match="private = true") as caught:
            await http.post(Origin("http://internal.test/v1"), "/x", b"", headers={}, silence_s=5, name="x")
        assert caught.value.code == "address_refused"
    finally:
        await http.close()
