"""`intermodel chat`: talk to a model in the terminal."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import orjson
import typer

from intermodel.cli.local import tokens_of
from intermodel.cli.node import Url, address_of
from intermodel.cli.output import Config, Data, Json, err, out, plain, print_json, read_settings
from intermodel.core import Invalid, NotFound, Unavailable, Upstream
from intermodel.providers.http import Http, Origin, Response
from intermodel.settings import Settings

DEFAULT_MODEL = "intermodel/pebble"
PATIENCE_S = 3600.0
"""Longest silence of the node; whoever sits before the terminal has Ctrl-C."""


@dataclass(slots=True)
class Talk:
    """A conversation with one model of a node, and how to reach it."""

    api: str
    token: str
    model: str
    messages: list[dict[str, str]] = field(default_factory=list)


def chat(
    question: Annotated[str | None, typer.Argument(help="Ask this and end; '-' reads it from standard input.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Address or route.")] = DEFAULT_MODEL,
    system: Annotated[str | None, typer.Option(help="Instructions that come before the conversation.")] = None,
    url: Url = None,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Talk to a model. Ctrl-C stops an answer; Ctrl-D ends the conversation.

    Examples:

        intermodel chat

        intermodel chat "What is the capital of France?"

        git diff | intermodel chat - --model fast
    """
    settings = read_settings(data, config)
    if question == "-" or (question is None and not sys.stdin.isatty()):
        question = sys.stdin.read()
        if not question.strip():
            raise Invalid("Standard input is empty.", hint="Pipe a question in, or give it as an argument.")
    with asyncio.Runner() as runner:
        talk = Talk(*runner.run(_reach(settings, url)), model=model)
        if system:
            talk.messages.append({"role": "system", "content": system})
        try:
            if question is not None:
                _ask_once(runner, talk, question, as_json=as_json)
            else:
                _converse(runner, talk)
        finally:
            if settings.token is None and url is None:
                runner.run(_forget(settings, talk.token))


async def _reach(settings: Settings, url: str | None) -> tuple[str, str]:
    """Address of the API and a token for it: the given one, or one made for this conversation."""
    base = address_of(settings, url)
    if settings.token is not None:
        return f"{base}/v1", settings.token.get_secret_value()
    async with tokens_of(settings) as tokens:
        return f"{base}/v1", (await tokens.create("intermodel chat", lasts=timedelta(hours=12)))[1]


async def _forget(settings: Settings, token: str) -> None:
    async with tokens_of(settings) as tokens:
        await tokens.forget(token.split("_")[1])


def _ask_once(runner: asyncio.Runner, talk: Talk, question: str, *, as_json: bool) -> None:
    talk.messages.append({"role": "user", "content": question})
    if not as_json:
        runner.run(_answer(talk))
        return
    began = time.monotonic()
    text = runner.run(_collect(talk))
    print_json({"model": talk.model, "answer": text, "seconds": round(time.monotonic() - began, 3)})


def _converse(runner: asyncio.Runner, talk: Talk) -> None:
    out.print(f"[dim]Talking to[/] [bold]{talk.model}[/][dim]. Ctrl-C stops an answer, Ctrl-D ends.[/]")
    while True:
        try:
            question = out.input("[bold cyan]> [/]").strip()
        except (EOFError, KeyboardInterrupt):
            out.print()
            return
        if not question:
            continue
        talk.messages.append({"role": "user", "content": question})
        try:
            talk.messages.append({"role": "assistant", "content": runner.run(_answer(talk))})
        except KeyboardInterrupt:
            out.print("[dim](stopped)[/]")
            talk.messages.pop()
        except (Upstream, Invalid, NotFound, Unavailable) as error:
            err.print(plain(error, "\n"), style="red", markup=False, emoji=False)
            talk.messages.pop()


async def _answer(talk: Talk) -> str:
    """Print the answer as it comes; returns all of it."""
    began, text, pieces = time.monotonic(), "", 0
    async for piece in _pieces(talk):
        # a model's output is not trusted with the terminal either: no escape sequences
        out.print(_printable(piece), end="", markup=False, soft_wrap=True)
        text, pieces = text + piece, pieces + 1
    seconds = time.monotonic() - began
    out.print(f"\n[dim]{pieces / seconds:.0f} pieces/s, {seconds:.1f} s[/]" if sys.stdout.isatty() else "")
    return text


async def _collect(talk: Talk) -> str:
    return "".join([piece async for piece in _pieces(talk)])


async def _pieces(talk: Talk) -> AsyncIterator[str]:
    """The pieces of the next answer. Raises what the node answered as this project's errors."""
    body = orjson.dumps({"model": talk.model, "messages": talk.messages, "stream": True})
    headers = {"Authorization": f"Bearer {talk.token}", "Content-Type": "application/json"}
    http = Http()
    try:
        try:
            response = await http.post(
                Origin(talk.api, private=True),
                "/chat/completions",
                body,
                headers=headers,
                silence_s=PATIENCE_S,
                name="The node",
            )
        except Upstream as error:
            raise Unavailable(error.message, hint="Does it still run?") from None
        if response.status != 200:
            raise _error(await response.error_body(), response.status)
        async for line in _lines(response):
            if line.startswith(b"data: {"):
                yield _piece(orjson.loads(line[6:]))
            elif line.startswith(b"data: [DONE]"):
                return
    finally:
        await http.close()
    raise Upstream("The answer broke off.", hint="Ask again.")


async def _lines(response: Response) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await response.read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _piece(event: dict[str, Any]) -> str:
    if "error" in event:
        raise Upstream(event["error"]["message"], code=event["error"].get("code"))
    choices = event.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


def _error(body: bytes, status: int) -> NotFound | Invalid | Unavailable | Upstream:
    try:
        message = orjson.loads(body)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"The node answered {status}."
    kind = {404: NotFound, 503: Unavailable}.get(status, Invalid if status < 500 else Upstream)
    return kind(message)  # type: ignore[return-value]


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
