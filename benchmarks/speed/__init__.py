"""What training and inference cost, ours beside stock MMPose, measured in turn in one process.

``rounds`` measures and compares, ``photos`` makes the pictures, ``stock`` says what stock is; each other file is a
subcommand of ``tools/benchmark.py``.
"""
