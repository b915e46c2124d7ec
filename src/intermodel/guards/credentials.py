"""Secrets, each by the form its vendor gives it, and passwords where they are called so."""

from __future__ import annotations

import re
import zlib

from intermodel.guards.patterns import either, parse
from intermodel.guards.rules import Rule, regex

_WORD = "[A-Za-z0-9]"
_WORD_DASH = "[A-Za-z0-9_-]"
_KEY_BLOCK = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"


def _intermodel(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """A node's own tokens end in a CRC-32 (see `governance.tokens`): a look-alike is told without asking anyone."""
    _, token_id, secret = view[start:end].split(b"_")
    checksum = b"%08x" % zlib.crc32(b"%b_%b" % (token_id, secret[:64]))
    return (start, end) if checksum == secret[64:] else None


VENDORS = (
    Rule("intermodel_token", r"im_[0-9a-f]{12}_[0-9a-f]{72}\b", _intermodel),
    Rule("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    Rule("github_token", r"gh[pousr]_[A-Za-z0-9]{36}", tail=_WORD),
    Rule("github_token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{30}", tail=_WORD),
    Rule(
        "gitlab_token",
        r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|wt|oas|soat|ffct)|GR1348941|glrtr)-?[A-Za-z0-9_-]{20}",
        tail=_WORD_DASH,
    ),
    Rule("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10}", tail="[A-Za-z0-9-]"),
    Rule("slack_token", r"xapp-\d-[A-Z0-9]{8,14}-\d{8,16}-[a-z0-9]{20}", tail=_WORD),
    Rule(
        "slack_webhook",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20}",
        tail="[A-Za-z0-9/_-]",
    ),
    Rule("stripe_key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16}", tail=_WORD),
    Rule("stripe_key", r"whsec_[A-Za-z0-9+/]{32}", tail="[A-Za-z0-9+/=]"),
    Rule("anthropic_key", r"sk-ant-[a-z]{2,8}\d{2}-[A-Za-z0-9_-]{20}", tail=_WORD_DASH),
    Rule("openrouter_key", r"sk-or-v1-[0-9a-f]{64}\b"),
    Rule("openai_key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20}", tail=_WORD_DASH),
    Rule("openai_key", r"sk-[A-Za-z0-9]{48}\b"),
    Rule("huggingface_token", r"hf_[A-Za-z]{34}", tail=_WORD),
    Rule(
        "model_provider_key", r"(?:gsk_[A-Za-z0-9]{52}|xai-[A-Za-z0-9]{80}|pplx-[A-Za-z0-9]{48}|r8_[A-Za-z0-9]{37})\b"
    ),
    Rule("google_api_key", r"AIza[A-Za-z0-9_-]{35}"),
    Rule("google_oauth", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    Rule("google_oauth", r"ya29\.[A-Za-z0-9_-]{20}", tail=_WORD_DASH),
    Rule("npm_token", r"npm_[A-Za-z0-9]{36}\b"),
    Rule("pypi_token", r"pypi-(?:AgEIcHlwaS5vcmc|AgENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{40}", tail=_WORD_DASH),
    Rule("sendgrid_key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    Rule("twilio_key", r"SK[0-9a-f]{32}\b"),
    Rule("mailgun_key", r"key-[0-9a-f]{32}\b"),
    Rule("telegram_token", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    Rule("digitalocean_token", r"do[opr]_v1_[0-9a-f]{64}\b"),
    Rule("databricks_token", r"dapi[0-9a-f]{32}\b"),
    Rule("shopify_token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b"),
    Rule("vault_token", r"hv[sbr]\.[A-Za-z0-9_-]{24}", tail=_WORD_DASH),
    Rule("azure_storage_key", r"(?i:AccountKey)=[A-Za-z0-9+/]{86}=="),
    Rule("jwt", r"eyJ[A-Za-z0-9_-]{10,300}\.eyJ[A-Za-z0-9_-]{6}", tail=r"\.?[A-Za-z0-9_-]"),
    Rule(
        "private_key",
        # a mention of the line alone is no key: material (or its headers) must follow, whatever way lines are broken
        r"-----BEGIN "
        + _KEY_BLOCK
        + r"[ \t\r\n\\nr>|#\"',+*]{0,24}(?:[A-Za-z0-9+/=]{16}|(?:Proc-Type|Version|Comment):)",
        lead=r"",
        until=r"-----END " + _KEY_BLOCK,
        limit=32768,
    ),
)

_VENDOR = regex(either([parse(rule.pattern) for rule in VENDORS]).whole)

_NAMED = re.compile(rb"""\\?["']? {0,2}(?:=>|:=|=|:) {0,2}\\?["']?""")
_NO_SECRET = re.compile(
    rb"[a-z_]+(?:[./][a-z_0-9]+)+"  # settings.db_password2, a path
    rb"|.*(?i:example|changeme|placeholder|redacted|your[-_]|xxxx|\*\*\*\*|\.\.\.|<|\$\{).*"
)


def _named(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """The value of `password = value`, if it looks like one and not like code, a reference or an example."""
    sign = _NAMED.search(view, start, end)
    return _secret(view, sign.end(), end) if sign else None


def _last_forty(_view: bytes, _start: int, end: int) -> tuple[int, int]:
    return end - 40, end


def _bearer(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    return _secret(view, start + len("bearer "), end)


def _secret(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    value = view[start:end].rstrip(b".")  # that of the sentence
    end = start + len(value)
    mixed = any(48 <= byte < 58 for byte in value) and any(65 <= byte & ~32 <= 90 for byte in value)
    if value[-1:] in (b"(", b"[", b"{") or not mixed or len(set(value)) < 6 or _NO_SECRET.fullmatch(value):
        return None
    # what a vendor's rule knows better is left to it
    return None if _VENDOR.match(value) else (start, end)


def _url_password(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """`scheme://user:password@`: the password alone."""
    at = view.index(b":", view.index(b"://", start) + 3) + 1
    end = view.rindex(b"@", at, end)
    return None if view[at:end].lower() in (b"password", b"pass", b"pwd", b"secret", b"changeme") else (at, end)


NAMED = (
    Rule(
        "aws_secret_key",
        r"(?i:aws_secret_access_key|aws_secret_key|secretaccesskey)"
        r"\\?[\"']?[ ]{0,2}[:=][ ]{0,2}\\?[\"']?[A-Za-z0-9/+]{40}\b",
        _last_forty,
    ),
    Rule(
        "password",
        r"(?:[A-Za-z0-9]{1,20}[_-]){0,3}(?i:user|db|database|admin|root|smtp|login|my)?"
        r"(?i:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|secret[_-]?key|auth[_-]?token"
        r"|access[_-]?token|client[_-]?secret)"
        r"\\?[\"']?[ ]{0,2}(?:=>|:=|=|:)[ ]{0,2}\\?[\"']?[A-Za-z0-9!@#$%^&*+=/_.~<-]{8,100}[(\[{]?",
        _named,
    ),
    Rule("bearer_token", r"(?i:bearer) [A-Za-z0-9._~+/=-]{20,400}", _bearer),
    Rule(
        "url_password",
        r"[a-z][a-z0-9+.-]{1,15}://[A-Za-z0-9._~%!$&'*+,;=-]{0,64}:[A-Za-z0-9._~%!$&'*+,;=#^-]{3,128}@[A-Za-z0-9\[]",
        _url_password,
    ),
)

SECRETS = VENDORS + NAMED
