"""The model that ships: small, whole, without a path in it, and as good as its report says."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fgs.evaluation.samples import fit_judge
from fgs.images.conditions import sample_rows
from fgs.images.model import load_model
from fgs.images.patches import Patches, read_images
from fgs.images.samplers import HowToSample
from fgs.images.sources import patches_of

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "fgs/images/textures.pt"
PHOTOGRAPHS = Path(os.environ.get("FGS_TEXTURES", ROOT.parent / "shared/textures"))


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def patches(model):
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"needs the photographs in FGS_TEXTURES or {PHOTOGRAPHS}")
    return patches_of(model, [PHOTOGRAPHS])


def test_it_is_small_and_names_no_folder(model):
    assert CHECKPOINT.stat().st_size <= 6e6
    contents = CHECKPOINT.read_bytes()
    assert not [part for part in (b"/home", b"/root", b"/tmp", b"/work", b"../") if part in contents]
    assert len(model.classes) >= 12


def test_every_class_is_credited(model):
    credits = (ROOT / "docs/shipped.md").read_text().split("## Credits")[1]
    rows = [line for line in credits.splitlines() if line.startswith("| ")]
    for name in model.classes:
        row = next(line for line in rows if line.startswith(f"| {name} |"))
        assert "CC0" in row or "public domain" in row


def test_sampling_without_a_run_uses_it(fgs, model, tmp_path):
    name = model.classes[3]
    code, out, err = fgs("sample", "--class", name, "--n", 2, "--steps", 16, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    with np.load(tmp_path / "out/samples.npz") as arrays:
        assert arrays["samples"].shape == (2, 1, model.patch, model.patch)
    assert f"2 images of {model.patch} × {model.patch}" in out
    code, out, _ = fgs("embed", "shipped", tmp_path / f"out/{name}-000.png", "--downscale", 1, "--json")
    assert (code, json.loads(out)["feature_dim"]) == (0, model.targets.shape[1])


def test_it_knows_the_photographs_that_it_was_trained_on(model, patches):
    """Held-out patches are nearest to the centroid of their class."""
    x, y = patches.held_out(16)
    with torch.no_grad():
        phi = torch.cat([model.network.features(part) for part in x.split(64)])
    assert (torch.cdist(phi, model.targets).argmin(1) == y).double().mean() > 0.9


def test_other_photographs_are_refused(model, patches, fgs, tmp_path):
    code, _, err = fgs("evaluate", "--data", tmp_path, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_its_samples_are_of_their_classes(model, patches):
    """As `docs/shipped.md` reports it for 256 a class, with 32."""
    size = (model.patch, model.patch)
    x = sample_rows(model.network, model.condition(), 32, HowToSample().build(), size, seed=1)
    judge = fit_judge(patches)
    found = [judge(x[y], y) for y in range(len(model.classes))]
    hit, real = (torch.tensor([getattr(quality, key) for quality in found]).mean() for key in ("hit", "real_hit"))
    assert hit > 0.95 * real
    assert torch.tensor([quality.distance for quality in found]).median() < 2


def test_images_of_other_classes_can_be_read_beside_them(model, patches):
    others = [path.stem for path in sorted(PHOTOGRAPHS.glob("*.png")) if path.stem not in model.classes][:2]
    images, skipped = read_images(PHOTOGRAPHS, model.patch, model.recipe.preparation, only=others)
    assert skipped == []
    assert Patches(images, model.patch).classes == tuple(others)
