"""What a reader moves and presses: sliders under a figure."""

from rmlib.course.widgets.explore import explore, slider

__all__ = ["explore", "slider"]
