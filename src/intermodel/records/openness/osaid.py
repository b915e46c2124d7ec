"""The Open Source AI Definition 1.0 (OSI, 2024-10-28): passed or not.

It asks for the four freedoms (to use, study, modify and share for any purpose, without asking), and for the preferred
form to make modifications: information about the data, the code, and the parameters. The data themselves need not be
shipped, and the documents about them need no open licence: OSI's own validation passed such models. So no licence is
asked of the data information here, other than in the Model Openness Framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.openness.approved import NONE, osi_approved
from intermodel.records.openness.grade import Grade, Ground
from intermodel.records.openness.mof import licence_of

VERSION = "OSAID 1.0"
PASSED, FAILED, UNKNOWN = "passed", "not passed", "unknown"

DATA_INFORMATION: Mapping[str, str] = {
    "training_data": "All training data are described, also those that cannot be shared",
    "data_provenance": "Where the data come from, and their scope",
    "data_selection": "How the data were selected",
    "data_labelling": "How the data were labelled",
    "data_processing": "How the data were processed and filtered",
    "data_public_sources": "A list of all public training data and where to get them",
    "data_third_party_sources": "A list of all training data that third parties give, and where to get them",
}
CODE: Mapping[str, str] = {
    "data_preprocessing_code": "Code that processes and filters the data",
    "training_code": "Code of the training",
    "evaluation_code": "Code of validation and testing",
    "inference_code": "Code of inference",
    "tokenizer": "Tokenizer",
    "architecture": "Code of the architecture",
}
_PRESENT = {Presence.OPEN: True, Presence.PARTIAL: False, Presence.CLOSED: False, Presence.UNKNOWN: None}


def grade(disclosure: Disclosure) -> Grade:
    """Passed where every ground holds, not passed where one fails, unknown where only knowledge is missing."""
    facts = tuple(_grounds(disclosure))
    failed = any(one.holds is False for one in facts)
    outcome = FAILED if failed else PASSED if all(one.holds for one in facts) else UNKNOWN
    short = sorted((one for one in facts if not one.holds), key=lambda one: one.holds is None)
    return Grade(
        "osaid",
        VERSION,
        outcome,
        None,
        None,
        facts,
        tuple(one.what if one.holds is False else f"{one.what} (unknown now)" for one in short),
    )


def _grounds(disclosure: Disclosure) -> Iterator[Ground]:
    yield _no_use_policy(disclosure.told.get("use_policy", Told()))
    for key, words in DATA_INFORMATION.items():
        one = disclosure.told.get(key, Told())
        yield Ground(words, _PRESENT[one.presence], one.source)
    for key, words in CODE.items():
        yield from _open(disclosure, key, words, "code")
    yield from _open(disclosure, "parameters", "Parameters", "data")


def _no_use_policy(policy: Told) -> Ground:
    """Any text but `none` is a policy: whether it leaves every use free is for a reader to say, not for a program."""
    text = policy.text.strip().rstrip(".").casefold()
    return Ground("No use policy: any use is free", text == "none" if text else None, policy.source)


def _open(disclosure: Disclosure, key: str, words: str, content: str) -> Iterator[Ground]:
    component = disclosure.components.get(key, Component())
    yield Ground(f"{words}: available", _PRESENT[component.presence], component.source)
    licence = licence_of(disclosure, component, content)
    named = "licence unknown" if licence is None else "no licence" if licence in NONE else licence
    approved = None if licence is None else osi_approved(licence)
    yield Ground(f"{words}: under a licence that OSI approved ({named})", approved, component.source)
