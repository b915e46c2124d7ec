"""How a dialogue becomes text: ChatML, with tools as one signature a line. The Jinja and the Python agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from recipes.pebble.dialogue import Message, Tool

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
)

CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] + '\\n' }}
    {%- endif %}
    {{- '<tools>\\n' }}
    {%- for tool in tools %}
        {%- set function = tool['function'] if tool['function'] is defined else tool %}
        {{- function['name'] + '(' }}
        {%- if function['parameters'] is defined and function['parameters']['properties'] is defined %}
            {%- for name in function['parameters']['properties'] %}
                {{- name }}{%- if not loop.last %}{{- ', ' }}{%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- ')\\n' }}
    {%- endfor %}
    {{- '</tools><|im_end|>\\n' }}
{%- elif messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'user' or (message['role'] == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
    {%- elif message['role'] == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message['content'] %}
            {{- message['content'] }}
        {%- endif %}
        {%- for tool_call in message['tool_calls'] or [] %}
            {%- if message['content'] or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {%- set function = tool_call['function'] if tool_call['function'] is defined else tool_call %}
            {{- '<tool_call>\\n{"name": "' + function['name'] + '", "arguments": ' }}
            {{- function['arguments'] if function['arguments'] is string else function['arguments'] | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message['role'] == 'tool' %}
        {{- '<|im_start|>tool\\n<tool_response>\\n' + message['content'] + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


@dataclass(frozen=True)
class Piece:
    """A stretch of a rendered dialogue, and whether the model has to write it."""

    text: str
    is_answer: bool


def signature(tool: Tool) -> str:
    """A tool as the prompt shows it: its name and the names of its parameters."""
    function = tool["function"]
    return f"{function['name']}({', '.join(function['parameters']['properties'])})"


def answer(message: Message) -> str:
    """What the assistant writes for this message, up to the end marker."""
    calls = [
        f'<tool_call>\n{{"name": "{made["function"]["name"]}", '
        f'"arguments": {json.dumps(made["function"]["arguments"])}}}\n</tool_call>'
        for made in message.get("tool_calls", ())
    ]
    return "\n".join([message["content"], *calls] if message["content"] else calls)


def render(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[Piece]:
    """The dialogue as pieces of text; joined, they equal what the Jinja template writes."""
    pieces = []
    opening = messages[0]["content"] if messages[0]["role"] == "system" else None
    if tools:
        lines = "".join(signature(tool) + "\n" for tool in tools)
        before = f"{opening}\n" if opening is not None else ""
        pieces.append(Piece(f"<|im_start|>system\n{before}<tools>\n{lines}</tools><|im_end|>\n", False))
    elif opening is not None:
        pieces.append(Piece(f"<|im_start|>system\n{opening}<|im_end|>\n", False))
    for message in messages[1:] if opening is not None else messages:
        role = message["role"]
        if role == "assistant":
            pieces += [
                Piece("<|im_start|>assistant\n", False),
                Piece(f"{answer(message)}<|im_end|>", True),
                Piece("\n", False),
            ]
        elif role == "tool":
            body = f"<tool_response>\n{message['content']}\n</tool_response>"
            pieces.append(Piece(f"<|im_start|>tool\n{body}<|im_end|>\n", False))
        else:
            pieces.append(Piece(f"<|im_start|>{role}\n{message['content']}<|im_end|>\n", False))
    return pieces


def prompt(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
    """The text after which the model writes its answer."""
    return "".join(piece.text for piece in render(messages, tools)) + "<|im_start|>assistant\n"
