"""Settings of the Jupyter programs that make starts: what the HTML pages that they export have to carry."""

import html
import re


def described_pictures(notebook, resources):
    """A preprocessor of nbconvert: pictures get the alternative text that is stored beside them.

    Its HTML templates leave that out and write "No description has been provided for this image".
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            stored = output.get("metadata", {}).get("image/png", {})
            if "alt" in stored:
                size = f'width="{stored["width"]}"' if "width" in stored else ""
                alt, data = html.escape(stored["alt"]), output.data["image/png"].replace("\n", "")
                output.data["text/html"] = f'<img alt="{alt}" {size} src="data:image/png;base64,{data}">'
    return notebook, resources


def links_between_pages(notebook, resources):
    """A preprocessor of nbconvert: pages link to pages, and from build/html to what lies beside notebooks/."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            to_pages = re.sub(r"\]\(((?:\.\./|side/)?\w+)\.ipynb", r"](\1.html", cell.source)
            cell.source = re.sub(r"\]\((?=\.\./)(?![^)\s]*\.html)", "](../", to_pages)
    return notebook, resources


c.HTMLExporter.preprocessors = [described_pictures, links_between_pages]  # noqa: F821  (c comes from Jupyter)
