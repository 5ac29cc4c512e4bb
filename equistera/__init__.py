"""Equistera Trainer: animal-pose models from a few hundred labelled photos."""

from pathlib import Path

#: The folder that holds configs/, tools/ and data/; paths in configs are relative to it.
PROJECT = Path(__file__).resolve().parents[1]

__version__ = "0.1.0"
