"""FID and KID as their papers write them: slow, plain."""

import numpy as np
import scipy.linalg


def slow_fid(one: np.ndarray, other: np.ndarray) -> float:
    """Heusel et al. (2017), equation 6: |m1 - m2|² + Tr(C1 + C2 - 2 (C1 C2)^½)."""
    first, second = (np.cov(values, rowvar=False) for values in (one, other))
    root = scipy.linalg.sqrtm(first @ second)
    apart = one.mean(0) - other.mean(0)
    return float(apart @ apart + np.trace(first + second - 2 * np.real(root)))


def slow_kid(one: np.ndarray, other: np.ndarray) -> float:
    """Bińkowski et al. (2018), section 3: the unbiased squared MMD of all pictures of both sets."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / len(x) + 1) ** 3

    def within(values: np.ndarray) -> float:
        places = range(len(values))
        pairs = [kernel(values[i], values[j]) for i in places for j in places if i != j]
        return sum(pairs) / len(pairs)

    across = np.mean([[kernel(x, y) for y in other] for x in one])
    return within(one) + within(other) - 2 * float(across)
