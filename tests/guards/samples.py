"""Values of every kind, made up at random, and what only looks like them. Nobody's data."""

from __future__ import annotations

import base64
import hashlib
import json
import string
import uuid
import zlib
from collections.abc import Callable
from random import Random

WORDS = string.ascii_letters + string.digits
BASE64 = WORDS + "+/"
URL64 = WORDS + "-_"
HEX = "0123456789abcdef"


def some(random: Random, letters: str, count: int) -> str:
    return "".join(random.choices(letters, k=count))


def with_luhn(digits: str) -> str:
    total = sum(int(d) if i % 2 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def grouped(text: str, sizes: tuple[int, ...], separator: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return separator.join([*parts, text[at:]] if at < len(text) else parts)


def email(random: Random) -> str:
    first, last = some(random, string.ascii_lowercase, 5), some(random, string.ascii_letters, 7)
    local = random.choice([first, f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}99", f"{first}+{last}"])
    host = some(random, string.ascii_lowercase, 6)
    domain = random.choice([host, f"mail.{host}", f"{host}-{host}"])
    return f"{local}@{domain}.{random.choice(['com', 'org', 'co.uk', 'de'])}"


def iban(random: Random) -> str:
    country, form = random.choice(
        [("DE", 18), ("AT", 16), ("GB", -14), ("FR", 23), ("NL", -10), ("NO", 11), ("BE", 12)]
    )
    body = some(random, string.ascii_uppercase, 4) if form < 0 else ""
    body += some(random, string.digits, abs(form))
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    value = f"{country}{98 - number % 97:02}{body}"
    return value if random.random() < 0.5 else grouped(value, (4,) * (len(value) // 4), " ")


def credit_card(random: Random) -> str:
    kind = random.choice(["4", "51", "55", "2221", "6011", "35", "34"])
    if kind == "34":
        value = with_luhn(kind + some(random, string.digits, 12))
        return random.choice([value, grouped(value, (4, 6, 5), " ")])
    kind = "3530" if kind == "35" else kind
    value = with_luhn(kind + some(random, string.digits, 15 - len(kind)))
    return random.choice([value, grouped(value, (4, 4, 4, 4), " "), grouped(value, (4, 4, 4, 4), "-")])


def us_ssn(random: Random) -> str:
    area = random.choice([*range(1, 666), *range(667, 900)])
    return f"{area:03}-{random.randint(1, 99):02}-{random.randint(1, 9999):04}"


def phone(random: Random) -> str:
    area, line = random.randint(200, 989), f"{random.randint(200, 999)}-{random.randint(0, 9999):04}"
    digits = some(random, string.digits, 7)
    return random.choice(
        [
            f"({area}) {line}",
            f"{area}-{line}",
            f"{area}.{line.replace('-', '.')}",
            f"+1-{area}-{line}",
            f"+1 {area} {line.replace('-', ' ')}",
            f"001-{area}-{line}",
            f"({area}) {line} ext. 12",
            f"{area}-{line}x512",
            f"+49 30 {digits}",
            f"+49 (0)171 {digits}",
            f"+44 20 7{digits[:3]} {digits[3:]}",
            f"+4420{'7' + digits}",
            f"+33 6 {digits[:2]} {digits[2:4]} {digits[4:6]} 1{digits[6]}",
            f"06 {digits[:2]} {digits[2:4]} {digits[4:6]} 1{digits[6]}",
            f"0049 30 {digits}",
        ]
    )


def ip_address(random: Random) -> str:
    if random.random() < 0.5:
        return ".".join(str(random.randint(11, 223)) for _ in range(4)).replace("127.", "128.")
    groups = [f"{random.randint(0x1000, 0xFFFF):x}" for _ in range(7)]
    return random.choice(
        [f"2001:{':'.join(groups)}", f"2a02:{groups[0]}::{groups[1]}", f"fe80::{groups[0]}:{groups[1]}"]
    )


def intermodel_token(random: Random) -> str:
    body = f"{some(random, HEX, 12)}_{some(random, HEX, 64)}"
    return f"im_{body}{zlib.crc32(body.encode()):08x}"


def jwt(random: Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    header = {"alg": random.choice(["HS256", "RS256", "none"]), "typ": "JWT", "kid": some(random, WORDS, 8)}
    return f"{part(header)}.{part({'sub': some(random, WORDS, 12), 'exp': 1})}.{some(random, URL64, 43)}"


def private_key(random: Random) -> str:
    name = random.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
    lines = "\n".join(some(random, BASE64, 64) for _ in range(random.randint(2, 6)))
    return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"


def _form(*parts: str | tuple[str, int]) -> Callable[[Random], str]:
    return lambda random: "".join(part if isinstance(part, str) else some(random, *part) for part in parts)


_UPPER = string.ascii_uppercase + "234567"

VALUES: dict[str, list[Callable[[Random], str]]] = {
    "email": [email],
    "iban": [iban],
    "credit_card": [credit_card],
    "us_ssn": [us_ssn],
    "phone": [phone],
    "ip_address": [ip_address],
    "intermodel_token": [intermodel_token],
    "jwt": [jwt],
    "private_key": [private_key],
    "aws_access_key": [_form("AKIA", (_UPPER, 16)), _form("ASIA", (_UPPER, 16))],
    "github_token": [_form("ghp_", (WORDS, 36)), _form("github_pat_", (WORDS, 22), "_", (WORDS, 59))],
    "gitlab_token": [_form("glpat-", (URL64, 20)), _form("glptt-", (HEX, 40))],
    "slack_token": [_form("xoxb-", (string.digits, 12), "-", (string.digits, 12), "-", (WORDS, 24))],
    "slack_webhook": [_form("https://hooks.slack.com/services/T", (_UPPER, 8), "/B", (_UPPER, 8), "/", (WORDS, 24))],
    "stripe_key": [_form("sk_live_", (WORDS, 24)), _form("rk_test_", (WORDS, 99)), _form("whsec_", (WORDS, 32))],
    "anthropic_key": [_form("sk-ant-api03-", (URL64, 93), "AA")],
    "openrouter_key": [_form("sk-or-v1-", (HEX, 64))],
    "openai_key": [
        _form("sk-proj-", (URL64, 74), "T3BlbkFJ", (URL64, 74)),
        _form("sk-", (WORDS, 20), "T3BlbkFJ", (WORDS, 20)),
    ],
    "huggingface_token": [_form("hf_", (string.ascii_letters, 34))],
    "model_provider_key": [_form("gsk_", (WORDS, 52)), _form("xai-", (WORDS, 80)), _form("r8_", (WORDS, 37))],
    "google_api_key": [_form("AIza", (URL64, 34), (WORDS, 1))],
    "google_oauth": [_form("GOCSPX-", (URL64, 27), (WORDS, 1)), _form("ya29.", (URL64, 80), (WORDS, 1))],
    "npm_token": [_form("npm_", (WORDS, 36))],
    "pypi_token": [_form("pypi-AgEIcHlwaS5vcmc", (URL64, 120))],
    "sendgrid_key": [_form("SG.", (URL64, 22), ".", (URL64, 42), (WORDS, 1))],
    "twilio_key": [_form("SK", (HEX, 32))],
    "mailgun_key": [_form("key-", (HEX, 32))],
    "telegram_token": [_form("1", (string.digits, 8), ":AA", (URL64, 32), (WORDS, 1))],
    "digitalocean_token": [_form("dop_v1_", (HEX, 64))],
    "databricks_token": [_form("dapi", (HEX, 32))],
    "shopify_token": [_form("shpat_", (HEX, 32))],
    "vault_token": [_form("hvs.", (URL64, 95), (WORDS, 1))],
    "azure_storage_key": [_form("AccountKey=", (BASE64, 86), "==")],
}
"""Kinds whose finding is the whole sample."""


def _named(before: str, value: Callable[[Random], str]) -> Callable[[Random], tuple[str, str]]:
    return lambda random: (before, value(random))


def _password(random: Random) -> str:
    return some(random, WORDS, 9) + "4x!Q" + some(random, WORDS, 3)


def _national(random: Random) -> str:
    return f"0{random.randint(20, 989)} {random.randint(100000, 9999999)}"


NAMED: dict[str, list[Callable[[Random], tuple[str, str]]]] = {
    "password": [
        _named(name, _password)
        for name in (
            "password: ",
            "DB_PASSWORD=",
            '"api_key": "',
            "client_secret = '",
            "pwd=",
            "userPassword: ",
            '\\"secret\\": \\"',
        )
    ],
    "aws_secret_key": [_named("aws_secret_access_key = ", _form((WORDS + "/+", 38), "a1"))],
    "url_password": [_named("postgres://app:", _form((WORDS, 12)))],
    "bearer_token": [_named("Authorization: Bearer ", _form((WORDS, 30), "a1"))],
    "phone": [_named(cue, _national) for cue in ("Tel.: ", "call me at ", "my phone number is ", "Telefon: ")],
}
"""What goes before the value, and the value."""

CONTEXTS = (
    "{}", "My number is {}.", "Use {} or ask me", "({})", '{{"value": "{}"}}', "'{}',", "first line\n{}\nlast line",
    "a\\n{}\\nb", "Bitte an {} senden, danke!", "| {} | x |", "`{}`", "See: {}; then {{}}", "日本語 {} です", "x={} y",
)  # fmt: skip


def isbn(random: Random) -> str:
    return (
        f"978-{random.randint(0, 9)}-{random.randint(100, 999)}-{random.randint(10000, 99999)}-{random.randint(0, 9)}"
    )


def _like(form: str) -> Callable[[Random], str]:
    """A maker for `form`, with random digits for 9, small letters for ~, capitals for ^, hex digits for #."""
    letters = {"9": string.digits, "~": string.ascii_lowercase, "^": string.ascii_uppercase, "#": HEX}
    return lambda random: "".join(random.choice(letters.get(c, c)) for c in form)


LOOKALIKES: list[Callable[[Random], str]] = [
    lambda random: hashlib.sha256(random.randbytes(9)).hexdigest(),
    lambda random: hashlib.sha1(random.randbytes(9)).hexdigest(),
    lambda random: hashlib.md5(random.randbytes(9)).hexdigest(),
    lambda random: "sha512-" + base64.b64encode(random.randbytes(64)).decode(),
    lambda random: "data:image/png;base64," + base64.b64encode(random.randbytes(300)).decode(),
    lambda random: str(uuid.UUID(int=random.getrandbits(128), version=4)),
    lambda random: isbn(random),
    lambda random: isbn(random).replace("-", ""),
    lambda random: str(random.randint(1_600_000_000, 1_900_000_000)),
    lambda random: str(random.randint(1_600_000_000_000, 1_900_000_000_000)),
    lambda random: f"{random.random():.17f}",
    lambda random: f"-----BEGIN CERTIFICATE-----\n{some(random, BASE64, 64)}\n-----END CERTIFICATE-----",
    _like("the line `-----BEGIN PRIVATE KEY-----` begins such a file"),
    _like("sha256:" + "#" * 64),
    _like("im_" + "#" * 12 + "_" + "#" * 64 + "00000000"),
    _like("commit " + "#" * 40),
    _like("0x" + "#" * 40),
    _like("##:##:##:##:##:##"),
    _like("~~~~~~~~_99.tar.gz"),
    _like("IMG_2024119_102359.jpg"),
    _like("icon@2x.png"),
    _like("~~~~~~-1.99.99.dist-info"),
    _like("v1.99.99.99"),
    _like("version 10.99.99.9999"),
    _like("9.9.9.9"),
    _like("order #3999999999"),
    _like("Invoice 2029-99999"),
    _like("SO-999999-99"),
    _like("2029-11-19T11:39:59Z"),
    _like("19.11.1999"),
    _like("19:39:59"),
    _like("399,399,399.99"),
    _like("git@github.com:~~~~~~/~~~~~~.git"),
    _like("https://example.com/~~~~~~~~?id=99999"),
    _like("password = os.environ['^^^^^^^^1']"),
    _like("api_key=settings.~~~~~~~~_key1"),
    _like("password: ~~~~~~~~~~"),
    _like("sk-~~~~~~~~-learn"),
    _like("@app.route('/~~~~~~')"),
    _like("npm install @~~~~~/~~~~~@1.99.0"),
    _like("std::~~~~~::~~~~~"),
    _like("ISSN 3999-3999"),
    _like("doi:10.3999/~~~~~~.2029.399"),
    _like("arXiv:1109.39999"),
    _like("39 399 399 people"),
    _like("from 1999-2029 to 2039"),
    _like("127.0.0.1:3999"),
    _like("FAR clause 252.227-7999"),
]

EDGES: list[tuple[str, str | None]] = [
    ("IBAN GB29 NWBK 6016 1331 9268 19 EUR 5", "IBAN [IBAN] EUR 5"),
    ("AT61 1904 3002 3457 3201 THIS IS IT", "[IBAN] THIS IS IT"),
    ("DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532 0130 01"),
    ("card 4111\u00a01111\u00a01111\u00a01111", "card [CREDIT_CARD]"),
    ("card " + "".join(chr(0xFEE0 + ord(c)) for c in "4111111111111111"), "card [CREDIT_CARD]"),
    ("phone +1\u2011555\u2011123\u20114567", "phone [PHONE]"),
    ("call +1 555 123 4567 1200 times", "call [PHONE] 1200 times"),
    ("0.4111111111111111 and 4111111111111111.5", "0.4111111111111111 and 4111111111111111.5"),
    ("000-12-3456 666-12-3456 912-12-3456 123-00-4567 123-45-0000", None),
    ("123-45-6789-0 and 1-123-45-6789", None),
    ("127.0.0.1 0.0.0.0 255.255.255.0 256.1.2.3 1.2.3.4 10.0.0.1.5 foo-10.0.0.12", None),
    ("http://10.20.30.40:80/", "http://[IP_ADDRESS]:80/"),
    ("::1 12:34:56 2001:10:20 aa:bb:cc:dd:ee:ff std::cafe", None),
    ("[2001:db8::1]:80, fe80::1: up", "[[IP_ADDRESS]]:80, [IP_ADDRESS]: up"),
    ("jürgen@müller.de", "[EMAIL]"),
    (
        "給foo@example.com, --bar@example.com .. C:\\x@example.com \\nob@example.com",
        "給[EMAIL], --[EMAIL] .. C:\\[EMAIL] \\n[EMAIL]",
    ),
    ("<mailto:a.b+c@example.co.uk>", "<mailto:[EMAIL]>"),
    ("call 2024-01-15 10:00, phone 12.10.2024", None),
    ('api_key = "sk-ant-api03-' + "a1" * 20 + '"', 'api_key = "[ANTHROPIC_KEY]"'),
    ("password: correcthorse; password=<your password 1>; token_password=${PASS_123456}", None),
    ("postgres://user:password@db/x", None),
    ("-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\nabc\\n-----END PRIVATE KEY-----\\n", "[PRIVATE_KEY]\\n"),
    ("> -----BEGIN RSA PRIVATE KEY-----\n> MIIEvQIBADANBgkq\n> abc", "> [PRIVATE_KEY]"),
]
"""Texts, and how they are shown; None: as they are."""
