"""What a card discloses in words: its sections and fields by what they are about. Pure.

Headings and fields are those of the Hub's annotated card template (huggingface_hub `modelcard_template.md`), of its
template for data sets, of the European Commission's template for the summary of training content, and the usual others.
A heading that says more than the subject tells it in part. What the template itself says is not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intermodel.records.card.languages import FOREIGN
from intermodel.records.card.placeholders import says_nothing
from intermodel.records.card.sections import LONGEST, Field, Section, plain, quoted
from intermodel.records.card.view import View
from intermodel.records.disclosure import DISCLOSED, Component, Disclosure, Presence, Told

_ENGLISH: Mapping[str, tuple[str, ...]] = {
    "architecture": ("model architecture and objective", "model architecture", "architecture", "architecture details"),
    "size": ("model size", "number of parameters", "parameter count", "model parameters", "model sizes"),
    "hardware": ("hardware", "training hardware", "hardware type", "hardware and software", "training infrastructure"),
    "compute": ("training compute", "compute", "training time", "speeds sizes times", "compute requirements",
                "computational resources"),
    "training_data": ("training data", "training dataset", "training datasets", "pretraining data", "pre-training data",
                      "training and evaluation data", "data", "dataset", "datasets", "pretraining dataset",
                      "fine-tuning data", "finetuning data", "training set", "data overview", "training corpus"),
    "training_method": ("training procedure", "training", "model training", "training process", "training method",
                        "training hyperparameters", "training methodology", "how it was made",
                        "how it was trained", "pretraining", "pre-training", "fine-tuning", "finetuning",
                        "post-training", "training recipe"),
    "energy": ("environmental impact", "carbon footprint", "co2 emissions", "carbon emissions", "energy consumption",
               "energy use", "emissions"),
    "data_provenance": ("data provenance", "data sources", "source data", "data collection", "sources of data",
                        "data collection and processing"),
    "data_selection": ("data selection", "curation rationale", "data filtering", "data curation", "data mix",
                       "data mixture"),
    "data_labelling": ("data labelling", "data labeling", "annotations", "annotation process", "labelling method"),
    "data_processing": ("data processing", "preprocessing", "data preprocessing", "data pre-processing",
                        "data collection and processing", "data cleaning", "pre-processing"),
    "data_public_sources": ("publicly available datasets", "public datasets", "public data", "public data sources"),
    "data_third_party_sources": ("private non-publicly available datasets obtained from third parties",
                                 "third-party data", "third party data", "licensed data", "data licensed from others"),
    "use_policy": ("acceptable use policy", "acceptable use", "use restrictions", "use-based restrictions",
                   "prohibited uses", "usage policy", "use policy"),
    "risks": ("risks", "bias", "bias and risks", "risks and limitations",
              "ethical considerations", "ethical considerations and limitations", "ethics", "safety",
              "bias and fairness", "responsibility and safety", "risks and biases", "bias risks and limitations"),
    "limitations": ("limitations", "known limitations", "bias risks and limitations", "intended uses and limitations",
                    "limitations and bias", "limitations and biases", "risks and limitations", "what it cannot do",
                    "ethical considerations and limitations", "caveats and recommendations", "out-of-scope use",
                    "uses and limitations", "limitations and risks"),
    "intended_use": ("intended use", "intended uses", "direct use", "uses", "primary intended uses",
                     "intended use cases", "intended uses and limitations"),
}  # fmt: skip
"""Headings, as `plain` writes them, of sections that are about one thing that may be told; the nearest first."""

HEADINGS: Mapping[str, tuple[str, ...]] = {
    topic: (*english, *map(plain, FOREIGN.get(topic, ()))) for topic, english in _ENGLISH.items()
}
"""The same, with those of other languages behind."""

ABOUT: Mapping[str, frozenset[str]] = {
    heading: frozenset(topic for topic, headings in HEADINGS.items() if heading in headings)
    for headings in HEADINGS.values()
    for heading in headings
}
"""Topics by heading."""

RESULTS = ("evaluation results", "results", "evaluation", "benchmarks", "benchmark results")
"""Headings of sections with evaluation results."""

MOST_PLACES = 20
"""Sections that are looked at for one topic."""

WIDER: Mapping[str, tuple[str, ...]] = {
    "architecture": ("technical specifications", "model details", "model overview"),
    "hardware": ("compute infrastructure", "technical specifications", "training infrastructure and compute"),
    "compute": ("compute infrastructure",),
    "training_method": ("training details", "training overview", "training and evaluation"),
    "training_data": ("training overview",),
}
"""Headings of sections that may tell it among other things."""

FIELDS: Mapping[str, tuple[str, ...]] = {
    "architecture": ("architecture", "model architecture", "architecture type", "network architecture", "model type"),
    "size": ("parameters", "number of parameters", "model size", "params", "parameter count", "total parameters",
             "number of model parameters", "model parameters", "size"),
    "hardware": ("hardware type", "hardware", "training hardware", "hardware used", "gpus", "gpu type"),
    "compute": ("hours used", "gpu hours", "training time", "training compute", "total flops", "training flops",
                "compute", "training duration", "total training time"),
    "training_data": ("training data", "training dataset", "training datasets", "trained on"),
    "energy": ("carbon emitted", "co2 emitted", "carbon emissions", "energy consumed", "energy consumption"),
    "training_method": ("training regime", "training procedure", "training method"),
    "data_labelling": ("labeling method by dataset", "labeling method", "labelling method"),
    "data_provenance": ("data collection method by dataset", "data collection method", "data sources"),
    "intended_use": ("intended use", "intended use cases"),
    "use_policy": ("acceptable use policy", "use policy"),
}  # fmt: skip
"""The same of fields on one line."""


def disclosure(name: str, view: View, sections: Sequence[Section], fields: Sequence[Field], text: str) -> Disclosure:
    """What a card discloses. What it does not speak of is left out, and so unknown."""
    titled = [(plain(section.title), section) for section in sections]
    named = [(plain(field.key), field) for field in fields]
    told = {topic: one for topic in HEADINGS if topic in DISCLOSED and (one := _told(topic, titled, named))}
    _add_from_head(told, view)
    licence = view.licences[0] if len(view.licences) == 1 else ""
    return Disclosure(
        name=name,
        components=_components(view, titled, text),
        told=told,
        licences={"distribution": licence} if licence and licence != "other" else {},
    )


def recognised(sections: Sequence[Section]) -> bool:
    """Whether any heading is one of those that are looked for."""
    wider = {title for titles in WIDER.values() for title in titles}
    phrases = [heading for headings in HEADINGS.values() for heading in headings if " " in heading]
    titles = [plain(section.title) for section in sections]
    return any(title in ABOUT or title in wider or title in RESULTS or _holds(title, phrases) for title in titles)


def _told(topic: str, titled: Sequence[tuple[str, Section]], named: Sequence[tuple[str, Field]]) -> Told | None:
    """The best that the card says of one topic: a text of its own, then one in part, then that it says nothing."""
    empty: Told | None = None
    for source, text, presence in _places(topic, titled, named):
        if not says_nothing(text):
            return Told(quoted(text), source, presence)
        if presence is Presence.OPEN:
            empty = empty or Told("", source, Presence.CLOSED)
    return empty


def _places(
    topic: str, titled: Sequence[tuple[str, Section]], named: Sequence[tuple[str, Field]]
) -> list[tuple[str, str, Presence]]:
    headings, keys = HEADINGS[topic], FIELDS.get(topic, ())
    own = [
        (headings.index(title), f"card:{section.title}", _text(topic, titled, place), Presence.OPEN)
        for place, (title, section) in [one for one in enumerate(titled) if one[1][0] in headings][:MOST_PLACES]
    ]
    own.sort(key=lambda place: place[0])
    places = [place[1:] for place in own]
    places += [(f"card:{field.key}", field.value, Presence.OPEN) for key, field in named if key in keys]
    phrases = [heading for heading in headings if " " in heading]
    for title, section in titled:
        if title in WIDER.get(topic, ()) or (title not in headings and _holds(title, phrases)):
            places.append((f"card:{section.title}", section.own, Presence.PARTIAL))
    return places


def _text(topic: str, titled: Sequence[tuple[str, Section]], place: int) -> str:
    """A section's text with those inside it, but for sections that are about another topic."""
    section = titled[place][1]
    parts, room, skipped = [section.own], 2 * LONGEST - len(section.own), 7
    for title, inner in titled[place + 1 :]:
        if inner.level <= section.level or room <= 0:
            break
        if inner.level > skipped:
            continue
        skipped = 7
        if title in ABOUT and topic not in ABOUT[title]:
            skipped = inner.level
            continue
        parts.append(f"\n{'#' * inner.level} {inner.title}\n{inner.own}")
        room -= len(parts[-1])
    return "\n".join(parts)


def _holds(title: str, phrases: Sequence[str]) -> bool:
    return any(f" {phrase} " in f" {title} " for phrase in phrases)


def _add_from_head(told: dict[str, Told], view: View) -> None:
    if view.datasets and not _is_told(told, "training_data"):
        told["training_data"] = Told(quoted(", ".join(view.datasets)), "card:datasets", Presence.PARTIAL)
    if (emitted := view.emissions) is None:
        return
    if emitted.grams is not None and not _is_told(told, "energy"):
        text = f"{emitted.grams:g} g CO2 equivalent" + (f" ({emitted.source})" if emitted.source else "")
        told["energy"] = Told(text, "card:co2_eq_emissions", Presence.OPEN)
    if emitted.hardware and not _is_told(told, "hardware"):
        told["hardware"] = Told(emitted.hardware, "card:co2_eq_emissions", Presence.OPEN)


def _is_told(told: Mapping[str, Told], topic: str) -> bool:
    return topic in told and bool(told[topic].text)


def _components(view: View, titled: Sequence[tuple[str, Section]], text: str) -> dict[str, Component]:
    """A card is there where anything but a template is; results where it holds them."""
    filled = any(not says_nothing(section.own) for _, section in titled) or (not titled and not says_nothing(text))
    found: dict[str, Component] = {}
    if filled:
        found["model_card"] = Component(Presence.OPEN, source="card:README.md")
    if view.results:
        found["evaluation_results"] = Component(Presence.OPEN, source="card:model-index")
    else:
        places = [place for place, (title, _) in enumerate(titled) if title in RESULTS][:MOST_PLACES]
        for place in places:
            if not says_nothing(_text("", titled, place)):
                source = f"card:{titled[place][1].title}"
                found["evaluation_results"] = Component(Presence.OPEN, source=source)
                break
    return found
