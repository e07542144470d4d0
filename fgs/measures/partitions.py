"""Do clusters agree with classes?"""

import torch
from torch import Tensor


def _table(clusters: Tensor, classes: Tensor) -> Tensor:
    """Return the share of samples of every cluster (rows) and class (columns)."""
    table = torch.zeros(int(clusters.max()) + 1, int(classes.max()) + 1, dtype=torch.float64)
    table.index_put_((clusters.cpu(), classes.cpu()), torch.ones(len(classes), dtype=torch.float64), accumulate=True)
    return table / len(classes)


def purity(clusters: Tensor, classes: Tensor) -> float:
    """Return the share of samples, clusters (N,) and classes (N,), whose class is the commonest of their cluster."""
    return float(_table(clusters, classes).amax(1).sum())


def nmi(clusters: Tensor, classes: Tensor) -> float:
    """Return the mutual information of clusters (N,) and classes (N,) over the mean of their entropies: 1 if the same.

    0 if one of them says nothing of the other, or is constant.
    """
    joint = _table(clusters, classes)
    entropies = [float(-torch.xlogy(p, p).sum()) for p in (joint.sum(1), joint.sum(0), joint)]
    mean = (entropies[0] + entropies[1]) / 2
    return (entropies[0] + entropies[1] - entropies[2]) / mean if mean > 0 else 0.0
