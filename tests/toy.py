"""Path of the minimal user-defined system."""

from pathlib import Path

TOY = str(Path(__file__).parent / "toy_system.py")
