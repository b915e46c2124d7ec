"""The language of a post: how people name it, and what code has to know of it. Pure."""

from __future__ import annotations

import re

_KNOWN = {
    "ar": "Arabic العربية", "bg": "Bulgarian български", "ca": "Catalan català", "cs": "Czech čeština",
    "da": "Danish dansk", "de": "German Deutsch", "el": "Greek ελληνικά", "en": "English", "es": "Spanish español",
    "et": "Estonian eesti", "fi": "Finnish suomi", "fr": "French français", "ga": "Irish Gaeilge",
    "he": "Hebrew עברית", "hi": "Hindi हिन्दी", "hr": "Croatian hrvatski", "hu": "Hungarian magyar",
    "it": "Italian italiano", "ja": "Japanese 日本語", "ko": "Korean 한국어", "lt": "Lithuanian lietuvių",
    "lv": "Latvian latviešu", "mt": "Maltese Malti", "nb": "Norwegian norsk", "nl": "Dutch Nederlands",
    "pl": "Polish polski", "pt": "Portuguese português", "ro": "Romanian română", "ru": "Russian русский",
    "sk": "Slovak slovenčina", "sl": "Slovenian slovenščina", "sv": "Swedish svenska", "tr": "Turkish Türkçe",
    "uk": "Ukrainian українська", "zh": "Chinese 中文",
}  # fmt: skip
"""By ISO 639-1: the name in English, and in the language itself."""
_BY_NAME = {name.casefold(): code for code, names in _KNOWN.items() for name in names.split()}
_TAG = re.compile(r"([A-Za-z]{2})(?:[-_][A-Za-z0-9]{2,8})*")
_ROW, _LONG_ROW = 8, 10
_ARTICLES = frozenset({"ca", "es", "fr", "it", "pt", "ro"})
"""Languages that say with articles and prepositions what others say with a case or a compound."""


def code_of(language: str) -> str:
    """The code (`de`) of a language, given by that, by its tag (`de-AT`) or its name; "" where none is known."""
    if found := _BY_NAME.get(language.strip().casefold()):
        return found
    tag = _TAG.fullmatch(language.strip())
    return tag[1].lower() if tag and tag[1].lower() in _KNOWN else ""


def name_of(language: str) -> str:
    """As a model is told it: the English name of a code, and anything else as it was said."""
    code, said = code_of(language), language.strip()
    if not code or said.casefold() in _BY_NAME:
        return said
    name = _KNOWN[code].split()[0]
    return name if said.lower() == code else f"{name} ({said})"


def repeated_from(language: str) -> int:
    """So many words in a row, twice, are a repetition."""
    return _LONG_ROW if code_of(language) in _ARTICLES else _ROW


def tokens_of(words: int, language: str) -> int:
    """Tokens that so many words take, with some to spare: one of English has about one and a third, and of languages
    with compounds, cases or another script two and more."""
    english = not language.strip() or code_of(language) == "en"
    return int(words * (2.2 if english else 3.3)) + 400
