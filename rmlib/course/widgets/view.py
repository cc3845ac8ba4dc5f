"""How a live widget gets on the page, beside what stands there without a kernel, and its pictures on it."""

import base64
import html
import io

from IPython.display import display
from ipywidgets import Widget
from matplotlib.figure import Figure

from rmlib.practice.style import DPI, styled

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# Goes with what stands on the page without a kernel. A notebook that was saved with a live view is opened again without
# its model: JupyterLab then says "Loading widget..." or "Error displaying widget" in the view's place.
NO_DEAD_VIEW = """<style class="rmlib-static">
.jp-OutputArea:has(.rmlib-static) > .jp-OutputArea-child:has(> .lm-Panel):not(:has(> .lm-Panel > *)) { display: none; }
</style>"""


def show_live(widget: Widget, otherwise: str) -> None:
    """Display the widget; `otherwise` is the text where it can't be. Nothing of it is kept in a stored notebook."""
    # Written out, since ipywidgets makes it only from version 8 on.
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({WIDGET_VIEW: view, "text/plain": otherwise}, raw=True)


@styled
def image(figure: Figure, alt: str, onload: str = "") -> str:
    """The figure as an <img> at its plain size: ten times quicker than the PNG that is stored.

    onload: JavaScript that the page runs when it has the picture.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    data = base64.b64encode(drawn.getvalue()).decode()
    size = f'width="{width}" height="{height}" style="max-width: 100%; height: auto"'
    then = f'onload="{html.escape(onload)}" ' if onload else ""
    return f'<img {size} decoding="sync" alt="{html.escape(alt)}" {then}src="data:image/png;base64,{data}">'
