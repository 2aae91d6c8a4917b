"""An engine: one rank's Python, which runs the cells that the kernel fans out."""

from __future__ import annotations


def main(options: dict[str, str]) -> None:
    """Run the engine until the kernel ends it."""
    print("engine", options)
