"""Corrected labels into an existing data set: what ``tools/convert_dataset.py --update`` does."""
