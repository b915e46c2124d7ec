"""The guard `hidden-text`: text in a form that hides something from its reader, or that poses as someone else's words.

It sees form only. It neither knows nor claims whether a text means harm: many attacks have none of these forms, and
a text about such attacks has them.
"""

from __future__ import annotations

from functools import cache

from intermodel.guards.actions import actions, no_options
from intermodel.guards.rules import Rule, Rules
from intermodel.guards.scan import RuleGuard
from intermodel.guards.views import folded
from intermodel.settings import GuardTable

_TAG, _TAG_END, _BIDI, _ZERO_WIDTH, _VARIATION, _FLAG = "\x81\x82\x83\x84\x85\x86"
_SEEN_AS = (
    dict.fromkeys(range(0x80, 0xA0), "?")
    | dict.fromkeys(range(0xE0020, 0xE007F), _TAG)
    | {0xE0001: _TAG, 0xE007F: _TAG_END, 0x1F3F4: _FLAG}
    | dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), _BIDI)
    | dict.fromkeys((0x180E, 0x200B, 0x200C, 0x200D, *range(0x2060, 0x2065), 0xFEFF), _ZERO_WIDTH)
    | dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)), _VARIATION)
    | {0xA0: " ", 0x2019: "'", 0xFF5C: "|"}
)
_NO_LEAD = r""
_SPACE = r"[ \t\r\n]{1,4}"
_ANY_WORDS = r"(?:[A-Za-z']{1,12}" + _SPACE + r"){0,3}"


def _one_of(words: str) -> str:
    return f"(?i:{words}){_SPACE}"


def _some_of(words: str) -> str:
    return f"(?:{_one_of(words)}){{0,2}}"


RULES = (
    # the flags of England, Scotland and Wales are written with tags
    Rule("", rf"{_FLAG}{_TAG}{{3,6}}{_TAG_END}", lead=_NO_LEAD),
    Rule("unicode_tags", rf"[{_TAG}{_TAG_END}]", lead=_NO_LEAD, tail=f"[{_TAG}{_TAG_END}]"),
    Rule("bidi_control", rf"{_BIDI}", lead=_NO_LEAD),
    # one or two join emoji and letters of many scripts; a run of them writes nothing
    Rule("zero_width_run", rf"{_ZERO_WIDTH}{{3}}", lead=_NO_LEAD, tail=f"[{_ZERO_WIDTH}{_VARIATION}]"),
    Rule("variation_run", rf"{_VARIATION}{{3}}", lead=_NO_LEAD, tail=f"[{_VARIATION}]"),
    Rule(
        "role_tag",
        r"(?:<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|begin_of_text|start_header_id"
        r"|end_header_id|start_of_role|end_of_role|end|channel|message|User|Assistant)\|>"
        r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?(?:system_prompt|system_message)>)",
        lead=_NO_LEAD,
    ),
    Rule(
        "override_phrase",
        _one_of("ignore|disregard|forget|override|bypass") + _ANY_WORDS
        + _one_of("previous|prior|above|earlier|preceding|existing|original") + _ANY_WORDS
        + r"(?i:instructions|instruction|prompts|prompt|rules|messages|guidelines|directives|directions)\b",
    ),
    Rule(
        "override_phrase",
        _one_of("ignore|disregard|forget|override") + _some_of("all|any|of") + _one_of("your|the|my")
        + _one_of("system|developer|safety|initial") + r"(?i:instructions|prompt|message|rules|guidelines)\b",
    ),
    Rule(
        "override_phrase",
        _one_of("reveal|print|repeat|show|output|leak") + _ANY_WORDS + _one_of("your|the")
        + _some_of("hidden|full|entire|exact|secret|initial") + _one_of("system")
        + r"(?i:prompt|message|instructions)\b",
    ),
)  # fmt: skip

GROUPS = {
    "invisible": frozenset({"unicode_tags", "bidi_control", "zero_width_run", "variation_run"}),
    "posing": frozenset({"role_tag", "override_phrase"}),
}


def hidden_text(name: str, settings: GuardTable) -> RuleGuard:
    """The factory. Raises `Invalid` for an action on a kind that does not exist, and for options."""
    no_options(name, settings)
    return RuleGuard(name, rules(), seen, actions(name, settings, GROUPS))


@cache
def rules() -> Rules:
    return Rules(RULES)


def seen(text: str) -> bytes:
    """A view with a byte of its own for each class of characters that are not seen."""
    return folded(text, _SEEN_AS)
