"""Figures for docs/benchmarks.md. `python -m bench` takes them all; README.md says what each one means."""
