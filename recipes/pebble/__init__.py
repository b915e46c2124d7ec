"""Builds `pebble`, the small language model that ships with Intermodel, from nothing.

Hides how a corpus, a tokenizer, weights and model files come out of one seed. Promises that the same
pins and profile give the same bits. Knows nothing of the node that serves the result.
"""
