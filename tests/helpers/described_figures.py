"""A figure in words and numbers, artist by artist: all that the code that drew it has decided."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator

Look = tuple[str, np.ndarray]  # how an artist looks, and where it is, (N, 2)


def described(figure: Figure) -> str:
    """A line for each artist, or for some in a row that look alike. What the layout decides is matplotlib's, and left
    out."""
    lines = [f"size {numbers(figure.get_size_inches())}, dpi {figure.dpi:g}", *map(legend, figure.legends)]
    for axes in figure.axes:
        lines += ["axes: " + ", ".join(axes_said(axes))]
        lines += [f"  {each}" for each in artists(axes)]
    return "\n".join(lines) + "\n"


def numbers(values: Iterable) -> str:
    """Few numbers as they are, to four digits; of many the first, the last, and two sums that tell their order."""
    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    if len(values) > 8:
        sure = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        weighed = (sure * np.cos(np.arange(len(sure)))).sum()
        return f"{len(values)} from {numbers(values[[0, -1]])}, sums {numbers([sure.sum(), weighed])}"
    return " ".join(f"{0.0 if abs(value) < 1e-12 * max(1, np.abs(values).max()) else value:.4g}" for value in values)


def colours(found: object) -> str:
    return " ".join(dict.fromkeys(to_hex(each, keep_alpha=True) for each in to_rgba_array(found)))


def axes_said(axes: Axes) -> Iterator[str]:
    yield from (f"{name} {text!r}" for name, text in (
        ("title", axes.get_title("left") or axes.get_title()), ("x", axes.get_xlabel()), ("y", axes.get_ylabel()))
                if text)
    yield f"from {numbers(axes.get_xlim())} by {numbers(axes.get_ylim())}"
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        yield from [f"{name} {axis.get_scale()}"] if axis.get_scale() != "linear" else []
        if isinstance(axis.get_major_locator(), FixedLocator):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            yield f"{name} ticks {numbers(axis.get_ticklocs())} {labels}"
        elif (most := getattr(axis.get_major_locator(), "_nbins", "auto")) != "auto":
            yield f"{name} at most {most} ticks, {numbers(axis.get_ticklocs())}"
    facts = {"off": not axes.axison, "equal": axes.get_aspect() in (1, "equal"), "square frame": all(
        each.get_visible() for each in axes.spines.values()), "no frame": not any(
        each.get_visible() for each in axes.spines.values())}
    yield from (name for name, holds in facts.items() if holds)
    for axis in (axes.xaxis, axes.yaxis):
        for each in filter(Line2D.get_visible, axis.get_gridlines()[:1]):
            yield f"grid {axis.axis_name} {to_hex(each.get_color())} {each.get_linewidth():g}"


def artists(axes: Axes) -> Iterator[str]:
    legends = [axes.get_legend()] if axes.get_legend() else []
    for kind, found in ((line, axes.lines), (patch, axes.patches), (collection, axes.collections)):
        for look, alike in groupby(map(kind, found), key=itemgetter(0)):
            places = [place for _, place in alike]  # (N, 2) each
            x, y = np.concatenate(places).T
            yield f"{len(places)} × {look}: x {numbers(x)}; y {numbers(y)}"
    yield from (f"image {picture(each)}" for each in axes.images)
    yield from filter(None, map(words, axes.texts))
    yield from map(legend, legends)


def opacity(artist: object) -> str:
    return "" if artist.get_alpha() is None else f" alpha {numbers([artist.get_alpha()])}"


def named(artist: object) -> str:
    return "" if str(artist.get_label()).startswith("_") else f" {artist.get_label()!r}"


def line(each: Line2D) -> Look:
    marker = each.get_marker()
    filled = each.get_markerfacecolor()
    marked = "" if marker in ("None", "", None) else (
        f" marks {marker} {each.get_markersize():g} {to_hex(each.get_markeredgecolor())} "
        f"{each.get_markeredgewidth():g} {filled if filled == 'none' else to_hex(filled)}")
    drawn = "" if each.get_drawstyle() == "default" else f" {each.get_drawstyle()}"
    return (f"line{named(each)} {to_hex(each.get_color())} {each.get_linestyle()} {each.get_linewidth():g}{marked}"
            f"{opacity(each)}{drawn} order {each.get_zorder():g}", np.asarray(each.get_xydata()))


def patch(each: Patch) -> Look:
    corners = each.get_patch_transform().transform(each.get_path().vertices)
    return (f"{type(each).__name__}{named(each)} {colours(each.get_facecolor())} edge {colours(each.get_edgecolor())} "
            f"{each.get_linewidth():g} {each.get_linestyle()}{opacity(each)}",
            np.stack([corners.min(axis=0), corners.max(axis=0)]))


def collection(each: Collection) -> Look:
    points = np.concatenate([path.vertices for path in each.get_paths()] or [np.zeros((0, 2))])
    if isinstance(each, PathCollection):
        points = np.asarray(each.get_offsets())
    sizes = f" sizes {numbers(each.get_sizes())}" if isinstance(each, PathCollection) else ""
    return (f"{type(each).__name__}{named(each)} {colours(each.get_facecolor()) if len(each.get_facecolor()) else '-'} "
            f"edge {colours(each.get_edgecolor()) if len(each.get_edgecolor()) else '-'} "
            f"{numbers(each.get_linewidth())}{sizes}{opacity(each)} order {each.get_zorder():g}", points)


def picture(each: AxesImage) -> str:
    return (f"{each.get_cmap().name} {numbers(each.get_clim())} {each.get_interpolation()} {each.origin} "
            f"in {numbers(each.get_extent())}: {numbers(each.get_array())}")


def words(each: Text) -> str:
    if not each.get_text() and getattr(each, "arrow_patch", None) is None:
        return ""
    place = numbers(each.get_position())
    if isinstance(each, Annotation):
        place = f"{numbers(each.xy)} {each.xycoords} shift {numbers(each.xyann)} {each.anncoords}"
        if each.arrow_patch is not None:
            arrow = each.arrow_patch
            place += (f" arrow {colours(arrow.get_edgecolor())} {arrow.get_linewidth():g} "
                      f"{type(arrow.get_arrowstyle()).__name__} {numbers([arrow.shrinkA, arrow.shrinkB])}")
    box = each.get_bbox_patch()
    return (f"text {each.get_text()!r} {to_hex(each.get_color())} {each.get_fontsize():g} {each.get_fontweight()} "
            f"{each.get_ha()} {each.get_va()}" + (f" turned {each.get_rotation():g}" if each.get_rotation() else "")
            + (f" on {colours(box.get_facecolor())}" if box else "") + f": {place}")


def legend(each: Legend) -> str:
    marks = [getattr(handle, "get_color", getattr(handle, "get_facecolor", lambda: None))()
             for handle in each.legend_handles]
    told = [f"{text.get_text()!r} {colours(mark) if mark is not None else '-'}"
            for text, mark in zip(each.get_texts(), marks, strict=True)]
    return f"legend {each._outside_loc or each._loc} of {each._ncols} columns: {', '.join(told)}"
