"""The fields of a card's head, with their types. Pure.

Source: the Hub's specification of model card metadata (hub-docs `modelcard.md`, `docs/hub/model-cards.md`). A field of
another type than it has to be is unknown, and named among `problems`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 300
"""Characters of a name, a tag, a licence."""
MOST = 2000
"""Entries of a list of names."""
MOST_RESULTS = 50_000

_URL = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<data>datasets/)?(?P<id>[\w.-]+(?:/[\w.-]+)?)/?.*")


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of `model-index`."""

    task: str
    dataset: str
    metric: str
    value: Any
    dataset_name: str = ""
    metric_name: str = ""
    config: str = ""
    split: str = ""
    source: str = ""
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Emissions:
    """`co2_eq_emissions`; `grams` of CO2 equivalent, as the Hub defines the field."""

    grams: float | None = None
    source: str = ""
    training_type: str = ""
    location: str = ""
    hardware: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Typed fields; empty where the head does not say."""

    licences: tuple[str, ...] = ()
    licence_name: str = ""
    licence_link: str = ""
    base_models: tuple[str, ...] = ()
    relation: str = ""
    """`finetune`, `adapter`, `merge`, `quantized`."""
    datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    task: str = ""
    """`pipeline_tag`."""
    library: str = ""
    metrics: tuple[str, ...] = ()
    name: str = ""
    """Of the model, as `model-index` calls it, or a data set's `pretty_name`."""
    results: tuple[Result, ...] = ()
    emissions: Emissions | None = None
    is_dataset: bool = False
    """Whether it has fields that only cards of data sets have."""
    problems: tuple[str, ...] = ()


_OF_DATASETS = frozenset({
    "task_categories", "size_categories", "dataset_info", "configs", "annotations_creators", "language_creators",
    "source_datasets", "multilinguality",
})  # fmt: skip


def view_of(fields: Mapping[str, Any]) -> View:
    """What the fields say."""
    reader = _Fields(fields)
    name, results = reader.results()
    return View(
        licences=reader.names("license"),
        licence_name=reader.name("license_name"),
        licence_link=reader.name("license_link", 2000),
        base_models=tuple(hub_id(one) for one in reader.names("base_model")),
        relation=reader.name("base_model_relation").lower(),
        datasets=tuple(hub_id(one) for one in reader.names("datasets")),
        languages=reader.names("language"),
        tags=reader.names("tags"),
        task=reader.name("pipeline_tag"),
        library=reader.name("library_name"),
        metrics=reader.names("metrics"),
        name=name or reader.name("pretty_name"),
        results=results,
        emissions=reader.emissions(),
        is_dataset=bool(_OF_DATASETS & fields.keys()),
        problems=tuple(reader.problems),
    )


def hub_id(text: str) -> str:
    """`owner/name` where a page of the Hub is given for it."""
    found = _URL.fullmatch(text)
    return found["id"] if found else text


class _Fields:
    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.problems: list[str] = []

    def name(self, key: str, most: int = LONGEST) -> str:
        value = self._fields.get(key)
        if value is None:
            return ""
        if isinstance(value, str) and len(value) <= most:
            return value.strip()
        self.problems.append(f"{key} has to be a text of at most {most} characters")
        return ""

    def names(self, key: str) -> tuple[str, ...]:
        """One text or a list of them; each once."""
        value = self._fields.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        good = [text.strip() for one in listed if (text := _text(one)) is not None]
        if len(good) < len(listed) or len(good) > MOST:
            self.problems.append(f"{key} has to be texts of at most {LONGEST} characters, at most {MOST} of them")
        return tuple(dict.fromkeys(filter(None, good[:MOST])))

    def emissions(self) -> Emissions | None:
        key = "co2_eq_emissions"
        value = self._fields.get(key)
        if value is None:
            return None
        if _number(value):
            return Emissions(grams=float(value))
        if not isinstance(value, dict):
            self.problems.append(f"{key} has to be a number of grams, or fields")
            return None
        grams = value.get("emissions")
        if grams is not None and not _number(grams):
            self.problems.append(f"{key}.emissions has to be a number of grams")
        said = {field: _short(value.get(field)) for field in _EMISSIONS}
        return Emissions(
            float(grams) if isinstance(grams, int | float) and _number(grams) else None,
            said["source"],
            said["training_type"],
            said["geographical_location"],
            said["hardware_used"],
        )

    def results(self) -> tuple[str, tuple[Result, ...]]:
        """The name and the figures of `model-index`; an entry without what is required is a problem and left out."""
        value = self._fields.get("model-index")
        if value is None:
            return "", ()
        if not isinstance(value, list):
            self.problems.append("model-index has to be a list")
            return "", ()
        found: list[Result] = []
        name = ""
        for place, model in enumerate(value):
            if not isinstance(model, dict):
                self.problems.append(f"model-index[{place}] has to be fields")
                continue
            name = name or _short(model.get("name"))
            found += self._of_model(model.get("results"), f"model-index[{place}].results", MOST_RESULTS - len(found))
        return name, tuple(found)

    def _of_model(self, results: Any, place: str, room: int) -> list[Result]:
        found: list[Result] = []
        if results is not None and not isinstance(results, list):
            self.problems.append(f"{place} has to be a list")
            return found
        for number, result in enumerate(results or ()):
            parts = _parts(result)
            if parts is None:
                self.problems.append(f"{place}[{number}] needs task.type, dataset.type and metrics")
                continue
            task, dataset, metrics, source = parts
            for metric in metrics:
                kind = _short(metric.get("type")) if isinstance(metric, dict) else ""
                if not kind or "value" not in metric:
                    self.problems.append(f"{place}[{number}].metrics needs type and value")
                elif len(found) < room:
                    found.append(_result(task, dataset, metric, kind, source))
        return found


_EMISSIONS = ("source", "training_type", "geographical_location", "hardware_used")


def _parts(result: Any) -> tuple[dict[str, Any], dict[str, Any], list[Any], dict[str, Any]] | None:
    if not isinstance(result, dict):
        return None
    task, dataset, metrics, source = (result.get(key) for key in ("task", "dataset", "metrics", "source"))
    if not isinstance(task, dict) or not isinstance(dataset, dict) or not isinstance(metrics, list):
        return None
    if not _short(task.get("type")) or not _short(dataset.get("type")):
        return None
    return task, dataset, metrics, source if isinstance(source, dict) else {}


def _result(
    task: dict[str, Any], dataset: dict[str, Any], metric: dict[str, Any], kind: str, source: dict[str, Any]
) -> Result:
    verified = metric.get("verified")
    return Result(
        task=_short(task.get("type")),
        dataset=_short(dataset.get("type")),
        metric=kind,
        value=metric["value"],
        dataset_name=_short(dataset.get("name")),
        metric_name=_short(metric.get("name")),
        config=_short(dataset.get("config")),
        split=_short(dataset.get("split")),
        source=_short(source.get("url")) or _short(source.get("name")),
        verified=verified if isinstance(verified, bool) else None,
    )


def _text(value: Any) -> str | None:
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and len(value) <= LONGEST else None


def _short(value: Any) -> str:
    """A text, cut; "" for anything else."""
    text = str(value) if type(value) is int else value
    return text.strip()[:LONGEST] if isinstance(text, str) else ""


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e18
