"""The benchmark behind `scripts/benchmark`: one adapter file per library, one process per row."""
