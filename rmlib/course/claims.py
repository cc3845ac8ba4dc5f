"""What holds, said on the page in a sentence, and an error where it does not hold."""

import numpy as np
from torch import Tensor


def holds(claim: str, condition: bool | np.ndarray | np.generic | Tensor) -> None:
    """Print "holds: " and the claim. `condition`: a truth value, or an array or tensor of them, of any shape but empty.

    Raises AssertionError where it, or one of its entries, is False; TypeError for what is no truth value, since any
    number but zero would pass for True, and for an array without entries, of which every claim would hold.
    """
    told = np.asarray(condition.numpy(force=True) if isinstance(condition, Tensor) else condition)
    if told.dtype != bool or not told.size:
        raise TypeError(f"holds({claim!r}, ...) takes True or False, or an array of at least one, got {condition!r}")
    if not told.all():
        where = f" at {told.size - told.sum()} of {told.size} entries" if told.ndim else ""
        raise AssertionError(f"does not hold{where}: {claim}")
    print(f"holds: {claim}")
