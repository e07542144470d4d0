"""A run goes on where it was left, to the bit, or says in one line why it cannot."""

import json
import pickle
import shutil
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fgs.denoising import denoising_loss, inverse_variance, squared
from fgs.embedding import centroid
from fgs.images import run as runs
from fgs.images import sources
from fgs.images.config import Config, ContradictionError, read_config
from fgs.images.model import load_model
from fgs.images.reading import write_image
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from fgs.images.sources import chosen_classes
from fgs.images.synthetic import draw_textures
from fgs.networks.unet import PRESETS, GuidedUNet
from fgs.noise import seeded
from fgs.training import trainer
from fgs.training.checkpoints import CheckpointError, load_checkpoint
from fgs.training.trainer import NotFiniteError

TINY = {
    "patch": 8,
    "batch": 4,
    "steps": 8,
    "optimizer": "muon",
    "precision": "float32",
}  # Adam is in it too, of what is no convolution


def finish(run):
    for _ in run.train():
        pass
    return run


def weights(run):
    return torch.cat([weight.flatten() for weight in run.network.state_dict().values()])


@pytest.fixture(scope="module", autouse=True)
def _few_checks():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "CHECKS", 2)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return finish(Run.start(tmp_path_factory.mktemp("runs") / "whole", Recipe(**TINY)))


def test_a_run_leaves_what_it_promised(whole):
    names = {"config.json", "last.pt", "network.pt", "best.pt", "metrics.jsonl", "denoised.png"}
    assert {path.name for path in whole.folder.iterdir()} == names
    lines = [json.loads(line) for line in (whole.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == whole.metrics
    assert lines[-1]["step"] == 8
    assert len(lines[-1]["psnr_right"]) == len(lines[-1]["sigma"])
    networks, about = load_checkpoint(whole.folder / "network.pt")
    assert about["classes"] == list(whole.patches.classes)
    x = torch.rand(2, 1, 8, 8, generator=seeded(0))
    assert torch.equal(networks["features"](x), whole.network.eval()(x))


def test_the_average_is_what_is_kept(whole):
    raw = torch.cat([weight.flatten() for weight in whole.trainer.network.state_dict().values()])
    assert not torch.equal(raw, weights(whole))


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_run_that_was_left_ends_as_one_that_was_not(tmp_path, whole, stop):
    run = Run.start(tmp_path / "run", Recipe(**TINY))
    for record in run.train():
        if record.step == stop:
            break
    run.save()
    again = finish(Run.resume(tmp_path / "run", {}))
    assert torch.equal(weights(again), weights(whole))
    assert [{**line, "seconds": 0} for line in again.metrics] == [{**line, "seconds": 0} for line in whole.metrics]


def test_a_run_killed_before_its_first_save_starts_over(tmp_path, whole):
    run = Run.start(tmp_path / "run", Recipe(**TINY))
    next(iter(run.train()))
    assert torch.equal(weights(finish(Run.resume(tmp_path / "run", {}))), weights(whole))


def test_a_run_goes_on_for_longer_and_a_kill_in_between_changes_nothing(tmp_path, whole):
    """A leg is as a training of its own: the learning rate rises and falls once more."""
    shutil.copytree(whole.folder, tmp_path / "one")
    run = Run.resume(tmp_path / "one", {"steps": 14})
    rates = [record.learning_rate for record in run.train()]
    assert len(rates) == 6
    assert max(rates) == max(rates[:3]) > 10 * rates[-1]
    config = read_config(tmp_path / "one")
    assert [(leg.from_step, leg.steps) for leg in config.legs] == [(0, 8), (8, 14)]
    assert config.recipe.steps == 14
    lines = [json.loads(line) for line in (tmp_path / "one/metrics.jsonl").read_text().splitlines()]
    assert sorted({line["leg"] for line in lines}) == [1, 2]
    shutil.copytree(whole.folder, tmp_path / "other")
    steps = Run.resume(tmp_path / "other", {"steps": 14}).train()
    next(steps)  # killed before anything of the leg is saved, and again after some steps
    again = Run.resume(tmp_path / "other", {})
    steps = again.train()
    next(steps), next(steps)
    again.save()
    assert torch.equal(weights(finish(Run.resume(tmp_path / "other", {"steps": 14}))), weights(run))
    for asked, spent in (({"steps": 14}, "14"), ({"steps": 9}, "14"), ({"minutes": 1e-9}, "0")):
        if asked == {"steps": 14}:
            assert Run.resume(tmp_path / "one", asked).trainer.step == 14
        else:
            with pytest.raises(ContradictionError, match=rf"^{next(iter(asked))}: the run has (taken|spent) {spent}"):
                Run.resume(tmp_path / "one", asked)
    minutes = run.trainer.seconds / 60 + 0.005
    assert finish(Run.resume(tmp_path / "one", {"minutes": minutes})).trainer.seconds >= 60 * minutes


def test_what_is_left_out_is_the_presets():
    of = {preset: Recipe(preset=preset) for preset in PRESETS}
    assert {preset: recipe.optimizer for preset, recipe in of.items()} == {
        "small": "muon",
        "medium": "muon",
        "paper": "adam",
    }
    assert (of["small"].patch, of["paper"].patch, of["paper"].primes) == (32, 80, 1)
    assert Recipe(optimizer="adam").optimizer == "adam"


@pytest.mark.parametrize("guidance", ["label", "none"])
def test_the_baselines_train_too(tmp_path, guidance):
    run = finish(Run.start(tmp_path / "run", Recipe(guidance=guidance, **TINY | {"steps": 2})))
    assert ("psnr_right" in run.metrics[-1]) == (guidance == "label")
    assert list(load_checkpoint(run.folder / "network.pt").networks) == [guidance]


def test_training_lowers_the_loss(tmp_path):
    run = Run.start(tmp_path / "run", Recipe(**TINY | {"steps": 60, "batch": 8}))
    losses = [record.loss for record in run.train()]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="compiling needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of the compiler's
def test_a_compiled_network_learns_the_same(tmp_path, whole):
    compiled = finish(Run.start(tmp_path / "run", Recipe(**TINY | {"compile_": True})))
    torch.testing.assert_close(weights(compiled), weights(whole), atol=1e-4, rtol=1e-3)
    assert isinstance(load_checkpoint(compiled.folder / "network.pt").networks["features"], GuidedUNet)


def test_what_cannot_be_resumed(tmp_path, whole):
    with pytest.raises(CheckpointError, match="holds no run"):
        Run.resume(tmp_path, {})
    with pytest.raises(ContradictionError, match="batch: the run was started with 4"):
        Run.resume(whole.folder, {"batch": 5, "seed": 0})
    assert Run.resume(whole.folder, {"batch": 4}).trainer.step == 8


class Evil:
    def __reduce__(self):
        return print, ("code has run",)


def damage_state(path):
    state = torch.load(path / "last.pt", weights_only=True)
    state["trainer"]["network"]["out.bias"] = torch.zeros(7)
    torch.save(state, path / "last.pt")


def damage_config(path):
    config = json.loads((path / "config.json").read_text())
    config["recipe"]["preset"] = "huge"
    (path / "config.json").write_text(json.dumps(config))


DAMAGES = {
    "cut": lambda path: (path / "last.pt").write_bytes((path / "last.pt").read_bytes()[:1000]),
    "code": lambda path: (path / "last.pt").write_bytes(pickle.dumps(Evil())),
    "code in a zip": lambda path: torch.save({"trainer": Evil()}, path / "last.pt"),
    "gone": lambda path: (path / "last.pt").unlink(),
    "other tensors": damage_state,
    "no state": lambda path: torch.save({"trainer": 3, "metrics": []}, path / "last.pt"),
    "other settings": damage_config,
    "no settings": lambda path: (path / "config.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_refused(tmp_path, damage, capsys):
    Run.start(tmp_path / "run", Recipe(**TINY))
    DAMAGES[damage](tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"last\.pt|config\.json") as caught:
        Run.resume(tmp_path / "run", {})
    assert "\n" not in str(caught.value)
    assert "code has run" not in capsys.readouterr().out


def test_images_that_have_changed_are_named(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for texture in draw_textures(3):
        write_image(folder / f"{texture.name}.png", texture(40, seeded(0)))
    Run.start(tmp_path / "run", Recipe(data=(str(folder),), **TINY))
    write_image(folder / "bricks.png", draw_textures(3)[2](40, seeded(1)))
    with pytest.raises(ContradictionError, match=r"data: the images have changed .*: bricks$"):
        Run.resume(tmp_path / "run", {})


def test_a_recipe_is_read_as_it_was_written_and_with_other_settings_not_at_all():
    written = json.loads(json.dumps(asdict(Recipe(**TINY))))
    assert Recipe.read(written) == Recipe.read({**written, "normalize": False}) == Recipe(**TINY)
    with pytest.raises(TypeError, match="normalize"):
        Recipe.read({**written, "normalize": True})
    with pytest.raises(TypeError, match="without optimizer"):
        Recipe.read({name: value for name, value in written.items() if name != "optimizer"})


def test_a_loss_that_is_not_finite_keeps_the_last_state(tmp_path, whole):
    run = Run.start(tmp_path / "run", Recipe(**TINY))
    steps = run.train()
    next(steps)
    run.save()
    run.trainer.objective = lambda generator: sum(w.sum() for w in run.trainer.network.parameters()) * torch.nan
    with pytest.raises(NotFiniteError, match="step 2"):
        next(steps)
    assert torch.equal(weights(finish(Run.resume(tmp_path / "run", {}))), weights(whole))


def test_a_disk_that_is_full_keeps_the_last_state(tmp_path, whole, monkeypatch):
    run = Run.start(tmp_path / "run", Recipe(**TINY))

    def full(path, contents):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            finish(run)
    assert {path.name for path in run.folder.iterdir()} == {"config.json", "last.pt", "network.pt"}
    assert torch.equal(weights(finish(Run.resume(run.folder, {}))), weights(whole))


BAD = {
    "guidance": "labels",
    "preset": "large",
    "sigma_distribution": "normal",
    "loss_weight": "snr",
    "optimizer": "sgd",
    "precision": "float16",
    "device": "tpu",
    "downscale": 0,
    "batch": 0,
    "shared": 0,
    "primes": 0,
    "patch": 4,
    "steps": 0,
    "minutes": 0.0,
    "learning_rate": float("nan"),
    "p_drop": 1.5,
    "held_out": -0.1,
}


def test_the_condition_is_the_mean_of_what_several_patches_say():
    """The loss of a recipe is that of Algorithm 2 with the centroid of `primes` patches for every group of pairs."""
    recipe = Recipe(batch=6, shared=3, primes=4, patch=8, p_drop=0.0, device="cpu", precision="float32")
    patches, _, _ = sources.read_patches(recipe)
    network = recipe.build_network(len(patches.classes))
    generator = seeded(5)
    x, x_prime, _ = patches.pairs(6, generator, 3, 4)
    phi = torch.stack([centroid(network, x_prime[:4]), centroid(network, x_prime[4:])]).repeat_interleave(3, 0)
    expected = denoising_loss(network, x, phi, squared(), inverse_variance(0.1), generator=generator)
    torch.testing.assert_close(recipe.build_loss(patches, len(patches.classes))(network, seeded(5)), expected)


def test_a_network_of_three_levels_is_loaded(monkeypatch, tmp_path):
    """Its middle block has a single position for every 8 × 8 pixels."""
    monkeypatch.setitem(PRESETS, "paper", PRESETS["paper"] | {"channels": 4})
    finish(Run.start(tmp_path / "run", Recipe(preset="paper", patch=16, batch=4, steps=1)))
    model = load_model(tmp_path / "run")
    assert model.network.settings["levels"] == 3
    assert model.targets.shape == (len(model.classes), sum(model.network.widths))


@pytest.mark.parametrize("name", BAD)
def test_a_setting_out_of_range_is_named(name):
    assert getattr(Recipe(), name) == asdict(Recipe())[name]
    with pytest.raises(ValueError, match=f"^{name}: must be"):
        Recipe(**{name: BAD[name]})


ENDLESS = {"classes": "endless", "synthetic": 0.2, "patch": 12, "batch": 4, "device": "cpu", "precision": "float32"}


@pytest.fixture
def few_drawn(monkeypatch):
    monkeypatch.setattr(sources, "SYNTHETIC", 3)
    monkeypatch.setattr(sources, "SYNTHETIC_SIZE", 40)


def test_endless_classes_go_on_to_the_bit(textures, tmp_path, few_drawn):
    names = sorted(path.stem for path in textures.iterdir())
    recipe = Recipe(data=(str(textures),), class_=tuple(names[:4]), unseen=str(textures), steps=6, **ENDLESS)
    whole = Run.start(tmp_path / "whole", recipe)
    for _ in whole.train():
        pass
    part = Run.start(tmp_path / "part", recipe)
    for record in part.train():
        if record.step == 3:
            part.save()
            break
    resumed = Run.resume(tmp_path / "part", {})
    for _ in resumed.train():
        pass
    for a, b in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.unseen.classes == tuple(names[4:])
    line = whole.metrics[-1]
    assert len(line["psnr_unseen_right"]) == len(line["psnr_unseen_none"]) == len(line["sigma"])
    assert load_model(tmp_path / "whole").recipe.unseen is None  # what ships names no folder


def test_many_pictures_are_the_source_of_endless_classes_and_few_are_classes():
    patches = SimpleNamespace(classes=("a",) * 64)
    assert chosen_classes(Recipe(), patches) == "endless"
    assert chosen_classes(Recipe(classes="fixed"), patches) == "fixed"
    assert chosen_classes(Recipe(guidance="label"), patches) == "fixed"
    assert chosen_classes(Recipe(), SimpleNamespace(classes=("a",) * 63)) == "fixed"
    with pytest.raises(ValueError, match=r"^classes: "):
        Recipe(classes="endless", guidance="label")


def test_a_training_starts_at_other_weights_with_their_settings(run, textures, tmp_path):
    model = load_model(run["features"])
    asked = Recipe(data=(str(textures / "bricks.png"),), from_=str(run["features"]), steps=2, device="cpu")
    recipe = asked.from_weights(model.recipe, {"steps", "device"})
    assert (recipe.patch, recipe.preset, recipe.batch) == (model.patch, model.recipe.preset, model.recipe.batch)
    assert recipe.learning_rate == model.recipe.learning_rate / 4
    started = Run.start(tmp_path / "new", recipe)
    of_its_own = started.trainer.generator.initial_seed()  # batches other than those that the weights were trained on
    assert (
        of_its_own != Run(tmp_path, replace(recipe, from_=None, data=(str(textures),))).trainer.generator.initial_seed()
    )
    for network in (started.network, started.trainer.network):
        for a, b in zip(network.parameters(), model.network.parameters(), strict=True):
            assert torch.equal(a, b)
    for _ in started.train():  # of one picture, the one class
        pass
    assert started.patches.classes == ("bricks",)
    assert "psnr_right" in started.metrics[-1]
    assert "psnr_wrong" not in started.metrics[-1]
    with pytest.raises(ValueError, match=r"^color: --from has False"):
        Recipe(color=True).from_weights(model.recipe, {"color"})


def test_what_ends_while_it_starts_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    def written_and_interrupted(config, folder):
        assert {"last.pt", "network.pt"} < {path.name for path in folder.iterdir()}
        (folder / "config.json").touch()
        raise KeyboardInterrupt

    for of, name, end in (
        (Run, "_save_network", interrupted),
        (Run, "_save_state", interrupted),
        (Config, "write", written_and_interrupted),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(of, name, end)
            with pytest.raises(KeyboardInterrupt):
                Run.start(tmp_path / "run", Recipe(**TINY))
        assert list(tmp_path.iterdir()) == []


def test_drawn_pictures_that_are_held_out_in_part_are_not_in_the_bank(monkeypatch):
    monkeypatch.setattr(sources, "SYNTHETIC", 16)
    monkeypatch.setattr(sources, "SYNTHETIC_SIZE", 64)
    recipe = Recipe(patch=8, batch=4, steps=1, classes="endless", synthetic=0.5, device="cpu", precision="float32")
    patches = sources.read_patches(recipe)[0]
    stream = sources.stream_of(recipe, patches)
    held = {bytes(image.flatten().numpy()) for image in patches._images}
    whole = [k for k, side in enumerate(stream.sides.tolist()) if side == [64, 64]]
    assert len(whole) == 16
    for k in whole:
        begin = int(stream.begin[k])
        assert bytes(stream.pixels[:, begin : begin + 64 * 64].flatten().numpy()) not in held


def test_checks_that_take_long_leave_time_to_train(tmp_path, monkeypatch):
    """By a clock on which a step takes half a second and a check ten, of a hundred in all: one is due in 5 s."""
    clock = SimpleNamespace(now=0.0)

    def perf_counter():
        clock.now += 0.5
        return clock.now

    def check(run, step, seconds):
        at.append(step)
        clock.now += 10

    at = []
    monkeypatch.setattr(runs, "CHECKS", 20)
    run = Run.start(tmp_path / "run", Recipe(**TINY | {"steps": None, "minutes": 100 / 60}))
    monkeypatch.setattr(Run, "_check", check)
    for module in (runs, trainer):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=perf_counter))
    finish(run)
    assert 4 <= len(at) <= 8
    assert min(b - a for a, b in pairwise(at[:-1])) >= 5


def test_processes_that_measure_differently_compute_alike(monkeypatch):
    monkeypatch.setattr("fgs.images.recipe.best_precision", lambda device: "bfloat16")
    assert Recipe(device="cpu").on_this_machine().precision == "bfloat16"
    monkeypatch.setattr("fgs.images.recipe.average", lambda values: [0.5])  # the other one has found float32
    assert Recipe(device="cpu").on_this_machine().precision == "float32"
