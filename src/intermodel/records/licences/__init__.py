"""What the texts of licences say: facts, each with its source; `unknown` where nobody read the text.

Hides where facts and fingerprints are kept and how expressions and texts are read; promises that a name or a text that
is not known is said to be unknown. Does not know graphs, verdicts or the law. Not legal advice.
"""

from intermodel.records.licences.duties import Task, When, tasks
from intermodel.records.licences.expression import Terms, compound, find, unheard, unknown
from intermodel.records.licences.facts import LICENCES, SOURCES, Code, Licence, Said
from intermodel.records.licences.texts import Recognised, hashes, recognise

__all__ = [
    "LICENCES",
    "SOURCES",
    "Code",
    "Licence",
    "Recognised",
    "Said",
    "Task",
    "Terms",
    "When",
    "compound",
    "find",
    "hashes",
    "recognise",
    "tasks",
    "unheard",
    "unknown",
]
