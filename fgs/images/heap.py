"""A heap of patches that nobody has sorted: a `Stream` whose classes the network finds by its own φ."""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from fgs.clusters import Clusters, find_clusters
from fgs.images.patches import Patches
from fgs.measures.partitions import nmi, purity
from fgs.protocols import FeatureExtractor

SIZE, EVERY = 2048, 250  # patches that are sorted at a time, and batches for which they serve
BATCH = 64  # patches at a time


class Found(Patches):
    """Patches of clusters; held out are those of the heap."""

    def __init__(self, images: Mapping[str, Sequence[Tensor]], heap: "Heap") -> None:
        super().__init__(images, heap.patches.patch, device=heap.patches.device)
        self._heap = heap

    def held_out(self, n: int, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Return held-out patches of the heap, and their clusters; arguments as in `Patches.held_out`."""
        x, _ = self._heap.patches.held_out(n, most)
        return x, self._heap.assign(x)


class Heap:
    """Pairs of patches of one of K clusters, which are found by the φ that `extractor` has, and anew now and then.

    The classes of the patches are not looked at, but to say how well clusters agree with them.
    """

    def __init__(self, patches: Patches, K: int, extractor: FeatureExtractor, generator: Generator) -> None:
        self.patches, self.K, self.extractor = patches, K, extractor
        self.clusters: Clusters | None = None
        self.sort(generator)

    def pairs(
        self, n: int, generator: Generator | None = None, shared: int = 1, primes: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pairs as `Patches.pairs` does, with clusters for classes."""
        if not self._left:
            self.sort(generator)
        self._left -= 1
        return self.found.pairs(n, generator, shared, primes)

    def sort(self, generator: Generator | None = None) -> None:
        """Draw patches and sort them; a cluster of less than three, of which one is held out, is left out."""
        x, y = self.patches.mixed(SIZE, generator)
        phi = self._features(x)
        self.clusters, self._left = find_clusters(phi, self.K, self.clusters, generator), EVERY
        cluster, pixels = self.clusters.assign(phi), (255 * x).round().to(torch.uint8).cpu()
        count = cluster.bincount(minlength=self.K)
        self._kept = (count >= min(3, int(count.max()))).nonzero()[:, 0]
        images = {f"cluster {k + 1}": list(pixels[cluster == k]) for k in self._kept.tolist()}
        self.found = Found(images, self)  # the clusters, as classes
        # how many hold patches, and their NMI and purity
        self.agreement = {"clusters": len(images), "nmi": nmi(cluster, y), "purity": purity(cluster, y)}

    def assign(self, x: Tensor) -> Tensor:
        """Return the place of the cluster of each patch among those that are left."""
        assert self.clusters
        return self.clusters.scores(self._features(x))[:, self._kept].argmax(1).to(x.device)

    @torch.no_grad()
    def _features(self, x: Tensor) -> Tensor:
        return torch.cat([self.extractor.features(part) for part in x.split(BATCH)])  # type: ignore[no-untyped-call]
