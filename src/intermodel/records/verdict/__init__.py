"""What may be done with a thing, given its licences and those of everything it was made from.

Hides how obligations travel along a lineage and how they are combined; promises that a fact that is unknown never
becomes a yes, that another ancestor never widens an answer, and that each answer names its grounds. Does not know where
graphs come from, the law of any country, or HTTP. Not legal advice.
"""

from intermodel.records.places import COUNTRIES, EU, place_of
from intermodel.records.verdict.decide import verdict
from intermodel.records.verdict.values import (
    Certainty,
    Conflict,
    Duty,
    Finding,
    Flag,
    Outcome,
    Purpose,
    Reason,
    Step,
    Verdict,
    purpose_of,
)

__all__ = [
    "COUNTRIES",
    "EU",
    "Certainty",
    "Conflict",
    "Duty",
    "Finding",
    "Flag",
    "Outcome",
    "Purpose",
    "Reason",
    "Step",
    "Verdict",
    "place_of",
    "purpose_of",
    "verdict",
]
