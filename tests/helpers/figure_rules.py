"""What every figure of the course has to be: readable from the back row, and inside its own picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SMALLEST = 14  # points


def draw(figure: Figure):
    """Lays the figure out at its own size; the renderer that did, by which texts have their boxes."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    return renderer


def boxes_of_text(figure: Figure) -> list[tuple[Text, Bbox]]:
    """Every visible text with its box in pixels at the figure's own size."""
    renderer = draw(figure)
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in found]


def assert_readable(figure: Figure) -> None:
    """Every word is at least 14 points high, and nothing reaches beyond the picture's edges."""
    texts = [text for text, _ in boxes_of_text(figure)]
    assert texts, "there is no word in it"
    assert not [text for text in texts if text.get_fontsize() < SMALLEST]
    drawn = figure.get_tightbbox()  # inches
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 <= figure.get_figwidth() and drawn.y1 <= figure.get_figheight()
