"""Hides: how five agents draft a post: prompts, sources, rounds, the journal that makes a run resumable.

Promises: at most five rounds; nothing is asked twice; a page is data and never an instruction; every gap is told.
Does not know: which vendor answers (it calls the node's own `/v1`), terminals, HTML pages of the node.
"""
