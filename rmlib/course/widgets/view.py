"""How a live widget gets on the page, beside what stands there without a kernel."""

from IPython.display import display
from ipywidgets import Widget

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def show_live(widget: Widget, otherwise: str) -> None:
    """Display the widget; `otherwise` is the text where it can't be. Nothing of it is kept in a stored notebook."""
    # Written out, since ipywidgets makes it only from version 8 on.
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({WIDGET_VIEW: view, "text/plain": otherwise}, raw=True)
