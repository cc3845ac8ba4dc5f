"""The sliders that a notebook's kernel holds, for the guards of its page: stored outputs keep none of them."""

from ipywidgets import FloatSlider, IntSlider
from ipywidgets.widgets import widget


def ends() -> dict[str, tuple[float, float, float]]:
    """The lowest position, the highest and the step of each slider, by its label."""
    live = [each for each in widget._instances.values() if isinstance(each, FloatSlider | IntSlider)]
    return {each.description: (each.min, each.max, each.step) for each in live}
