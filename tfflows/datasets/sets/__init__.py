"""Data sets that have a name, one source a file."""
