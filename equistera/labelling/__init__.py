"""Labelling with a model's help: which pictures, what the model says already, where labels are wrong."""
