"""Exercises in code: a function to fill in, and `check`, which says whether it is right and which mistake was made.

For each notebook one file says what its exercises ask (`engine.Exercise`); `engine` gives the reader's function fresh
random inputs, `values` compares what came back, and `diagnose` names what went wrong.
"""

from rmlib.course.exercises.engine import check

__all__ = ["check"]
