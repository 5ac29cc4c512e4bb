"""Crops of animals, decoded once and shared by all processes as a memory-mapped file.

``geometry`` says which part of a photo a sample can show and how finely, ``decoding`` decodes no more than that,
``request`` gives each crop its size and a cache its name, ``store`` reads a cache, or the photos where there is none,
and ``build`` makes it: once for all processes, in parallel. All of it works without torch.
"""
