"""The sliders that a notebook's kernel holds, for the guards of its page: stored outputs keep none of them."""

from ipywidgets import FloatSlider, IntSlider
from ipywidgets.widgets import widget


def live() -> list[FloatSlider | IntSlider]:
    known = vars(widget).get("_instances", vars(widget.Widget).get("widgets"))  # its name in ipywidgets 8, and in 7
    return [each for each in known.values() if isinstance(each, FloatSlider | IntSlider)]


def ends() -> dict[str, tuple[float, float, float]]:
    """The lowest position, the highest and the step of each slider, by its label."""
    return {each.description: (each.min, each.max, each.step) for each in live()}


def starts() -> dict[str, float]:
    """Where each slider stands, by its label, if nobody has moved it: there its stored picture was drawn."""
    return {each.description: each.value for each in live()}
