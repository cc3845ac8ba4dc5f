"""Numbers and names that were chosen, and what a caller gets who says nothing: none of them changes by a slip."""

import importlib
import inspect
import pkgutil
import re

from told import hold

from rmlib import practice

PLAIN = str | bytes | int | float | tuple | list | dict
LISTED_ELSEWHERE = {"SECTIONS", "FIGURE_STYLE", "TEMPLATE", "PROBES", "CANARIES", "COMPARISONS", "HELD_OUT"}


def modules():
    names = [found.name for found in pkgutil.walk_packages(practice.__path__, f"{practice.__name__}.")]
    return [importlib.import_module(name) for name in sorted(names)]


def spelled(value):
    """The value as it would be written, patterns by their pattern; what a mapping holds, whatever its order."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{spelled(key)}: {spelled(each)}" for key, each in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(spelled, value)) + "]"
    return repr(getattr(value, "pattern", value) if not callable(value) else value.__name__)


def test_constants_and_defaults():
    lines = []
    for module in modules():
        own = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        source = inspect.getsource(module)
        for name, value in own.items():
            is_its = re.search(rf"(?m)^(?:\w+, )*{name}(?:, \w+)*(?:: .+)? = ", source)
            if name.lstrip("_").isupper() and isinstance(value, PLAIN) and name not in LISTED_ELSEWHERE and is_its:
                lines.append(f"{module.__name__}.{name} = {spelled(value)}")
            if getattr(value, "__module__", "") == module.__name__ and (inspect.isfunction(value)
                                                                        or hasattr(value, "__dataclass_fields__")):
                given = inspect.signature(value).parameters.values()
                defaults = [f"{each.name}={spelled(each.default)}" for each in given
                            if isinstance(each.default, str | int | float | None | tuple)]
                lines += [f"{module.__name__}.{name}({', '.join(defaults)})"] if defaults else []
                if kind := getattr(value, "__dataclass_params__", None):
                    lines.append(f"{module.__name__}.{name} is frozen: {kind.frozen}, compared by value: {kind.eq}")
    hold("constants and defaults", "\n".join(lines))
