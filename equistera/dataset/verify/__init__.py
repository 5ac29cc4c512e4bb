"""Finds what is wrong with an annotated data set before it is trained on; see ``command.verify``."""
