"""Watching a training run: from MMEngine's logs to a table, advice in words and plots.

``log`` reads, ``plan`` knows what was meant to happen, ``summary`` and ``advice`` judge, ``plots`` and ``follow``
show. Nothing here imports MMEngine: a log can be read on a machine that cannot train.
"""
