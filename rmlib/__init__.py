"""Reward models from pairwise preferences: the code that the notebooks of this course share."""
