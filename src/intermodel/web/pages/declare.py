"""The forms that declare deployments and routes while the node runs, from and to what is declared.

What a form has no field for stands in one as TOML, so that a change loses nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intermodel.core import Conflict, IntermodelError, Invalid
from intermodel.gateway import Registry
from intermodel.providers.provider import GROUP
from intermodel.settings import Deployment, Route
from intermodel.settings.installed import installed
from intermodel.web.api.deployments import declare_deployment, deployment_names
from intermodel.web.api.routes import declare_route
from intermodel.web.pages.forms import Form

DEPLOYMENT, ROUTE = "deployment", "route"
MORE = "more"
ORDERS = {"fixed": "in the order listed", "weighted": "drawn anew for each call, by weight",
          "cheapest": "the cheapest first", "fastest": "the fastest first, as measured",
          "best": "the best first, as rated"}  # fmt: skip
_LISTS = ("key_env", "key_file", "capabilities", "candidates")
_PRICES = ("price.input", "price.output")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    DEPLOYMENT: ("provider", "base_url", "model", "key_env", "key_file", "region", *_PRICES, "context_length",
                 "capabilities"),
    ROUTE: ("candidates", "order"),
}  # fmt: skip
_DEFAULTS = {"provider": "openai", "order": "fixed"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A form as someone filled it in, or as what is declared fills it; and what is wrong with it."""

    kind: str
    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    does: str = "make"
    """`make`, `change` or `remove`."""
    error: IntermodelError | None = None

    def value(self, name: str) -> str:
        return self.values.get(name, _DEFAULTS.get(name, ""))

    @property
    def wrong(self) -> str:
        """The field at fault; "" where it is none of the form's."""
        if self.error is None:
            return ""
        if self.error.code == "key_missing":
            return "key_file" if self.values.get("key_file") and not self.values.get("key_env") else "key_env"
        if self.error.code in ("name_taken", "declared_in_file"):
            return "name"
        param = self.error.param or ""
        known = (*_FIELDS[self.kind], MORE, "name")
        found = next((name for name in (param, param.partition(".")[0]) if name in known), "")
        return found or (MORE if param and self.values.get(MORE) else "")

    def document(self) -> dict[str, Any]:
        """As `[deployments.NAME]` or `[routes.NAME]`. Raises `Invalid` where that cannot be made of it."""
        told = self._more()
        for name in _FIELDS[self.kind]:
            text = self.values.get(name, "")
            if name in _PRICES and text:
                told["price"] = {**_table(told.get("price")), name.partition(".")[2]: text}
            elif text:
                told[name] = _several(text) if name in _LISTS else text
        if self.kind == DEPLOYMENT and told.get("provider", "openai") == "openai" and not told.get("base_url"):
            raise Invalid("Its address is missing.", hint="Up to and with `/v1`.", param="base_url")
        return told

    def _more(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.values.get(MORE, ""))
        except tomllib.TOMLDecodeError as error:
            raise Invalid(f"That is not TOML: {error}.", hint="Write KEY = VALUE lines.", param=MORE) from None


def sent(form: Form) -> Draft:
    """What was sent."""
    kind = ROUTE if form.text("kind") == ROUTE else DEPLOYMENT
    values = {name: form.text(name).strip() for name in (*_FIELDS[kind], MORE)}
    does = form.text("do") if form.text("do") in ("change", "remove") else "make"
    return Draft(kind, form.text("name").strip(), values, does)


def draft_of(kind: str, name: str, declared: Deployment | Route) -> Draft:
    """The form that changes it."""
    told = declared.model_dump(mode="json", exclude_defaults=True)
    values: dict[str, str] = {}
    if kind == DEPLOYMENT and "price" in told:  # one without rates is free, which is not the same as none
        price = told.pop("price")
        values |= {f"price.{way}": price.pop(way, "0") for way in ("input", "output")}
        told |= {"price": price} if price else {}
    for field_name in _FIELDS[kind]:
        if field_name in told:
            value = told.pop(field_name)
            separator = "\n" if field_name == "candidates" else ", "
            values[field_name] = separator.join(value) if isinstance(value, list) else str(value)
    values[MORE] = "\n".join(f"{_key(key)} = {_toml(value)}" for key, value in told.items())
    return Draft(kind, name, values, "change")


async def act(registry: Registry, draft: Draft) -> None:
    """Do what was sent. Raises `Invalid`, `Refused`, `Conflict`, `NotFound`, `Unavailable`."""
    if draft.does == "remove":
        await (registry.remove_route if draft.kind == ROUTE else registry.remove_deployment)(draft.name)
        return
    told = draft.document()
    if draft.does == "make":
        await registry.renew()
        if draft.name in deployment_names(registry) | registry.declared.routes.keys():
            raise Conflict(
                f"There is a deployment or route '{draft.name}' already.",
                hint="Change it, or choose another name.",
                code="name_taken",
            )
    await (declare_route if draft.kind == ROUTE else declare_deployment)(registry, draft.name, told)


def providers() -> list[str]:
    """The wire formats that are installed."""
    return sorted(installed(GROUP))


def _several(text: str) -> list[str]:
    return [one for line in text.splitlines() for part in line.split(",") if (one := part.strip())]


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _toml(value: Any) -> str:
    """A value as TOML writes it, in one line; texts are written as in JSON."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)
