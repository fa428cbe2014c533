"""The command line, `tfflows ...` or `python -m tfflows`."""
