"""The parts of `scripts/benchmark_tables.py`."""
