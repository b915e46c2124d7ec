"""The language of a post: how people name it, and what code has to know of it. Pure."""

from __future__ import annotations

import difflib
import re

from intermodel.core import Invalid

_KNOWN = {
    "aa": "Afar", "ab": "Abkhazian", "ae": "Avestan", "af": "Afrikaans", "ak": "Akan", "am": "Amharic|አማርኛ",
    "an": "Aragonese|aragonés", "ar": "Arabic|العربية", "as": "Assamese|অসমীয়া", "av": "Avaric", "ay": "Aymara",
    "az": "Azerbaijani|azərbaycan", "ba": "Bashkir", "be": "Belarusian|беларуская", "bg": "Bulgarian|български",
    "bi": "Bislama", "bm": "Bambara|bamanakan", "bn": "Bangla|বাংলা|Bengali", "bo": "Tibetan", "br": "Breton|brezhoneg",
    "bs": "Bosnian|bosanski", "ca": "Catalan|català", "ce": "Chechen|нохчийн", "ch": "Chamorro", "co": "Corsican|corsu",
    "cr": "Cree", "cs": "Czech|čeština", "cu": "Church Slavic", "cv": "Chuvash|чӑваш", "cy": "Welsh|Cymraeg",
    "da": "Danish|dansk", "de": "German|Deutsch", "dv": "Divehi", "dz": "Dzongkha", "ee": "Ewe",
    "el": "Greek|ελληνικά", "en": "English", "eo": "Esperanto", "es": "Spanish|español|castellano",
    "et": "Estonian|eesti", "eu": "Basque|euskara", "fa": "Persian|فارسی|Farsi", "ff": "Fula|Pulaar",
    "fi": "Finnish|suomi", "fj": "Fijian", "fo": "Faroese|føroyskt", "fr": "French|français",
    "fy": "Western Frisian|Frysk", "ga": "Irish|Gaeilge", "gd": "Scottish Gaelic|Gàidhlig", "gl": "Galician|galego",
    "gn": "Guarani", "gu": "Gujarati|ગુજરાતી", "gv": "Manx|Gaelg", "ha": "Hausa", "he": "Hebrew|עברית",
    "hi": "Hindi|हिन्दी", "ho": "Hiri Motu", "hr": "Croatian|hrvatski", "ht": "Haitian Creole|Kreyòl Ayisyen",
    "hu": "Hungarian|magyar", "hy": "Armenian|հայերեն", "hz": "Herero", "ia": "Interlingua",
    "id": "Indonesian|Bahasa Indonesia", "ie": "Interlingue", "ig": "Igbo", "ii": "Sichuan Yi", "ik": "Inupiaq",
    "io": "Ido", "is": "Icelandic|íslenska", "it": "Italian|italiano", "iu": "Inuktitut", "ja": "Japanese|日本語",
    "jv": "Javanese|Jawa", "ka": "Georgian|ქართული", "kg": "Kongo", "ki": "Kikuyu|Gikuyu", "kj": "Kuanyama",
    "kk": "Kazakh|қазақ тілі", "kl": "Kalaallisut|Greenlandic", "km": "Khmer|ខ្មែរ", "kn": "Kannada|ಕನ್ನಡ",
    "ko": "Korean|한국어", "kr": "Kanuri", "ks": "Kashmiri", "ku": "Kurdish|kurdî", "kv": "Komi",
    "kw": "Cornish|kernewek", "ky": "Kyrgyz|кыргызча", "la": "Latin|Latina", "lb": "Luxembourgish|Lëtzebuergesch",
    "lg": "Ganda|Luganda", "li": "Limburgish", "ln": "Lingala|lingála", "lo": "Lao|ລາວ", "lt": "Lithuanian|lietuvių",
    "lu": "Luba-Katanga|Tshiluba", "lv": "Latvian|latviešu", "mg": "Malagasy", "mh": "Marshallese", "mi": "Māori",
    "mk": "Macedonian|македонски", "ml": "Malayalam|മലയാളം", "mn": "Mongolian|монгол", "mr": "Marathi|मराठी",
    "ms": "Malay|Melayu", "mt": "Maltese|Malti", "my": "Burmese|မြန်မာ", "na": "Nauru",
    "nb": "Norwegian Bokmål|norsk bokmål", "nd": "North Ndebele", "ne": "Nepali|नेपाली", "ng": "Ndonga",
    "nl": "Dutch|Nederlands", "nn": "Norwegian Nynorsk|norsk nynorsk|nynorsk", "no": "Norwegian|norsk",
    "nr": "South Ndebele", "nv": "Navajo|Diné Bizaad", "ny": "Nyanja", "oc": "Occitan", "oj": "Ojibwa",
    "om": "Oromo", "or": "Odia|ଓଡ଼ିଆ", "os": "Ossetic|ирон", "pa": "Punjabi|ਪੰਜਾਬੀ", "pi": "Pali", "pl": "Polish|polski",
    "ps": "Pashto|پښتو", "pt": "Portuguese|português", "qu": "Quechua|Runasimi", "rm": "Romansh|rumantsch",
    "rn": "Rundi|Ikirundi", "ro": "Romanian|română", "ru": "Russian|русский", "rw": "Kinyarwanda|Ikinyarwanda",
    "sa": "Sanskrit", "sc": "Sardinian|sardu", "sd": "Sindhi|سنڌي", "se": "Northern Sami|davvisámegiella",
    "sg": "Sango|Sängö", "si": "Sinhala|සිංහල", "sk": "Slovak|slovenčina", "sl": "Slovenian|slovenščina",
    "sm": "Samoan", "sn": "Shona|chiShona", "so": "Somali|Soomaali", "sq": "Albanian|shqip", "sr": "Serbian|српски",
    "ss": "Swati|siSwati", "st": "Southern Sotho|Sesotho", "su": "Sundanese|Basa Sunda", "sv": "Swedish|svenska",
    "sw": "Swahili|Kiswahili", "ta": "Tamil|தமிழ்", "te": "Telugu|తెలుగు", "tg": "Tajik|тоҷикӣ", "th": "Thai|ไทย",
    "ti": "Tigrinya|ትግርኛ", "tk": "Turkmen", "tl": "Tagalog", "tn": "Tswana|Setswana", "to": "Tongan",
    "tr": "Turkish|Türkçe", "ts": "Tsonga|Xitsonga", "tt": "Tatar|татар", "tw": "Twi", "ty": "Tahitian",
    "ug": "Uyghur|ئۇيغۇرچە", "uk": "Ukrainian|українська", "ur": "Urdu|اردو", "uz": "Uzbek", "ve": "Venda",
    "vi": "Vietnamese|Tiếng Việt", "vo": "Volapük", "wa": "Walloon|walon", "wo": "Wolof", "xh": "Xhosa|IsiXhosa",
    "yi": "Yiddish|ייִדיש", "yo": "Yoruba|Èdè Yorùbá", "za": "Zhuang|Vahcuengh", "zh": "Chinese|中文",
    "zu": "Zulu|isiZulu",
    "ast": "Asturian|asturianu", "ceb": "Cebuano", "ckb": "Central Kurdish", "fil": "Filipino",
    "gsw": "Swiss German|Schwiizertüütsch", "haw": "Hawaiian", "hsb": "Upper Sorbian|hornjoserbšćina",
    "nds": "Low German", "yue": "Cantonese|粵語",
}  # fmt: skip
"""All of ISO 639-1, and some of those of three letters in common use: the name in English as CLDR has it, that in the
language itself, and another one."""
_BY_NAME = {name.casefold(): code for code, names in _KNOWN.items() for name in names.split("|")}
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_](?:[A-Za-z]{4}|[A-Za-z]{2}|\d{3}))*")
_MEANT = {
    "cn": "zh", "cz": "cs", "deu": "de", "dk": "da", "esp": "es", "gr": "el", "ir": "fa", "iw": "he", "jp": "ja",
    "nld": "nl", "sp": "es", "ua": "uk", "vn": "vi", "zho": "zh",
}  # fmt: skip
"""What is said instead of a code, mostly a country's, and is none."""
_ROW, _LONG_ROW = 8, 10
_ARTICLES = frozenset({"ca", "es", "fr", "it", "pt", "ro"})
"""Languages that say with articles and prepositions what others say with a case or a compound."""
_POINT = frozenset(
    {"bn", "cy", "en", "fil", "ga", "gd", "he", "hi", "ja", "kn", "ko", "mi", "ml", "mr", "ms", "mt", "ne", "pa", "si",
     "sw", "ta", "te", "th", "tl", "ur", "yue", "zh", "zu"}
)  # fmt: skip
_COMMA = frozenset(
    {"be", "bg", "bs", "ca", "cs", "da", "de", "el", "es", "et", "eu", "fi", "fo", "fr", "gl", "hr", "hsb", "hu", "hy",
     "id", "is", "it", "ka", "kk", "lb", "lt", "lv", "mk", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl",
     "sq", "sr", "sv", "tr", "uk", "uz", "vi"}
)  # fmt: skip
_EITHER = re.compile(
    r"de[-_](?:ch|li)|it[-_]ch|es[-_](?!es\b).*|en[-_](?!us\b|gb\b|au\b|ca\b|ie\b|nz\b|in\b).*|(?:ms|sw)[-_].*"
)
"""Tags of regions that write, or may write, a decimal otherwise than the language does elsewhere."""


def code_of(language: str) -> str:
    """The code (`de`) of a language, given by that, by its tag (`de-AT`) or its name; "" where none is known."""
    if found := _BY_NAME.get(language.strip().casefold()):
        return found
    tag = _TAG.fullmatch(language.strip())
    return tag[1].lower() if tag and tag[1].lower() in _KNOWN else ""


def check_language(language: str) -> None:
    """Raises `Invalid` for what looks like a code and is none: a model would be told to write in that. Any name will
    do."""
    tag = _TAG.fullmatch(language.strip())
    if tag is None or code_of(language):
        return
    said = tag[1].lower()
    begun = dict.fromkeys(code for name, code in _BY_NAME.items() if name.startswith(said))
    near = [_MEANT[said]] if said in _MEANT else [*begun] or difflib.get_close_matches(said, _KNOWN)
    told = ", ".join(f"{code} ({_name(code)})" for code in near[:3])
    raise Invalid(
        f"'{tag[1]}' is no code of a language that is known.",
        hint=f"{f'Is it {told}? ' if told else ''}Say a code of ISO 639-1, such as de, or the language's name.",
        param="language",
        code="unknown_language",
    )


def name_of(language: str) -> str:
    """As a model is told it: the English name of a code, and anything else as it was said."""
    code, said = code_of(language), language.strip()
    if not code or said.casefold() in _BY_NAME:
        return said
    return _name(code) if said.lower() == code else f"{_name(code)} ({said})"


def _name(code: str) -> str:
    return _KNOWN[code].split("|")[0]


def decimal_of(language: str) -> str:
    """What stands before the decimals of a number, `.` or `,`; "" where that is not known."""
    code = code_of(language)
    if _EITHER.fullmatch(language.strip().casefold()):
        return ""
    return "." if code in _POINT else "," if code in _COMMA else ""


def repeated_from(language: str) -> int:
    """So many words in a row, twice, are a repetition."""
    return _LONG_ROW if code_of(language) in _ARTICLES else _ROW


def tokens_of(words: int, language: str) -> int:
    """Tokens that so many words take, with some to spare: one of English has about one and a third, and of languages
    with compounds, cases or another script two and more."""
    english = not language.strip() or code_of(language) == "en"
    return int(words * (2.2 if english else 3.3)) + 400
