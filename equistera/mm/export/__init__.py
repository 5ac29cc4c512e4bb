"""Trained networks for programs that do not know this project: as one graph, or as plain MMPose."""
