"""The course's figures: one style, the pipeline picture, and a file of figures for each notebook."""

from rmlib.course.plots.pipeline import STAGES, pipeline, pipeline_alt
from rmlib.course.plots.start_here import loss_and_scores
from rmlib.course.plots.style import (
    CHOSEN, FAINT, LIT_EDGE, LIT_FILL, MODEL, NEUTRAL, REJECTED, THEORY, canvas, png_bytes, show, styled,
)

__all__ = [
    "CHOSEN", "FAINT", "LIT_EDGE", "LIT_FILL", "MODEL", "NEUTRAL", "REJECTED", "STAGES", "THEORY", "canvas",
    "loss_and_scores", "pipeline", "pipeline_alt", "png_bytes", "show", "styled",
]
