import sys
from importlib import import_module

import hypothesis
import pytest
import torch

import cli
from fgs.images import run as runs
from fgs.images.patches import write_textures
from fgs.images.recipe import Recipe
from fgs.images.run import Run
from toy import GaussianMixture

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other

hypothesis.settings.register_profile("fgs", deadline=None, max_examples=30, derandomize=True)
hypothesis.settings.load_profile("fgs")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed what draws without a generator: a statistical bound that holds today holds tomorrow."""
    torch.manual_seed(0)


def random_mixture(seed: int, K: int | None = None, d: int | None = None) -> GaussianMixture:
    """Draw a mixture of up to 4 components in up to 5 dimensions, covariances of any rank."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    K, d = K or draw(1, 4), d or draw(1, 5)
    factor = torch.randn(K, d, draw(0, d), generator=generator, dtype=torch.float64)
    weights = torch.rand(K, generator=generator, dtype=torch.float64) + 0.1
    means = 3 * torch.randn(K, d, generator=generator, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, factor @ factor.mT)


def flags_of(command: str) -> set[str]:
    """The options of a command, as they are typed."""
    parameters = import_module(cli.COMMANDS[command][0]).command.params
    return {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def fgs(capsys, monkeypatch):
    """Run a command line; return exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fgs", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run


@pytest.fixture(scope="session")
def textures(tmp_path_factory):
    """A folder of six classes: four to train on, two never to be trained on."""
    folder = tmp_path_factory.mktemp("textures")
    assert len(list(write_textures(folder, 6, 1, 120, False, 0))) == 6
    return folder


@pytest.fixture(scope="session")
def run(textures, tmp_path_factory):
    """Folders of networks of four textures, trained for a few steps: by features, by labels, of the mixture, of one."""
    names = sorted(path.stem for path in textures.iterdir())
    classes = {"features": names[:4], "label": names[:4], "none": names[:4], "single": names[:1]}
    folders = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "CHECKS", 1)
        for name, of_run in classes.items():
            guidance = "none" if name == "single" else name
            settings = {"patch": 20, "batch": 8, "steps": 60, "learning_rate": 3e-3, "data": str(textures), "primes": 1}
            settings |= {"optimizer": "adam", "precision": "float32", "device": "cpu", "class_": tuple(of_run)}
            folders[name] = tmp_path_factory.mktemp("runs") / name
            for _ in Run.start(folders[name], Recipe(guidance=guidance, **settings)).train():
                pass
    return folders
