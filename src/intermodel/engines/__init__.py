"""Hides: llama.cpp, its processes, sockets and crashes; model files and how their headers are read.

Promises: a lease gives a running engine or an error that says why not; a bad file never takes the node with it.
Does not know: wire formats, who calls, remote models.
"""

from intermodel.engines.engine import Endpoint, Phase, State
from intermodel.engines.facts import Facts, Model, inspect
from intermodel.engines.library import Library
from intermodel.engines.schemas import Schemas
from intermodel.engines.supervisor import Engines
from intermodel.engines.watch import watch_folder

__all__ = ["Endpoint", "Engines", "Facts", "Library", "Model", "Phase", "Schemas", "State", "inspect", "watch_folder"]
