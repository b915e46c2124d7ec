"""Tool calls: which tool, with which arguments, and what to say once the result is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recipes.pebble.beyond import NO_NEWS, NO_SUMS, TOPICS, UNKNOWN
from recipes.pebble.dialogue import Dialogue, Message, Tool, Turn, call, say
from recipes.pebble.stream import Stream
from recipes.pebble.tasks import city, clock, person
from recipes.pebble.words import COLOURS, DAYS, EVENTS, ITEMS, ROOMS, split

NO_TOOL = "I have no tool for that."
NEARBY = {
    NO_SUMS: ("sum",),
    NO_NEWS: ("weather", "time", "alarm", "timer", "message", "light", "music", "search"),
    UNKNOWN: ("search", "sum"),
}
"""Abilities that a prompt with this answer might call for after all."""
SKIES = split("sunny cloudy rainy windy snowy foggy stormy")
MUSIC = split("jazz rock opera piano folk pop blues")
NOTES = split(
    "I am late;see you soon;dinner is ready;call me back;happy birthday;the train is here;"
    "bring some milk;good luck;come home",
    ";",
)


@dataclass(frozen=True)
class Ability:
    """A kind of tool under several names, with the prompts that need it."""

    names: list[str]
    parameters: list[list[str]]
    prompts: list[str]
    values: Callable[[Stream], list[Any]]
    result: Callable[[Stream, list[Any]], tuple[str, str]]
    """A tool result and the answer in words, from the arguments."""
    numeric: tuple[bool, ...] = (False, False)


def _fields(stream: Stream, *pairs: tuple[list[str], Any]) -> str:
    return json.dumps({stream.pick(keys): value for keys, value in pairs})


def _weather(stream: Stream, values: list[Any]) -> tuple[str, str]:
    sky, degrees = stream.pick(SKIES), stream.between(1, 35)
    if stream.chance(25):
        return sky, f"It is {sky} in {values[0]}."
    pairs: list[tuple[list[str], Any]] = [
        (["weather", "sky", "condition"], sky),
        (["temperature", "degrees"], degrees),
    ]
    if stream.chance(40):
        pairs.insert(0, (["city", "location"], values[0]))
    return _fields(stream, *pairs), f"It is {sky} in {values[0]}, at {degrees} degrees."


def _time(stream: Stream, values: list[Any]) -> tuple[str, str]:
    time = clock(stream)
    return (time if stream.chance(30) else _fields(stream, (["time", "now"], time))), f"It is {time} in {values[0]}."


def _sum_result(stream: Stream, _: list[Any]) -> tuple[str, str]:
    number = stream.between(0, stream.pick([20, 200, 2000]))
    return (
        str(number) if stream.chance(50) else _fields(stream, (["result", "value"], number))
    ), f"The result is {number}."


def _done(template: str) -> Callable[[Stream, list[Any]], tuple[str, str]]:
    def result(stream: Stream, values: list[Any]) -> tuple[str, str]:
        said = stream.pick(["ok", "done", '{"ok": true}', '{"status": "ok"}', '{"status": "done"}'])
        return said, template.format(*values)

    return result


def _found(stream: Stream, values: list[Any]) -> tuple[str, str]:
    number = stream.between(2, 99)
    return _fields(stream, (["results", "count", "found"], number)), f"I found {number} results for {values[0]}."


def _expression(stream: Stream) -> list[Any]:
    a, b = (stream.between(1, stream.pick([10, 99, 99, 999])) for _ in range(2))
    return [f"{a} {stream.pick(['+', '-', '*', '/'])} {b}"]


ABILITIES: dict[str, Ability] = {
    "weather": Ability(
        ["get_weather", "weather", "current_weather", "weather_lookup", "get_current_weather"],
        [["city", "location", "place"]],
        [
            "What is the weather in {}?",
            "How is the weather in {}?",
            "Weather in {}?",
            "Tell me the weather in {}.",
            "Is it raining in {}?",
            "What is the weather like in {}?",
            "Is it cold in {}?",
            "I am going to {}. How is the weather?",
            "Do I need a coat in {}?",
            "What is the temperature in {}?",
        ],
        lambda s: [city(s)],
        _weather,
    ),
    "time": Ability(
        ["get_time", "current_time", "time_in", "clock", "get_current_time"],
        [["city", "location", "place"]],
        [
            "What time is it in {}?",
            "Time in {}?",
            "Tell me the time in {}.",
            "How late is it in {}?",
            "What is the time in {}?",
            "Is it late in {}?",
        ],
        lambda s: [city(s)],
        _time,
    ),
    "sum": Ability(
        ["calculator", "calculate", "math", "evaluate", "compute"],
        [["expression", "formula", "input"]],
        [
            "What is {}?",
            "{}",
            "Calculate {}.",
            "How much is {}?",
            "Compute {}.",
            "{} = ?",
            "Can you calculate {}?",
            "Please work out {}.",
        ],
        _expression,
        _sum_result,
    ),
    "alarm": Ability(
        ["set_alarm", "alarm", "wake_up"],
        [["time", "at"]],
        [
            "Set an alarm for {}.",
            "Wake me up at {}.",
            "Alarm at {}, please.",
            "I have to get up at {}.",
            "Set my alarm to {}.",
        ],
        lambda s: [clock(s)],
        _done("The alarm is set for {}."),
    ),
    "timer": Ability(
        ["set_timer", "timer", "start_timer"],
        [["minutes", "duration"]],
        [
            "Set a timer for {} minutes.",
            "Timer, {} minutes.",
            "Remind me in {} minutes.",
            "Start a timer of {} minutes.",
            "Count down {} minutes.",
        ],
        lambda s: [s.between(2, 90)],
        _done("The timer runs for {} minutes."),
        numeric=(True,),
    ),
    "message": Ability(
        ["send_message", "message", "send_text", "send"],
        [["to", "recipient", "name"], ["text", "message", "body"]],
        ["Send a message to {}: {}", "Tell {}: {}", "Write to {}: {}", "Text {}: {}", "Send {} this message: {}"],
        lambda s: [person(s), s.pick(NOTES)],
        _done("I sent the message to {}."),
    ),
    "event": Ability(
        ["add_event", "create_event", "calendar", "schedule"],
        [["title", "event", "name"], ["day", "date"]],
        [
            "Put a {} on {} in my calendar.",
            "Plan a {} for {}.",
            "Add a {} on {}.",
            "Schedule a {} on {}.",
            "I have a {} on {}. Please note it.",
        ],
        lambda s: [s.pick(EVENTS), s.pick(DAYS)],
        _done("The {} on {} is in your calendar."),
    ),
    "light": Ability(
        ["set_light", "light", "switch_light"],
        [["room", "place"], ["colour", "color"]],
        [
            "Make the light in the {} {}.",
            "Set the {} light to {}.",
            "Turn the {} lamp {}.",
            "In the {} I want {} light.",
        ],
        lambda s: [s.pick(ROOMS), s.pick(COLOURS)],
        _done("The light in the {} is {} now."),
    ),
    "music": Ability(
        ["play_music", "play", "music"],
        [["genre", "style", "music"]],
        ["Play some {}.", "Play {} music.", "I want to hear {}.", "Put on some {}.", "Some {}, please."],
        lambda s: [s.pick(MUSIC)],
        _done("I am playing {} for you."),
    ),
    "search": Ability(
        ["search", "web_search", "search_web", "look_up"],
        [["query", "q", "text"]],
        [
            "Search for {}.",
            "Look up {}.",
            "Search the web for {}.",
            "Find something about {}.",
            "What can you find about {}?",
        ],
        lambda s: [s.pick(TOPICS)],
        _found,
    ),
    "list": Ability(
        ["add_item", "add_to_list", "shopping_list"],
        [["item", "name", "product"], ["quantity", "count", "number"]],
        [
            "Put {1} {0}s on my list.",
            "Add {1} {0}s to my list.",
            "I need {1} {0}s, please add them.",
            "Note {1} {0}s on the shopping list.",
        ],
        lambda s: [s.pick(ITEMS), s.between(2, 40)],
        _done("I added {1} {0}s to your list."),
        numeric=(False, True),
    ),
}


def tool(name: str, parameters: list[str], numeric: tuple[bool, ...]) -> Tool:
    """A tool in the OpenAI shape."""
    types = {p: {"type": "integer" if number else "string"} for p, number in zip(parameters, numeric, strict=False)}
    schema = {"type": "object", "properties": types, "required": parameters}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def offered(stream: Stream, ability: str) -> Tool:
    """A tool of this ability under drawn names."""
    it = ABILITIES[ability]
    return tool(stream.pick(it.names), [stream.pick(choices) for choices in it.parameters], it.numeric)


def others(stream: Stream, ability: str, count: int) -> list[Tool]:
    """Tools of other abilities."""
    kinds = [kind for kind in ABILITIES if kind != ability]
    return [offered(stream, kind) for kind in stream.some(kinds, count)]


def use(stream: Stream) -> Dialogue:
    """A prompt that needs one of the tools offered: the call, and mostly the answer after its result."""
    ability = stream.pick(list(ABILITIES))
    it = ABILITIES[ability]
    right = offered(stream, ability)
    tools = others(stream, ability, stream.below(4))
    tools.insert(stream.below(len(tools) + 1), right)
    values = it.values(stream)
    function = right["function"]
    arguments = dict(zip(function["parameters"]["required"], values, strict=True))
    messages: list[Message] = [
        say("user", stream.pick(it.prompts).format(*values)),
        call(function["name"], arguments),
    ]
    if stream.chance(50):
        result, answer = it.result(stream, values)
        if stream.chance(8):
            fault = stream.pick(["not found", "timeout", "no connection", "not allowed"])
            result, answer = json.dumps({"error": fault}), f"The tool failed: {fault}."
        messages += [say("tool", result), say("assistant", answer)]
    return Dialogue("tool", messages, tuple(tools))


def missing(stream: Stream) -> Dialogue:
    """A prompt that needs a tool which is not among those offered."""
    ability = stream.pick(list(ABILITIES))
    it = ABILITIES[ability]
    tools = others(stream, ability, stream.between(1, 3))
    asked = stream.pick(it.prompts).format(*it.values(stream))
    return Dialogue("no tool", [say("user", asked), say("assistant", NO_TOOL)], tuple(tools))


def idle(stream: Stream, turn: Turn) -> Dialogue:
    """A prompt that needs no tool although some are offered."""
    fitting = NEARBY.get(turn.answer, ())
    kinds = [kind for kind in ABILITIES if kind not in fitting]
    tools = [offered(stream, kind) for kind in stream.some(kinds, stream.between(1, 3))]
    answer = NO_TOOL if turn.answer in (NO_SUMS, NO_NEWS) else turn.answer
    return Dialogue(turn.kind, [say("user", turn.user), say("assistant", answer)], tuple(tools))


__all__ = ["ABILITIES", "NO_TOOL", "idle", "missing", "offered", "others", "tool", "use"]
