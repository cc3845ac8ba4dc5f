"""The sigmoid and its inverse, for numpy: what figures and exercises of several notebooks need."""

import numpy as np


def sigmoid(z: np.ndarray | float) -> np.ndarray:
    """σ(z) = 1 / (1 + e^(−z)), elementwise in float64, without overflow and to full precision in both tails."""
    return np.exp(-np.logaddexp(0, -np.asarray(z, dtype=float)))


def logit(p: np.ndarray | float) -> np.ndarray:
    """log(p / (1 − p)), the inverse of the sigmoid, elementwise; ±infinity at 1 and 0, nan outside."""
    return np.log(p) - np.log1p(-np.asarray(p, dtype=float))
