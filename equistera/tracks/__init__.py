"""The points of animals over the frames of a video: following, repairing, smoothing, and the files they are kept in."""
