import pytest

from intermodel.core import Call, Capability, Invalid, Kind, NotFound
from intermodel.gateway import Directory, Target, choose

CHAT = frozenset({Capability.CHAT})


def target(name: str, *able: Capability) -> Target:
    return Target(name, name, name, local=False, capabilities=frozenset(able))


DIRECTORY = Directory(
    {
        "text": target("text", Capability.CHAT),
        "eyes": target("eyes", Capability.CHAT, Capability.VISION),
        "unknown": target("unknown"),
    },
    {"best": ("text", "gone", "eyes", "unknown"), "lost": ("gone",)},
)


def call(model: str, *needs: Capability) -> Call:
    return Call(Kind.CHAT, model, {}, needs=frozenset(needs) | CHAT)


def test_a_name_is_its_own_candidate() -> None:
    (only,) = choose(call("text"), DIRECTORY)
    assert (only.target.address, only.fit, only.reason) == ("text", True, "named by the caller")


def test_an_alias_keeps_its_order_and_says_why() -> None:
    chosen = choose(call("best"), DIRECTORY)
    assert [c.target.address for c in chosen] == ["text", "eyes", "unknown"]
    assert chosen[1].reason == "place 3 of alias 'best'"


def test_what_cannot_answer_is_left_out_with_the_reason() -> None:
    chosen = choose(call("best", Capability.VISION), DIRECTORY)
    assert [(c.target.address, c.fit) for c in chosen] == [("eyes", True), ("unknown", True), ("text", False)]
    assert chosen[-1].reason == "it does not offer vision"


def test_unknown_capabilities_are_not_held_against_a_deployment() -> None:
    assert choose(call("unknown", Capability.TOOLS), DIRECTORY)[0].fit


def test_when_nobody_can_it_is_the_request_that_is_wrong() -> None:
    with pytest.raises(Invalid, match="does not offer vision"):
        choose(call("text", Capability.VISION), DIRECTORY)


def test_unknown_names_get_the_nearest_one() -> None:
    with pytest.raises(NotFound, match="Did you mean text"):
        choose(call("txt"), DIRECTORY)
    with pytest.raises(NotFound, match="None of the candidates"):
        choose(call("lost"), DIRECTORY)
    with pytest.raises(NotFound, match="intermodel models add"):
        choose(call("x"), Directory())
