"""Reward models from pairwise preferences: the code that the notebooks of this course share."""

# The distribution's name. By it the set-up cell tells this rmlib from an unrelated project of the same name.
COURSE = "reward-models-from-first-principles"
