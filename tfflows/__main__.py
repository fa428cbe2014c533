"""`python -m tfflows`: the command line."""

from tfflows.cli.main import main

main(prog_name="tfflows")
