"""Equistera Trainer: animal-pose models from a few hundred labelled photos."""

__version__ = "0.1.0"
