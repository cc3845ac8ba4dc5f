"""What a reader moves and presses: sliders under a figure, and buttons that label pairs."""

from rmlib.course.widgets.explore import explore, slider
from rmlib.course.widgets.labelling import label

__all__ = ["explore", "label", "slider"]
