"""COCO keypoint files: read, write, convert, split, verify. Needs neither torch nor MM* packages."""
