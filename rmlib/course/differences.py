"""Two ways to a derivative that the side page on floating point weighs against central differences."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from rmlib.gradients import Numbers, require_positive


def forward_difference(function: Callable[[Numbers], Numbers], point: Numbers, step: float) -> Numbers:
    """(f(x + h) − f(x)) / h, off by about h |f''(x)| / 2, and by rounding, of the size of 2 eps |f(x)| / h.

    point: x, a number or an array or tensor of them, where f works on each by itself; step: h.

    Raises ValueError unless 0 < step < ∞.
    """
    require_positive(step)
    return (function(point + step) - function(point)) / step


def complex_step(function: Callable[[Numbers], Numbers], point: Numbers, step: float = 1e-20) -> Numbers:
    """Im f(x + ih) / h, off by about h² |f'''(x)| / 6; nothing is subtracted, so that h can be as small as you like.

    point: x, a number or an array or tensor of them, where f works on each by itself; step: h. f must be analytic and
    be computed so: abs, max and comparisons are not.

    Raises ValueError unless 0 < step < ∞, and where f gives back a real number.
    Source: Squire and Trapp (1998), SIAM Review 40, 110-112, doi:10.1137/S003614459631241X.
    """
    require_positive(step)
    value = function(point + 1j * step)
    if not (value.is_complex() if isinstance(value, Tensor) else np.iscomplexobj(value)):
        raise ValueError("the function turned a complex number into a real one, and the derivative was in the part it "
                         "lost: write it without abs, max, real parts or conversions to float")
    return value.imag / step
