"""The page's side of the labelling widget; apart from the rest, because only this needs anywidget."""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Panel(anywidget.AnyWidget):
    """Shows what `view` says, and sends {"question", "verdict"} for each button or key; see labelling.js."""

    _esm = HERE / "labelling.js"
    _css = HERE / "labelling.css"
    view = traitlets.Dict().tag(sync=True)
