"""Sliders: a figure that is drawn anew, with its numbers, whenever the reader moves one.

Two things stand on the page: the live picture under its sliders, which needs a kernel, and a static picture at the
sliders' first positions. Where the live one is shown in JupyterLab, it hides the static one; a stored notebook, an
exported page or a reader without a kernel has the static one alone.
"""

import html
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ipywidgets import HTML, FloatSlider, IntSlider, Layout, VBox
from matplotlib.figure import Figure

from rmlib.course.widgets.view import NO_DEAD_VIEW, image, show_live
from rmlib.practice.style import described, show

Draw = Callable[..., tuple[Figure, str]]

HANDLE = "#2A7CC0"  # more than 4 to 1 on a white page and on a black one

# The next two outputs of the cell are the static picture and its caption. A view that could not be restored has no
# element of this class, and then nothing is hidden.
WIDGET_STYLE = """<style>
.jp-OutputArea-child:has(.rmlib-explore) + .jp-OutputArea-child,
.jp-OutputArea-child:has(.rmlib-explore) + .jp-OutputArea-child + .jp-OutputArea-child { display: none; }
.rmlib-explore { --jp-widgets-font-size: 16px; --jp-widgets-inline-height: 34px; }
.rmlib-explore p { font-size: 18px; line-height: 1.4; margin: 8px 0; }
.rmlib-explore pre { font-size: 16px; white-space: pre-wrap; }
@media (max-width: 700px) {
  .rmlib-explore .widget-hslider { flex-wrap: wrap; height: auto; }
  .rmlib-explore .widget-label { width: 100% !important; text-align: left; }
}
</style>"""

# To a screen reader neither what moves in a slider (ipywidgets 8: .noUi-handle, 7: .ui-slider-handle) nor the number
# beside it has a name, and positions are 1.4999999999999998. The picture, drawn anew after every move, sets that right.
NAME_HANDLES = """const picture = this;
(function name() {
  const box = picture.closest(".rmlib-explore");
  if (!box) return requestAnimationFrame(name);
  for (const row of box.querySelectorAll(".widget-hslider")) {
    const label = row.querySelector(".widget-label"), number = row.querySelector(".widget-readout");
    const handle = row.querySelector(".noUi-handle, .ui-slider-handle");
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-valuetext", number.textContent);
    number.setAttribute("role", "textbox");
    [handle, number].forEach((part) => part.setAttribute("aria-label", label.textContent));
    label.removeAttribute("title");  // which says "null"
  }
})();"""


@dataclass(frozen=True)
class Slider:
    """What a slider is made from; see `slider`."""

    low: float
    high: float
    step: float
    value: float
    label: str

    @property
    def whole(self) -> bool:
        """Whether all its positions are integers, given as integers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step, self.value))

    @property
    def decimals(self) -> int:
        """Digits after the point that tell any two positions apart."""
        return max(-Decimal(str(number)).normalize().as_tuple().exponent for number in (self.low, self.step, 0))

    def read(self, position: float) -> float:
        """The position without binary dust: 0.3, not 0.30000000000000004."""
        return int(position) if self.whole else round(float(position), self.decimals)


def slider(low: float, high: float, step: float, value: float, label: str) -> Slider:
    """A slider from `low` to `high` in steps of `step`, which starts at `value`; `label` is what the reader sees.

    Four integers make a slider of integers.
    Raises ValueError unless all numbers are finite, low < high, step > 0, and `high` and `value` are reached from `low`
    in whole steps.
    """
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"a slider needs a label that says what it moves, got {label!r}")
    numbers = (low, high, step, value)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise ValueError(f"slider {label!r}: low, high, step and value must be finite numbers, got {numbers}")
    if not (low < high and step > 0 and low <= value <= high):
        raise ValueError(f"slider {label!r}: need low < high, step > 0, low <= value <= high, got {numbers}")
    for number in (high, value):
        steps = (number - low) / step
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"slider {label!r}: {number} is not reached from {low} in whole steps of {step}")
    return Slider(low, high, step, value, label.strip())


def explore(draw: Draw, alt: str, **sliders: Slider) -> None:
    """Show `draw`'s figure under one slider for each keyword, and draw it anew when one is moved.

    `draw(**values)` takes a value by the name of each slider and returns the Figure and its numbers, one line of text.
    It has to be quick (0.2 s) and to give the same for the same values: seed what is random in it. `alt` says what is
    to be seen at the first positions, as in `plots.show`.

    Raises ValueError if `alt` describes nothing, if there is no slider, or if `draw` takes other names or returns
    something else. What `draw` itself raises passes through here; later, on a move, it is shown in the picture's place.
    """
    alt = described(alt)
    if not sliders or not all(isinstance(each, Slider) for each in sliders.values()):
        raise ValueError("explore needs at least one slider, by name: gap=slider(-6, 6, 0.5, 0.0, label='gap')")
    first = {name: each.read(each.value) for name, each in sliders.items()}
    try:
        inspect.signature(draw).bind(**first)
    except TypeError as mismatch:
        raise ValueError(f"draw must take what the sliders are called, {', '.join(sliders)}: {mismatch}") from None
    figure, numbers = _drawn(draw, first)
    ranges = "; ".join(f"{each.label} from {each.low} to {each.high}" for each in sliders.values())
    show_live(_live(draw, alt, sliders), otherwise=f"Run this cell in Jupyter to move: {ranges}.")
    at = ", ".join(f"{each.label} = {_told(each, first[name])}" for name, each in sliders.items())
    show(figure, alt, numbers=f"At {at}: {numbers}", style=NO_DEAD_VIEW)


def _drawn(draw: Draw, values: dict[str, float]) -> tuple[Figure, str]:
    result = draw(**values)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Figure)
            and isinstance(result[1], str) and result[1].strip() and "\n" not in result[1].strip()):
        raise ValueError(f"draw must return (Figure, one line of text with the numbers), got {result!r:.200}")
    return result[0], result[1].strip()


def _told(each: Slider, value: float) -> str:
    return f"{value:.{each.decimals}f}"


def _live(draw: Draw, alt: str, sliders: dict[str, Slider]) -> VBox:
    """The sliders and, below them, the picture and the numbers, which follow the sliders."""
    longest = max(len(each.label) for each in sliders.values())
    controls = {name: _control(each, longest) for name, each in sliders.items()}
    page = HTML()

    def renew(_change: object = None) -> None:
        values = {name: sliders[name].read(control.value) for name, control in controls.items()}
        moved = any(values[name] != each.read(each.value) for name, each in sliders.items())
        try:
            figure, numbers = _drawn(draw, values)
            picture = image(figure, alt=numbers if moved else alt, onload=NAME_HANDLES)
            page.value = f"{WIDGET_STYLE}{picture}<p>{html.escape(numbers)}</p>"
        except Exception as error:  # Jupyter would log it where no reader looks
            at = ", ".join(f"{name}={value}" for name, value in values.items())
            told = html.escape(f"draw({at}) failed:\n{type(error).__name__}: {error}")
            page.value = f'{WIDGET_STYLE}<pre role="alert">{told}</pre>'

    renew()
    for control in controls.values():
        control.observe(renew, names="value")
    box = VBox([*controls.values(), page])
    box.add_class("rmlib-explore")
    return box


def _control(each: Slider, longest_label: int) -> IntSlider | FloatSlider:
    kind, places = (IntSlider, "d") if each.whole else (FloatSlider, f".{each.decimals}f")
    # While one message is being answered the page keeps only the latest position: dragging can't pile up work.
    return kind(
        value=each.value, min=each.low, max=each.high, step=each.step, description=each.label, readout_format=places,
        continuous_update=True, style={"description_width": f"{longest_label + 1}ch", "handle_color": HANDLE},
        layout=Layout(width="auto", max_width="900px"),  # auto leaves room for its margins, 100% does not
    )
