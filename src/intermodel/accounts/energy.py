"""What calls use of electricity, and what that means for the climate. docs/energy.md says how good the figures are.

Of an engine on this machine, the processor time is measured, and divided among the calls that it worked on. Of a
vendor's model nobody outside knows; EcoLogits (https://ecologits.ai) estimates it from the model's size, the tokens
made and the time taken. What neither can say is unknown: None, and never zero.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from intermodel.settings import Energy as Settings

if TYPE_CHECKING:
    from ecologits.impacts.modeling import BaseImpact

log = logging.getLogger(__name__)

JOULES_PER_KWH = 3_600_000
WATTS_PER_CORE = 3.84
"""A virtual processor at full load: the mean of 3.5 (AWS), 4.26 (Google) and 3.76 (Azure).

https://www.cloudcarbonfootprint.org/docs/methodology/, "When we don't know the underlying processor".
"""
LEAST_WATTS, MOST_WATTS = 2.76, 4.26
"""What AWS's draws at full load beyond what it draws idle (3.5 - 0.74), and the most of the three."""
_KEPT = 0.98
"""What is learned forgets half after 34 calls."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Electricity and greenhouse gases (CO2 equivalents) of one call, each from a low to a high figure."""

    joules: float
    joules_low: float
    joules_high: float
    grams: float
    grams_low: float
    grams_high: float
    method: Literal["measured", "estimated"]
    source: str
    """What the figures rest on, in words."""


def measured(cpu_seconds: float, settings: Settings) -> Energy:
    """What a call used here: its processor time, times what a busy core draws. Nothing for memory, fans or idling."""
    stated = settings.watts_per_core
    watts, least, most = (stated, stated, stated) if stated else (WATTS_PER_CORE, LEAST_WATTS, MOST_WATTS)
    grams = settings.grams_per_kwh / JOULES_PER_KWH
    return Energy(
        joules=cpu_seconds * watts,
        joules_low=cpu_seconds * least,
        joules_high=cpu_seconds * most,
        grams=cpu_seconds * watts * grams,
        grams_low=cpu_seconds * least * grams,
        grams_high=cpu_seconds * most * grams,
        method="measured",
        source=f"processor time; {watts:g} W a core, {settings.grams_per_kwh:g} g/kWh",
    )


def estimated(host: str, model: str, output_tokens: int, seconds: float, zone: str = "") -> Energy | None:
    """What EcoLogits says of a call of a model at a vendor's host; None where it does not know the model.

    It takes about half a millisecond, and the first time 0.2 s, when the library is loaded: not for the way of a call.
    """
    vendor = _vendor(host, model)
    if vendor is None or output_tokens <= 0:
        return None
    provider, name = vendor
    eco = _ecologits()
    impacts = eco.llm_impacts(provider, name, output_tokens, seconds, zone or None)
    if impacts.energy is None or impacts.gwp is None:
        log.warning("EcoLogits says nothing of %s: %s", name, "; ".join(str(error) for error in impacts.errors or ()))
        return None
    low_j, high_j = _range(impacts.energy, JOULES_PER_KWH)
    low_g, high_g = _range(impacts.gwp, 1000)
    doubts = sorted(warning.code for warning in impacts.warnings or ())
    return Energy(
        joules=(low_j + high_j) / 2,
        joules_low=low_j,
        joules_high=high_j,
        grams=(low_g + high_g) / 2,
        grams_low=low_g,
        grams_high=high_g,
        method="estimated",
        source="; ".join([f"EcoLogits {eco.version}, {provider}/{name}", *doubts]),
    )


class Shares:
    """Divides an engine's processor time among the calls in progress: in each moment evenly, for batches are.

    Pure, and exact: in microseconds, the shares of all calls and what was used while there was none (`idle`) add up
    to what the engine used since the first reading.
    """

    def __init__(self) -> None:
        self.idle = 0
        self._at: int | None = None
        self._shares: dict[Hashable, int] = {}

    def begin(self, call: Hashable, cpu_seconds: float) -> None:
        """The call begins, with the engine's clock at this."""
        self._advance(cpu_seconds)
        self._shares[call] = 0

    def end(self, call: Hashable, cpu_seconds: float | None) -> int:
        """The call ends; its microseconds. None: the clock cannot be read any more, as after a crash."""
        if cpu_seconds is not None:
            self._advance(cpu_seconds)
        return self._shares.pop(call)

    def _advance(self, cpu_seconds: float) -> None:
        now = round(cpu_seconds * 1_000_000)
        if self._at is None:
            self._at = now
        spent = now - self._at if now >= self._at else now  # a clock that went back is that of a new process
        self._at = now
        if not self._shares:
            self.idle += spent
            return
        share, left = divmod(spent, len(self._shares))
        for number, call in enumerate(self._shares):
            self._shares[call] += share + (number < left)


class Meter:
    """The engines' clocks: `cpu_seconds(address)` is the processor time of a model's engine, None where none runs."""

    def __init__(self, cpu_seconds: Callable[[str], float | None]) -> None:
        self._cpu_seconds = cpu_seconds
        self._shares: dict[str, Shares] = {}

    def begin(self, address: str) -> Measure:
        """A call of the model begins. End it whatever comes, or it keeps taking its share."""
        clock = self._cpu_seconds(address)
        shares = self._shares.setdefault(address, Shares()) if clock is not None else None
        measure = Measure(shares, functools.partial(self._cpu_seconds, address))
        if shares is not None and clock is not None:
            shares.begin(measure, clock)
        return measure


class Measure:
    """One call on the meter."""

    def __init__(self, shares: Shares | None, clock: Callable[[], float | None]) -> None:
        self._shares = shares
        self._clock = clock

    def end(self) -> float | None:
        """Processor seconds of the call; None where they are unknown, or have been told already."""
        if self._shares is None:
            return None
        clock = self._clock()
        microseconds = self._shares.end(self, clock)
        self._shares = None
        return None if clock is None else microseconds / 1_000_000


class Learned:
    """Joules for a thousand tokens made, of each deployment, from its own calls; the latest ones count most."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, deployment: str, joules: float, tokens: int) -> None:
        """A call that made so many tokens. Calls that made none tell nothing."""
        if tokens > 0:
            before, made = self._sums.get(deployment, (0.0, 0.0))
            self._sums[deployment] = before * _KEPT + joules, made * _KEPT + tokens

    def joules(self, deployment: str) -> float | None:
        """For a thousand tokens; None before the first call."""
        joules, tokens = self._sums.get(deployment, (0.0, 0.0))
        return 1000 * joules / tokens if tokens else None


class Power:
    """What the calls of a node use: measured where the model runs here, else estimated for those who look.

    An estimate takes a third of a millisecond, so it is not made for every call, but when its receipt is read; and now
    and then, to learn what a deployment uses.
    """

    LEARNS_S = 5.0

    def __init__(self, settings: Settings, cpu_seconds: Callable[[str], float | None]) -> None:
        self._settings = settings
        self._meter = Meter(cpu_seconds)
        self._learned = Learned()
        self._learns: dict[str, float] = {}
        self.joules = self._learned.joules

    def begin(self, address: str) -> Measure:
        """A call of a model of this machine begins; `end` it whatever comes."""
        return self._meter.begin(address)

    def end(self, measure: Measure, address: str, output_tokens: int) -> Energy | None:
        """What it used; None where that is unknown."""
        seconds = measure.end()
        if seconds is None:
            return None
        energy = measured(seconds, self._settings)
        self._learned.add(address, energy.joules, output_tokens)
        return energy

    def complete(self, receipt: dict[str, Any]) -> dict[str, Any]:
        """The receipt with an estimate, where nothing was measured and the model is known."""
        upstream, usage = receipt.get("upstream"), receipt.get("usage")
        if receipt.get("energy") is not None or not upstream or not usage:
            return receipt
        seconds = receipt.get("seconds") or 0.0
        energy = estimated(upstream["host"], upstream["model"], usage["output"], seconds, self._settings.zone)
        return receipt if energy is None else receipt | {"energy": asdict(energy)}

    def learn(self, address: str, host: str, model: str, output_tokens: int, seconds: float) -> None:
        """Learn from a call elsewhere what its deployment uses, in a thread, if that was not done a moment ago."""
        now = time.monotonic()
        if now >= self._learns.get(address, 0.0):
            self._learns[address] = now + self.LEARNS_S
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, self._learn, address, host, model, output_tokens, seconds)

    def _learn(self, address: str, host: str, model: str, output_tokens: int, seconds: float) -> None:
        energy = estimated(host, model, output_tokens, seconds, self._settings.zone)
        if energy is not None:
            self._learned.add(address, energy.joules, output_tokens)


_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistralai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "generativelanguage.googleapis.com": "google_genai",
    "aiplatform.googleapis.com": "google_genai",
}
"""Ends of host names, and EcoLogits' word for who is there."""
_OWNERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "mistralai": "mistralai",
    "cohere": "cohere",
    "google": "google_genai",
}
"""The same for `owner/model`, as brokers name models."""


def _vendor(host: str, model: str) -> tuple[str, str] | None:
    """EcoLogits' names for the model: at its vendor, by its owner, or as an open model anywhere."""
    owner, _, name = model.partition("/")
    asked = [(_HOSTS[end], model) for end in _HOSTS if host == end or host.endswith((f".{end}", f"-{end}"))]
    if owner in _OWNERS:
        asked.append((_OWNERS[owner], name))
    asked.append(("huggingface_hub", model))
    return next((one for one in asked if _ecologits().find_model(*one)), None)


@dataclass(frozen=True, slots=True)
class _EcoLogits:
    llm_impacts: Callable[..., Any]
    find_model: Callable[[str, str], Any]
    version: str


@functools.cache
def _ecologits() -> _EcoLogits:
    before = logging.getLoggerClass()
    import ecologits
    from ecologits.model_repository import models
    from ecologits.tracers.utils import llm_impacts

    logging.setLoggerClass(before)  # it sets its own, for every logger that is made afterwards
    logging.getLogger("ecologits").setLevel(logging.CRITICAL)  # its doubts are in `source`
    return _EcoLogits(llm_impacts, models.find_model, ecologits.__version__)


def _range(impact: BaseImpact, factor: float) -> tuple[float, float]:
    value = impact.value
    low, high = (value, value) if isinstance(value, float | int) else (value.min, value.max)
    return float(low) * factor, float(high) * factor
