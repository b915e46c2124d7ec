"""Checks JSON against a JSON schema, both from callers. Run by path in a process that may be killed.

A schema can hold a regular expression or references that take for ever; here that costs one process, not the node.
Each line of input is a JSON list `[schema, text]`; each line of output is a JSON string, empty where all is well.
With a text of null only the schema is checked.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import referencing

MEMORY_BYTES = 2 * 1024**3
LONGEST_COMPLAINT = 300
MOST_OPTIONAL = 256
"""Optional properties of one object; of several, the sum of their squares counts, for so grows llama.cpp's grammar."""


def complaint(schema: Any, text: str | None) -> str:
    """What is wrong with the schema, or with the text measured by it; empty if nothing is."""
    try:
        if text is None:
            return _of_schema(schema)
        value = json.loads(text)
        # an own, empty registry: the default one would fetch remote references
        validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
        error = next(iter(validator.iter_errors(value)), None)
        return "" if error is None else f"{error.json_path}: {error.message}"[:LONGEST_COMPLAINT]
    except json.JSONDecodeError as error:
        return f"it is not JSON: {error}"
    except RecursionError:
        return "the schema refers to itself without end"
    except (re.error, referencing.exceptions.Unresolvable) as error:
        return str(error)[:LONGEST_COMPLAINT]


def _of_schema(schema: Any) -> str:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"{error.json_path}: {error.message}"[:LONGEST_COMPLAINT]
    if schema is False:
        return "nothing satisfies the schema false"
    squares = 0
    for part in _parts(schema):
        if problem := _of_part(part):
            return problem
        squares += _optional(part) ** 2
    if squares > MOST_OPTIONAL**2:
        return f"it has too many optional properties; {MOST_OPTIONAL} in one object are the most that can be enforced"
    return ""


def _of_part(part: dict[str, Any]) -> str:
    reference = part.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#/"):
        return f"the reference {reference[:80]!r} does not lead into the same schema"
    pattern = part.get("pattern")
    if isinstance(pattern, str):
        re.compile(pattern)
    return ""


def _optional(part: dict[str, Any]) -> int:
    properties, required = part.get("properties"), part.get("required")
    if not isinstance(properties, dict):
        return 0
    return len(properties.keys() - set(map(str, required if isinstance(required, list) else ())))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _parts(value)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin.buffer:
        schema, text = json.loads(line)
        sys.stdout.write(json.dumps(complaint(schema, text)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
