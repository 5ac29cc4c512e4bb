"""A training run from options to checkpoints."""
