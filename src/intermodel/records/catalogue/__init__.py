"""Hides how hundreds of thousands of models are found by words and facets within milliseconds.

Promises: what `put` acknowledged is found at once and survives a killed process; an estimated count says that
it is one.
Does not know: how a grade or a verdict is reached, who is allowed what, HTTP.
"""

from intermodel.records.catalogue.catalogue import Catalogue
from intermodel.records.catalogue.entry import UNKNOWN, Entry, size_of
from intermodel.records.catalogue.query import CLOSED, FACETS, Count, Found, Query

__all__ = ["CLOSED", "FACETS", "UNKNOWN", "Catalogue", "Count", "Entry", "Found", "Query", "size_of"]
