"""Three plain words: closed, open access, open source, and what is missing to the last.

Ours, after how the words are used: *closed* is what one cannot get; *open access* what one can get (behind a form or
under a restricting licence, too); *open source* what one may use for anything and can make again, because weights, code
and training data are all there under open licences. The last asks more than OSAID 1.0, which does without the data.
"""

from __future__ import annotations

from collections.abc import Mapping

from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.openness.approved import NONE, open_data, osi_approved
from intermodel.records.openness.grade import Grade, Ground
from intermodel.records.openness.mof import licence_of

VERSION = "plain words 1"
CLOSED, OPEN_ACCESS, OPEN_SOURCE, UNKNOWN = "closed", "open access", "open source", "unknown"

PARTS: Mapping[str, tuple[str, str]] = {
    "parameters": ("weights", "data"),
    "architecture": ("code of the architecture", "code"),
    "tokenizer": ("tokenizer", "code"),
    "inference_code": ("inference code", "code"),
    "training_code": ("training code", "code"),
    "data_preprocessing_code": ("code that processes the data", "code"),
    "datasets": ("training data", "data"),
}


def grade(disclosure: Disclosure) -> Grade:
    """Unknown where nobody says whether the weights can be had."""
    facts = (*(_ground(disclosure, key) for key in PARTS), _policy(disclosure.told.get("use_policy", Told())))
    missing = tuple(one.what for one in facts if not one.holds)
    return Grade("plain", VERSION, _word(disclosure, missing), None, None, facts, missing)


def _word(disclosure: Disclosure, missing: tuple[str, ...]) -> str:
    weights = disclosure.components.get("parameters", Component()).presence
    if weights in (Presence.UNKNOWN, Presence.CLOSED):
        return UNKNOWN if weights is Presence.UNKNOWN else CLOSED
    return OPEN_ACCESS if missing else OPEN_SOURCE


def _ground(disclosure: Disclosure, key: str) -> Ground:
    words, content = PARTS[key]
    component = disclosure.components.get(key, Component())
    licence = licence_of(disclosure, component, content)
    test = open_data if key == "datasets" else osi_approved
    if component.presence is not Presence.OPEN:
        return Ground(
            f"{words}: {component.presence}",
            None if component.presence is Presence.UNKNOWN else False,
            component.source,
        )
    named = "licence unknown" if licence is None else "no licence" if licence in NONE else licence
    return Ground(f"{words}: {named}", None if licence is None else test(licence), component.source)


def _policy(policy: Told) -> Ground:
    text = policy.text.strip().rstrip(".").casefold()
    return Ground("no use policy", text == "none" if text else None, policy.source)
