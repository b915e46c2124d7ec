"""What is known of a model: what it is, from what it was made, how open it is, what its licences allow.

Hides how cards, headers, licences and disclosures are read and weighed; promises that each answer names what it rests
on, and that what is unknown is said to be unknown. Knows nothing of HTTP, of callers or of how models are called.
"""
