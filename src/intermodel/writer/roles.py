"""The five agents: a prompt each, what each answers with, and how large its answer may be."""

from __future__ import annotations

import functools
from importlib import resources
from types import GenericAlias
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import orjson
from pydantic import BaseModel, Field, create_model
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from intermodel.writer.language import tokens_of
from intermodel.writer.text import Room
from intermodel.writer.values import Answer, Brief, Role

TRIES = 5
"""So often a model may answer with what its schema does not allow."""
TEMPERATURE = {Role.RESEARCHER: 0.2, Role.PLANNER: 0.3, Role.WRITER: 0.6, Role.CRITIC: 0.0, Role.EDITOR: 0.3}
IN_WORDS = "Answer with one JSON object and nothing else: no words before or after it. It keeps to this JSON schema:"
_SCHEMA = 1400
"""Characters of the longest schema."""
T = TypeVar("T", bound=Answer)


@functools.cache
def prompt(role: Role) -> str:
    return (resources.files("intermodel.writer") / "prompts" / f"{role}.md").read_text(encoding="utf-8").strip()


def agent(
    role: Role, model: Model, output: type, room: Room, wanted: int, *, prompted: bool = False
) -> Agent[None, Any]:
    """An agent for one step. A structured answer is held to its schema by the model's server, or, `prompted`, asked for
    in words; a text is plain."""
    kind: Any = output
    told = prompt(role)
    if issubclass(output, Answer):
        held = bounded(output, room.small)
        kind = NativeOutput(held, name=output.__name__)
        if prompted:  # in one message with the prompt: not every server takes two of a system
            kind = PromptedOutput(held, name=output.__name__, template=False)
            told = f"{told}\n\n{IN_WORDS}\n{orjson.dumps(held.model_json_schema()).decode()}"
    return Agent(
        model,
        output_type=kind,
        instructions=told,
        retries={"output": TRIES - 1},
        model_settings=ModelSettings(
            max_tokens=room.answer(wanted), temperature=TEMPERATURE[role], parallel_tool_calls=False,
            framing_announcement="never",  # else a message of the system between others, which many servers refuse
        ),
    )  # fmt: skip


def prompt_length(role: Role, *, prompted: bool) -> int:
    """Characters that go before a question."""
    return len(prompt(role)) + (len(IN_WORDS) + _SCHEMA if prompted else 0)


def tokens_wanted(role: Role, brief: Brief) -> int:
    """Tokens that an answer of the role takes, with some to spare."""
    if role in (Role.WRITER, Role.EDITOR):
        return tokens_of(brief.words, brief.language)
    return {Role.RESEARCHER: 1500, Role.PLANNER: 1500, Role.CRITIC: 2500}[role]


@functools.cache
def bounded(model: type[T], small: bool) -> type[T]:
    """The same with bounds on every text and list, so that an answer fits into what is left of a context."""
    most_text, most_items = (40, 2) if small else (2000, 24)
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = get_origin(field.annotation) or field.annotation
        most = most_text if kind is str else most_items if kind is list else None
        inner = _inner(field.annotation, small, most_text)
        fields[name] = (Annotated[inner, *field.metadata, Field(max_length=most)], ...)  # every field is asked for
    return create_model(model.__name__, __base__=model, **fields)


def _inner(kind: Any, small: bool, most_text: int) -> Any:
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        inner = Annotated[str, Field(max_length=most_text)] if item is str else _inner(item, small, most_text)
        return GenericAlias(list, (inner,))
    if get_origin(kind) is Literal or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return kind
    return bounded(kind, small)
