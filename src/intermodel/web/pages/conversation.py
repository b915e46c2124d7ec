"""A conversation with up to three models, as a value that a page carries from form to form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from intermodel.core import Invalid
from intermodel.web.pages.forms import Form

MOST_MODELS = 3
MOST_TURNS = 40
MOST_CHARACTERS = 200_000
"""Of all turns together; the oldest are left out of what the page carries on."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(_Value):
    """What one model made of a question. static/chat.js builds the same."""

    model: str
    state: Literal["done", "stopped", "broken", "failed"] = "done"
    text: str = ""
    thinking: str = ""
    error: str = ""
    meta: str = ""
    """How long it took, and who answered where a route was asked."""


class Turn(_Value):
    prompt: str
    answers: Annotated[list[Answer], Field(max_length=MOST_MODELS)]

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(answer.text) + len(answer.thinking) for answer in self.answers)


_TURNS = TypeAdapter(list[Turn])


@dataclass(frozen=True, slots=True)
class Asked:
    """The form of the chat page."""

    models: tuple[str, ...] = ()
    prompt: str = ""
    system: str = ""
    temperature: str = ""
    max_tokens: str = ""
    turns: tuple[Turn, ...] = ()

    @classmethod
    def of(cls, form: Form) -> Asked:
        """Raises `Invalid` for a form that the page would not have sent."""
        return cls(
            models=tuple(dict.fromkeys(form.texts("model")))[:MOST_MODELS],
            prompt=form.text("prompt").replace("\r\n", "\n"),
            system=form.text("system").replace("\r\n", "\n"),
            temperature=form.text("temperature"),
            max_tokens=form.text("max_tokens"),
            turns=read_turns(form.text("history")),
        )

    def body(self, model: str) -> dict[str, Any]:
        """The request to `model` in OpenAI's form. It sees its own answers, not those of the others."""
        messages = [{"role": "system", "content": self.system}] if self.system.strip() else []
        for turn in self.turns:
            for answer in turn.answers:
                if answer.model == model and answer.text:
                    messages.append({"role": "user", "content": turn.prompt})
                    messages.append({"role": "assistant", "content": answer.text})
        messages.append({"role": "user", "content": self.prompt})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if self.temperature:
            body["temperature"] = _number(float, self.temperature, "temperature")
        if self.max_tokens:
            body["max_tokens"] = _number(int, self.max_tokens, "max_tokens")
        return body


def read_turns(text: str) -> tuple[Turn, ...]:
    """The turns that `write_turns` wrote. Raises `Invalid`."""
    try:
        return tuple(_TURNS.validate_json(text)) if text else ()
    except ValidationError:
        raise Invalid("The conversation so far cannot be read.", hint="Begin a new one.") from None


def write_turns(turns: tuple[Turn, ...]) -> str:
    return _TURNS.dump_json(list(turns)).decode()


def recent(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The last turns, as many as a page may carry."""
    kept = turns[-MOST_TURNS:]
    while len(kept) > 1 and sum(map(len, kept)) > MOST_CHARACTERS:
        kept = kept[1:]
    return kept


def _number(kind: type[int] | type[float], text: str, param: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"'{param}' is not a number: {text[:40]}.", param=param) from None
