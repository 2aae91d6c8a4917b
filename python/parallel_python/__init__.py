"""Parallel Python: a notebook's cells on MPI engines.

The package is served from the engine library to the processes that this project starts; see
``_bootstrap``. It holds no state of its own.
"""
