"""A heap of patches: pairs are of one cluster, no label is read, and what is kept of a run can be sampled."""

import json
import shutil

import pytest
import torch

from fgs.images import Patches, draw_images, load_model
from fgs.images import heap as heaps
from fgs.images.heap import Heap
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from fgs.noise import seeded

GRAYS = (40, 120, 200)


class _Gray:
    """φ is the mean gray."""

    def features(self, x, sigma=None):
        return x.mean((2, 3))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(heaps, "SIZE", 300)
    monkeypatch.setattr(heaps, "EVERY", 4)


@pytest.fixture
def patches():
    noise = torch.randint(-9, 10, (3, 1, 60, 60), generator=seeded(0))
    images = {
        f"gray {g}": [(torch.full((1, 60, 60), g) + n).to(torch.uint8)] for g, n in zip(GRAYS, noise, strict=True)
    }
    return Patches(images, 16)


def test_every_picture_is_drawn_as_often_as_any_other_whatever_its_size():
    small, large = draw_images(1, 1, 64).values(), draw_images(1, 1, 200).values()
    patches = Patches({"three small": 3 * next(iter(small)), "one large": next(iter(large))}, 16)
    x, y = patches.mixed(4000, seeded(0))
    share = 3 / 4
    assert float((y == 0).double().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)
    assert x.shape == (4000, 1, 16, 16)


def test_pairs_are_of_one_cluster(patches):
    heap = Heap(patches, 3, _Gray(), seeded(0))
    assert heap.agreement == {"clusters": 3, "nmi": pytest.approx(1), "purity": 1}
    for number in range(9):
        x, x_prime, y = heap.pairs(8, seeded(number), shared=4, primes=2)
        assert (len(x), len(x_prime)) == (8, 4)
        gray, prime = (v.mean((1, 2, 3)) for v in (x, x_prime))
        assert (gray.reshape(2, 4) - prime.reshape(2, 2).mean(1, keepdim=True)).abs().max() < 0.05
        assert all(len(set(group.tolist())) == 1 for group in y.split(4))


def test_what_is_held_out_was_held_out_before(patches):
    heap = Heap(patches, 3, _Gray(), seeded(0))
    x, cluster = heap.found.held_out(2)
    real, y = patches.held_out(2)
    assert torch.equal(x, real)
    assert [len(set(cluster[y == k].tolist())) for k in range(3)] == [1, 1, 1]


def test_a_cluster_without_patches_is_left_out(patches):
    class Constant:
        def features(self, x, sigma=None):
            return torch.zeros(len(x), 2)

    heap = Heap(patches, 3, Constant(), seeded(0))
    assert heap.agreement["clusters"] == 1
    assert heap.found.classes == ("cluster 1",)
    assert heap.found.held_out(1)[1].unique().tolist() == [0]


def test_a_run_of_a_heap(fgs, tmp_path, monkeypatch):
    monkeypatch.setattr("fgs.images.run.CHECKS", 1)
    data, out = tmp_path / "heap" / "all", tmp_path / "run"
    assert fgs("textures", data, "--classes", 3, "--size", 64, "--gray")[0] == 0
    how = ["--patch", 16, "--batch", 8, "--steps", 6, "--precision", "float32"]
    code, text, err = fgs("train-images", "--data", data.parent, "--clusters", 2, *how, "--out", out)
    assert (code, err) == (0, "")
    assert "2 classes found (NMI " in text
    line = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert (line["clusters"], line["nmi"]) == (2, 0)  # one folder is one label, which says nothing
    assert load_model(out).classes == ("cluster 1", "cluster 2")
    assert fgs("sample", out, "--class", "cluster 2", "--n", 1, "--steps", 8, "--out", tmp_path / "samples")[0] == 0
    assert (tmp_path / "samples" / "cluster_2-000.png").exists()
    assert fgs("train-images", "--resume", out, "--steps", 8)[0] == 0
    for options in ([], ["--data", data.parent], ["--class", "cluster 1"], ["--unseen", data, "--class", "cluster 1"]):
        code, _, err = fgs("evaluate", out, *options, "--out", tmp_path / "no")
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith("fgs: RUN: its classes were found and have no names")
    how = ["--n", 4, "--steps", 8, "--out", tmp_path / "report", "--json"]
    monkeypatch.setattr("fgs.evaluation.samples.FEW", 4)
    code, text, err = fgs("evaluate", out, "--unseen", data, *how)
    assert (code, err) == (0, "")
    assert set(json.loads(text)) == {"unseen"}


def test_the_same_seed_finds_the_same_clusters(tmp_path):
    settings = {"patch": 16, "batch": 8, "steps": 3, "precision": "float32", "device": "cpu", "clusters": 3}
    runs = [Run.start(tmp_path / name, Recipe(**settings, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    for run in runs:
        torch.rand(run.recipe.seed + 1)  # of torch's own generator nothing depends
        assert len(list(run.train())) == 3
    first, same, other = (torch.cat([p.flatten() for p in run.network.state_dict().values()]) for run in runs)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_wrong_heaps_are_one_line(fgs, tmp_path):
    assert fgs("textures", tmp_path / "one", "--classes", 1, "--size", 64)[0] == 0
    for options, line in (
        (["--clusters", 1], "--clusters: must be at least 2, got 1"),
        (["--clusters", 2, "--data", tmp_path / "one"], "--data: a heap to be sorted needs two pictures or more"),
        (["--clusters", 2, "--guidance", "label"], "--clusters: are found by features, of fixed classes"),
        (["--clusters", 2, "--classes", "endless"], "--clusters: are found by features, of fixed classes"),
        (["--clusters", 301], "--clusters: must lie between 2 and the number of samples, 300, got 301"),
    ):
        code, out, err = fgs("train-images", *options, "--steps", 2, "--out", tmp_path / "run")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"fgs: {line}")
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_a_run_goes_on_from_other_weights(tmp_path):
    settings = {"patch": 16, "batch": 8, "steps": 2, "precision": "float32", "device": "cpu"}
    for _ in Run.start(tmp_path / "one", Recipe(**settings)).train():
        pass
    run = Run.start(tmp_path / "two", Recipe(**settings, from_=str(tmp_path / "one"), clusters=3))
    expected = load_model(tmp_path / "one").network.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in run.heap.extractor.state_dict().items())


def test_x_prime_is_never_x_however_small_a_cluster(patches, monkeypatch):
    """Of three patches one is held out; a cluster of two would leave one for x and x'."""
    x = torch.full((40, 1, 16, 16), 0.2)
    x[:2] = 0.8
    monkeypatch.setattr(patches, "mixed", lambda n, generator: (x, torch.zeros(40, dtype=torch.long)))
    heap = Heap(patches, 2, _Gray(), seeded(0))
    assert heap.agreement["clusters"] == 1
    assert heap.found.counts.tolist() == [29]  # of 38, a fourth held out
