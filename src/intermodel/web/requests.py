"""What the requests of all protocols have in common: their forms are open, and a mistake is told with its place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from intermodel.core import Invalid


class Open(BaseModel):
    """Fields that are not named go on to the upstream as they are."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


def explained(error: ValidationError, vendor: str, place: str = "") -> Invalid:
    """The first mistake, in words, with the path of its field below `place`."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = (place + ".".join(map(str, first["loc"]))).rstrip(".")
    said = first["msg"].removeprefix("Value error, ")
    said = "this field is missing" if first["type"] == "missing" else said[0].lower() + said[1:]
    return Invalid(f"'{param}': {said}.", hint=f"See the API reference of {vendor} for its form.", param=param)
