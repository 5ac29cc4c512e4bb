"""Crops of animals, decoded once and shared by all processes as memory-mapped files.

``geometry`` says which part of a photo a sample can show and how finely, ``pictures`` decodes no more than that,
``plan`` gives each crop its place and its digest, ``store`` writes and reads the files, ``build`` makes them: once, in
parallel, within a limit. All of it works without torch.
"""
