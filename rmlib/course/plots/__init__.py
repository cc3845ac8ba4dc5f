"""The course's figures: one style, the pipeline picture, and a file of figures for each notebook."""

from rmlib.course.plots.pipeline import STAGES, pipeline, pipeline_alt
from rmlib.course.plots.start_here import loss_and_scores
from rmlib.course.plots.style import (
    CHOSEN, DPI, FAINT, LIT_EDGE, LIT_FILL, MODEL, NEUTRAL, PIXELS_PER_DOT, REJECTED, SHORTEST_DESCRIPTION, STYLE,
    THEORY, WIDTH, canvas, png_bytes, show, styled,
)

__all__ = [
    "CHOSEN", "DPI", "FAINT", "LIT_EDGE", "LIT_FILL", "MODEL", "NEUTRAL", "PIXELS_PER_DOT", "REJECTED",
    "SHORTEST_DESCRIPTION", "STAGES", "STYLE", "THEORY", "WIDTH", "canvas", "loss_and_scores", "pipeline",
    "pipeline_alt", "png_bytes", "show", "styled",
]
