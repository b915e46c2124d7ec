"""Personal data that can be told by its form: addresses, numbers with checksums, telephone numbers."""

from __future__ import annotations

import ipaddress
import re

from intermodel.guards.rules import AFTER_NO_WORD, BEFORE, Rule

_LOCAL_CHARACTER = r"[A-Za-z0-9._%+\xc0-\xff-]"
_LOCAL = re.compile(rb"[A-Za-z0-9\xc0-\xff][A-Za-z0-9._%+\xc0-\xff-]*@")
_FILE_ENDINGS = frozenset(b"png jpg jpeg gif svg webp ico pdf js ts css html json".split())

_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in (
        b"AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
        b"EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
        b"IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
        b"NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
        b"SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
    ).split()
}

_CARDS = re.compile(
    rb"4\d{15}|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Visa, Mastercard
    rb"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"  # American Express, Diners, JCB
    rb"|(?:6011|64[4-9]\d|65\d\d)\d{12}|62\d{14,17}|(?:50|5[6-8])\d{14}"  # Discover, UnionPay, Maestro
)

_NO_SSN = re.compile(rb"(?:000|666|9)|...-00|......-?0000")
_DIGITS = re.compile(rb"\d")
_NO_DIGITS = re.compile(rb"\D+")
_PHONE_START = re.compile(rb"[(+]?\d")
_EXTENSION = r"(?: ?(?:x|ext|ext\.) ?\d{1,6})?"
_DATE = re.compile(rb"\(?(?:(?:19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?|\d\d?[-./ ]\d\d?[-./ ](?:19|20)\d\d)\b")
_DECIMAL = re.compile(rb"\+\d+\.\d+")
_CUE = (
    r"(?i:tel|telephone|phone|mobile|cell|cellphone|call|fax|whatsapp|dial|telefon|handy|mobil)"
    r"(?:(?i:number|numbers|no|num|nr|me|us|him|her|them|at|on|is|was|my|our|it|s)|[ :.,#=()'-]){1,10}"
)


def _before(view: bytes, start: int) -> bytes:
    return view[max(start - BEFORE, 0) : start]


def _email(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    found = _LOCAL.search(view, start, end)
    # git@host is how repositories are addressed; icon@2x.png is a file
    if found is None or found[0] in (b"git@", b"hg@") or view[start:end].rpartition(b".")[2].lower() in _FILE_ENDINGS:
        return None
    return found.start(), end


def _iban(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Cuts the match to the length that its country has: a word in capitals may follow."""
    length = _IBAN_LENGTHS.get(view[start : start + 2])
    places = [at for at in range(start, end) if view[at] not in b" -"]
    if length is None or len(places) < length:
        return None
    stop = places[length - 1] + 1
    if view[stop:end][:1].isalnum():
        return None
    value = bytes(view[at] for at in places[:length]).decode()
    return (start, stop) if int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1 else None


def _card(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    # 0.4111..., 4111....5 and paths are other numbers
    if view[start - 1 : start] in (b".", b",", b"/", b"-") or view[end - 2 : end - 1] in b".,":
        return None
    digits = _NO_DIGITS.sub(b"", view[start:end])
    return (start, end) if _CARDS.fullmatch(digits) and luhn(digits) else None


def luhn(digits: bytes) -> bool:
    """Whether the last digit is the check digit that ISO/IEC 7812 asks for."""
    odd = sum(digit - 48 for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * (digit - 48), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _ssn(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    if end - start != len("123-45-6789") or view[start - 1 : start] in (b"-", b".", b"/"):
        return None
    return None if _NO_SSN.match(view[start:end]) else (start, end)


def _ipv4(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Addresses of machines. Version numbers look the same: with a cue, or with small numbers only, they are none."""
    octets = view[start:end].split(b".")
    if view[start - 1 : start] in (b".", b"-", b"/") and _before(view, start) != b"//":
        return None
    if len(octets) != 4 or not all(octet.isdigit() for octet in octets) or all(len(octet) == 1 for octet in octets):
        return None
    return _address(view, start, end)


def _ipv6(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    if view[end - 1] == ord(":") and view[end - 2] != ord(":"):
        end -= 1
    return _address(view, start, end)


def _address(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    try:
        address = ipaddress.ip_address(view[start:end].decode())
    except ValueError:
        return None
    nobody = address.is_loopback or address.is_unspecified or address.is_multicast or view[start : start + 4] == b"255."
    return None if nobody else (start, end)


def _phone(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    if view[start - 1 : start] in (b"-", b".", b"/", b"#", b"+") or _DATE.match(view, start, end):
        return None
    number = view[start:end].lower().partition(b"x")[0].rstrip(b" et")
    return (start, end) if 9 <= len(_DIGITS.findall(number)) <= 17 else None


def _after_zeros(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    return None if _before(view, start)[:1].isdigit() else _phone(view, start, end)


def _in_pairs(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """A number in groups of digits, unless one more group stands before or behind it."""
    more = view[end - 2 : end - 1] in (b" ", b".") or _before(view, start)[:1].isdigit()
    return None if more else _phone(view, start, end)


def _north_american(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    """One more group makes it some other number."""
    return None if view[end - 2 : end - 1] in (b"-", b".") else _phone(view, start, end)


def _international(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    number = view[start:end].lower().partition(b"x")[0]
    digits = [at for at, byte in enumerate(number, start) if 48 <= byte < 58]
    most = 11 if number.startswith(b"+1") else 15
    if len(digits) > most and number == view[start:end].lower():
        end = digits[most - 1] + 1  # another number follows
        if view[end : end + 1].isdigit():
            return None
    other = (number[1:].isdigit() and len(digits) < 10) or _DECIMAL.fullmatch(number) or _DATE.match(number, 1)
    return None if other or len(digits) < 8 or view[start - 1 : start] == b"+" else (start, end)


def _after_cue(view: bytes, start: int, end: int) -> tuple[int, int] | None:
    found = _PHONE_START.search(view, start, end)
    if found is None or _DATE.match(view, found.start(), end):
        return None
    start = found.start()
    return (start, end) if 7 <= len(_DIGITS.findall(view[start:end])) <= 15 else None


PERSONAL = (
    Rule(
        "email",
        _LOCAL_CHARACTER + r"{1,100}@(?:[A-Za-z0-9\xc0-\xff-]{1,63}\.){1,6}[A-Za-z]{2,24}\b",
        _email,
        # from the first of a run of such characters on: counting from each that may begin a value would cost too much
        lead=r"(?:\\[nrt]|\\|\A|[^A-Za-z0-9._%+\xc0-\xff\\-])",
    ),
    Rule(
        "iban",
        r"[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,3})?)\b",
        _iban,
    ),
    Rule(
        "credit_card",
        r"(?:\d{14,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{3})?|\d{4}[ -]\d{6}[ -]\d{4,5})\b(?:[.,]\d)?",
        _card,
    ),
    Rule("us_ssn", r"\d{3}-\d{2}-\d{4}\b(?:-\d)?", _ssn),
    Rule(
        "",
        r"(?i:version|versions|release|build|firmware|section|chapter|clause|oid)[ :=#]{1,2}"
        r"\d{1,3}(?:\.\d{1,6}){3,9}\b",
    ),
    Rule("ip_address", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(?:\.[A-Za-z0-9]|-[A-Za-z])?", _ipv4),
    Rule("ip_address", r"[23fF][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}", _ipv6),
    Rule(
        "phone",
        r"\+[1-9]\d{0,2}(?:[ ./-]{0,2}\(?\d{1,5}\)?){1,7}" + _EXTENSION + r"\b",
        _international,
        lead=AFTER_NO_WORD,
    ),
    Rule("phone", r"00[1-9]\d{0,2} \(?\d{1,5}\)?(?:[ ./-]\d{1,8}){1,5}\b", _after_zeros),
    Rule(
        "phone",
        r"(?:(?:1|001)[ .-])?[2-9]\d{2}(?:[- ]\d{3}-|\.\d{3}\.)\d{4}" + _EXTENSION + r"\b(?:[-.]\d)?",
        _north_american,
    ),
    Rule("phone", r"(?:1|001)[ .-]?\([2-9]\d{2}\) ?\d{3}[-. ]\d{4}" + _EXTENSION + r"\b", _phone),
    Rule("phone", r"\([2-9]\d{2}\) ?\d{3}[-. ]\d{4}" + _EXTENSION + r"\b", _phone, lead=AFTER_NO_WORD),
    Rule("phone", r"0[1-9](?:[ .]\d{2}){4}\b(?:[ .]\d)?", _in_pairs),
    Rule("phone", _CUE + r"\(?(?:\d{10,12}|\d{2,5}\)?(?:[ ./-]{1,2}\d{2,8}){1,5})\b", _after_cue),
)
