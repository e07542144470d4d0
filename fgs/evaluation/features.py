"""Features: concentration and separation by layer (Fig. 4), and the Euclidean embedding (Fig. 5)."""

from itertools import combinations

import torch

from fgs.embedding import conditioned, density_distances, euclidean_fit, feature_metric, nearest_mean, separation
from fgs.evaluation.denoising import Found, Subject
from fgs.figures import dots, scatter
from fgs.networks import GuidedUNet
from fgs.noise import seeded

FEATURES = 64  # patches a class for the features
LEVELS, PROBES = 16, 8  # noise levels and patches a class for the density distance


@torch.no_grad()
def concentration(subject: Subject) -> Found:
    """Eq. 5 by layer (Fig. 4): spread about φ_y towards another class ÷ distance of the two, and the nearest φ_y."""
    network, patches, targets = subject.model.network, subject.patches, subject.model.targets
    assert isinstance(network, GuidedUNet)
    assert targets is not None  # of other patches than those that are sorted
    classes = range(len(patches.classes))
    features = [network.features(patches.held_out_crops(y, FEATURES, seeded(0, y))) for y in classes]
    layers = [torch.split(part, network.widths, dim=1) for part in (targets, *features)]
    by_layer: Found = {}
    levels = range(1, network.settings["levels"] + 1)
    names = [*(f"encoder {k}" for k in levels), "middle", *(f"decoder {k}" for k in levels[:-1]), "all"]
    for number, name in enumerate(names):
        centroids, *phi = (targets, *features) if name == "all" else [part[number] for part in layers]
        ratio = separation(phi, centroids).ratio[~torch.eye(len(phi), dtype=torch.bool)]
        hits = torch.cat([nearest_mean(part, centroids) == y for y, part in enumerate(phi)])
        by_layer[name] = {
            "ratio_median": float(ratio.quantile(0.5)),
            "ratio_worst": float(ratio.max()),
            "nearest_centroid": float(hits.double().mean()),
        }
    measures = {key: [by_layer[name][key] for name in names] for key in ("ratio_median", "ratio_worst")}
    dots(measures, names, "within ÷ between (Eq. 5)", subject.folder / "concentration.png")
    return {"layers": by_layer}


@torch.no_grad()
def embedding(subject: Subject) -> Found:
    """Density distance (Eq. 7) against feature distance over all pairs of classes (Fig. 5)."""
    model, patches = subject.model, subject.patches
    assert model.targets is not None
    x = [patches.held_out_crops(y, PROBES, seeded(1, y)) for y in range(len(model.classes))]
    scores = [conditioned(model.network, phi) for phi in model.targets]
    density = density_distances(scores, x, 0.02, 1.0, LEVELS, seeded(2)) / patches.patch**2
    between = torch.cdist(model.targets.double(), model.targets.double()).square()
    pairs = sorted(combinations(range(len(x)), 2), key=lambda pair: float(between[pair]))
    points = [(float(between[pair]), float(density[pair])) for pair in pairs]
    found: Found = {"pairs": [[model.classes[k] for k in pair] for pair in pairs], "points": points}
    if len(x) > 2:
        metric = feature_metric(model.network, model.targets, x, 0.02, 1.0, LEVELS, seeded(3)).double()
        offsets = (model.targets[:, None] - model.targets).double()
        first_order = 2 * torch.einsum("abf,fg,abg->ab", offsets, metric, offsets) / patches.patch**2
        found |= euclidean_fit(density, between)._asdict()
        found["metric"] = euclidean_fit(density, first_order)._asdict()
    fit = {name: found[name] for name in "AB" if name in found}
    labels = (r"$\|\phi_y - \phi_{y'}\|^2$", r"$d^2(p_y, p_{y'})$ ÷ pixels")
    scatter(points, fit, labels, subject.folder / "embedding.png")
    return found
