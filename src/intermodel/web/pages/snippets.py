"""How to call a model from outside, ready to be pasted. The token is named, never shown."""

from __future__ import annotations

import json
from dataclasses import dataclass

TOKEN = "INTERMODEL_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Snippet:
    title: str
    before: str
    """What must be there first."""
    text: str


def snippets(origin: str, model: str, *, embeds: bool = False) -> list[Snippet]:
    """For curl, the `openai` client, and (if the model talks) the `llm` command."""
    shown = [_curl(origin, model, embeds), _python(origin, model, embeds)]
    return shown if embeds else [*shown, _llm(origin, model)]


def _curl(origin: str, model: str, embeds: bool) -> Snippet:
    asked = {"input": "Hello"} if embeds else {"messages": [{"role": "user", "content": "Hello"}]}
    body = json.dumps({"model": model} | asked)
    text = (
        f"curl {origin}/v1/{'embeddings' if embeds else 'chat/completions'} \\\n"
        f'  -H "Authorization: Bearer ${TOKEN}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'\n"
    )
    return Snippet("curl", "", text)


def _python(origin: str, model: str, embeds: bool) -> Snippet:
    ask = (
        f'reply = client.embeddings.create(model={json.dumps(model)}, input="Hello")\nprint(reply.data[0].embedding)\n'
        if embeds
        else "reply = client.chat.completions.create(\n"
        f"    model={json.dumps(model)},\n"
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        ")\n"
        "print(reply.choices[0].message.content)\n"
    )
    text = (
        "import os\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{origin}/v1", api_key=os.environ["{TOKEN}"])\n{ask}'
    )
    return Snippet("Python", "pip install openai", text)


def _llm(origin: str, model: str) -> Snippet:
    name = json.dumps(model)
    text = (
        'cat >> "$(dirname "$(llm logs path)")/extra-openai-models.yaml" <<\'END\'\n'
        f"- model_id: {name}\n"
        f"  model_name: {name}\n"
        f'  api_base: "{origin}/v1"\n'
        "  api_key_name: intermodel\n"
        "END\n"
        f'llm keys set intermodel --value "${TOKEN}"\n'
        f"llm -m {model} 'Hello'\n"
    )
    return Snippet("llm", "pip install llm", text)
