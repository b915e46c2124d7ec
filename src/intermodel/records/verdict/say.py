"""What a fact of a licence says, in a sentence. Pure."""

from __future__ import annotations

import re

from intermodel.records.licences import Code, Said

WORDS = {
    "commercial": "commercial use", "research": "research use", "redistribution": "passing it on",
    "derivatives": "changing it", "outputs_train_models": "training other models on its outputs",
    "serve": "serving it to others", "outputs": "use of its outputs",
}  # fmt: skip
"""What may be permitted."""

LIMITS = {
    "use_restrictions": "which uses it rules out is not known",
    "scale_limit": "whether it sets a limit of size is not known",
    "geo_limit": "whether it leaves out places is not known",
}
"""What may be limited, where nobody knows whether it is."""

_ANSWERED = re.compile(r"(?:yes|no)\b(?P<rest>.*)", re.DOTALL)
_VERBS = {
    Code.ALLOW: "is allowed", Code.CONDITIONAL: "is allowed", Code.PRIVATE: "is allowed for oneself only",
    Code.DENY: "is not allowed", Code.NONE: "is free", Code.USE_LIMITS: "is limited",
    Code.SAME_TERMS: "is under the same terms",
}  # fmt: skip
_WHOLE = {
    "treat as not granted": "{what} is not granted",
    "no weights offered": "{what} is not possible: its weights are not offered",
}


def say(name: str, said: Said) -> str:
    """What a licence says of one matter: `commercial use is not allowed`."""
    if name in LIMITS:
        return f"it is not for every place: {said.words}" if name == "geo_limit" else said.words
    what = WORDS[name]
    if said.words in _WHOLE:
        return _WHOLE[said.words].format(what=what)
    if said.code is Code.UNKNOWN:
        return f"what it says of {what} is not known"
    if said.code is Code.NOT_ADDRESSED:
        return f"it says nothing of {what}"
    if (verb := _VERBS.get(said.code)) is None:
        return f"{what}: {said.words}"
    rest = said.words.removeprefix("private only: ").removeprefix("free: ")
    answered = _ANSWERED.fullmatch(rest)
    if answered:
        return f"{what} {verb}{answered['rest']}"
    condition = " on a condition" if said.code is Code.CONDITIONAL else ""
    return f"{what} {verb}{condition}: {rest}"
