"""The benchmark behind `scripts/benchmark`: one adapter file a library, one process a row."""
