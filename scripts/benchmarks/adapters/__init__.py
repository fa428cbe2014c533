"""One file a library. Each holds

    a docstring       what the library runs as: its settings, and why they are its fastest
    REQUIREMENTS      what pip installs into its environment; equal lists share one
    GROUP             whom it is compared with: "tensorflow" or "jax"
    MODES             names of the ways to run it: one row of the table each, the best one first;
                      a list, or architecture -> list where they differ
    build_<architecture>(case, mode, x) -> Subject     for every architecture that it can

The first three are literals, since they are read before the library is installed. Names that begin
with an underscore are shared code.
"""
