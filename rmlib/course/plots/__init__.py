"""The course's figures: the pipeline picture, and a file of figures for each notebook, in the style of practice."""

from rmlib.course.plots.pipeline import STAGES, pipeline, pipeline_alt
from rmlib.course.plots.start_here import broken, loss_and_scores

__all__ = ["STAGES", "broken", "loss_and_scores", "pipeline", "pipeline_alt"]
