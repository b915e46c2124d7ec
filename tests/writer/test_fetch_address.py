"""Which addresses are read, by their text alone."""

from __future__ import annotations

import pytest

from intermodel.core import Refused
from intermodel.writer.address import Place, onward, place


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://a.example", Place("http://a.example", "a.example", "/")),
        ("https://A.Example:443/x/../y?q=1&r#f", Place("https://a.example", "a.example", "/x/../y?q=1&r")),
        ("http://a.example:80//x", Place("http://a.example", "a.example", "//x")),
        ("http://8.8.8.8/", Place("http://8.8.8.8", "8.8.8.8", "/")),
        ("https://[2606:4700:4700::1111]/", Place("https://[2606:4700:4700::1111]", "2606:4700:4700::1111", "/")),
        ("https://bücher.example/ä?ö", Place("https://xn--bcher-kva.example", "xn--bcher-kva.example", "/ä?ö")),
        ("http://a.example/?u=http://10.0.0.1/@x", Place("http://a.example", "a.example", "/?u=http://10.0.0.1/@x")),
    ],
)
def test_pages_of_the_web(url: str, found: Place) -> None:
    assert place(url, private=False) == found
    assert place(found.url, private=False) == found


LOCAL = [
    "http://127.0.0.1/", "http://10.1.2.3/", "http://192.168.0.1/", "http://172.16.0.1/", "http://100.64.0.1/",
    "http://0.0.0.0/", "http://[::1]/", "http://[fd00::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://localhost/", "http://LOCALHOST./",
    "http://a.localhost/", "http://\uff11\uff12\uff17.0.0.1/", "http://\uff4cocalhost/", "http://127\u30020.0.1/",
    "http://a.example:8080/", "http://a.example:443/", "https://a.example:80/",
]  # fmt: skip


@pytest.mark.parametrize("url", LOCAL)
def test_this_network_only_where_that_is_set(url: str) -> None:
    with pytest.raises(Refused) as refused:
        place(url, private=False)
    assert "[writer] private" in refused.value.hint
    place(url, private=True)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(
    "url",
    [
        "", "x", "/x", "//a.example/", "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "http://",
        "http:///x", "http://user@a.example/", "http://user:pass@a.example/", "http://a.example:b/", "http://a.example:0x50/",
        "http://a.example:99999/", "http://[::1", "http://[x]/", "http://a b.example/", "http://a.example/\r\nX: y",
        "http://a.example/\t", "http://a.example\\@127.0.0.1/", "http://a%2eexample/", "http://-/", "http://.../",
        "http://169.254.169.254/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://100.100.100.200/",
        "http://a.example/" + "x" * 3000, "http://" + "\u00e9" * 100 + ".example/", "http://a.example\u2100/",
        "HTTP//a.example",
    ],
)  # fmt: skip
def test_what_is_never_read(url: str, private: bool) -> None:
    with pytest.raises(Refused) as refused:
        place(url, private=private)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://a.example/b"), ("b?c", "https://a.example/x/b?c"), ("//b.example/", "https://b.example/"),
        ("http://b.example", "http://b.example/"), ("", "https://a.example/x/y"), ("#f", "https://a.example/x/y"),
        (" /b ", "https://a.example/b"),
    ],
)  # fmt: skip
def test_redirects(location: str, url: str) -> None:
    assert onward(Place("https://a.example", "a.example", "/x/y"), location, private=False).url == url
