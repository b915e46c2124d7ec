"""Bills of material for AI: what is known of a model as CycloneDX and SPDX 3 write it, and CycloneDX read back.

Hides those formats, their schemas and how licences and lineage are said in them. Promises documents that are valid by
the official schemas, the same bytes for the same record and moment, and that what is unknown stays unknown. Knows
nothing of the ledger, of grades or of verdicts.
"""

from intermodel.records.bom.described import Described, Evidence, Result, described
from intermodel.records.bom.official import Checked, checked
from intermodel.records.bom.read_cyclonedx import Imported, from_cyclonedx
from intermodel.records.bom.text import parsed, written
from intermodel.records.bom.write_cyclonedx import cyclonedx
from intermodel.records.bom.write_spdx3 import spdx3

__all__ = [
    "Checked",
    "Described",
    "Evidence",
    "Imported",
    "Result",
    "checked",
    "cyclonedx",
    "described",
    "from_cyclonedx",
    "parsed",
    "spdx3",
    "written",
]
