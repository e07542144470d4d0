"""The same code on CUDA: what is computed there is what the CPU computes."""

import os
import subprocess
import sys

import pytest
import torch

from fgs.images import load_model
from fgs.images.conditions import sample_rows
from fgs.images.endless import Endless
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from fgs.images.samplers import HowToSample
from fgs.images.sources import read_patches, stream_of
from fgs.noise import seeded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here"),
]

TINY = {"patch": 16, "batch": 8, "steps": 6, "seed": 3}


def losses(tmp_path, name, **settings):
    run = Run.start(tmp_path / name, Recipe(**TINY | settings))
    return [record.loss for record in run.trainer.run()]


@pytest.mark.parametrize("classes", ["fixed", "endless"])
def test_the_loss_of_every_step_is_that_of_the_cpu(tmp_path, classes):
    there = losses(tmp_path, "cuda", classes=classes, device="cuda", precision="float32")
    here = losses(tmp_path, "cpu", classes=classes, device="cpu", precision="float32")
    assert there == pytest.approx(here, rel=1e-3)


def test_bfloat16_and_a_compiled_step_change_the_loss_by_little(tmp_path):
    exact = losses(tmp_path, "exact", device="cuda", precision="float32")
    assert losses(tmp_path, "half", device="cuda", precision="bfloat16") == pytest.approx(exact, rel=0.03)
    compiled = losses(tmp_path, "compiled", device="cuda", precision="bfloat16", compile_=True)
    assert compiled == pytest.approx(exact, rel=0.03)


def test_batches_made_there_are_those_made_here():
    pictures = [torch.randint(0, 256, (3, 60, 70), dtype=torch.uint8, generator=seeded(k)) for k in range(4)]
    here, there = (Endless(pictures, 16, twice=0.5, device=device) for device in ("cpu", "cuda"))
    for k in range(6):
        for a, b in zip(here.pairs(8, seeded(k), 4, 2), there.pairs(8, seeded(k), 4, 2), strict=True):
            assert b.device.type == "cuda"
            torch.testing.assert_close(b.cpu(), a, atol=1e-5, rtol=0)


@torch.no_grad()
def test_samples_are_those_of_the_cpu():
    model = load_model()
    asked, sampler = model.condition(model.classes[:2]), HowToSample(steps=12).build()
    here = sample_rows(model.network, asked, 2, sampler, (32, 32))
    network = model.network.to("cuda")
    moved = {name: part.to("cuda") for name, part in asked._asdict().items()}
    there = sample_rows(network, asked._replace(**moved), 2, sampler, (32, 32))
    torch.testing.assert_close(there.cpu(), here, atol=5e-3, rtol=0)


def test_a_batch_of_labelled_classes_is_drawn_there():
    recipe = Recipe(**TINY, guidance="label", device="cuda", precision="bfloat16")
    patches = read_patches(recipe)[0]
    network = recipe.build_network(len(patches.classes)).to("cuda")
    loss = recipe.build_loss(stream_of(recipe, patches), len(patches.classes))(network, seeded(0))
    assert loss.device.type == "cuda"
    assert bool(loss.isfinite())


def test_torchrun_with_one_gpu(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1", "--standalone", "-m", "cli"]
    command += ["train-images", "--patch", "16", "--steps", "4", "--device", "cuda", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/network.pt").exists()
