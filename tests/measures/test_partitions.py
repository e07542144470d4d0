"""Agreement of clusters and classes: the same, nothing, and a case worked out by hand."""

import math

import pytest
import torch

from fgs.measures.partitions import nmi, purity


def test_other_names_change_nothing():
    classes = torch.tensor([0, 0, 1, 1, 2, 2])
    clusters = torch.tensor([2, 2, 0, 0, 1, 1])
    assert (nmi(clusters, classes), purity(clusters, classes)) == pytest.approx((1, 1))


def test_clusters_that_say_nothing():
    classes = torch.tensor([0, 1, 0, 1])
    assert (nmi(torch.tensor([0, 0, 1, 1]), classes), purity(torch.tensor([0, 0, 1, 1]), classes)) == (0, 0.5)
    assert (nmi(torch.zeros(4).long(), classes), purity(torch.zeros(4).long(), classes)) == (0, 0.5)
    assert nmi(torch.zeros(4).long(), torch.zeros(4).long()) == 0


def test_a_class_in_two_halves():
    """I = H(classes) = log 2, and the clusters have entropy 1.5 log 2."""
    classes, clusters = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 2])
    assert nmi(clusters, classes) == pytest.approx(math.log(2) / (1.25 * math.log(2)))
    assert nmi(classes, clusters) == pytest.approx(nmi(clusters, classes))
    assert (purity(clusters, classes), purity(classes, clusters)) == (1, 0.75)
