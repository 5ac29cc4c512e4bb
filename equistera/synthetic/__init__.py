"""Horses made from nothing: a posed, rendered and labelled 3-D horse for every picture, from a seed.

Space: metres, x forward (for a horse: to its nose), y to the left, z up; the ground is z = 0. Angles in the code are
radians, in tables and names ending in ``_deg`` degrees. Pictures are RGB uint8 [H, W, 3]; pixel coordinates follow
:mod:`equistera.dataset.coco`.
"""

SPLITS = ("train", "val", "test")
