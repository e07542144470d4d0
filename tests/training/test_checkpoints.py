import pickle
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from fgs.networks.mlp import MLP, GuidedMLP, LabelMLP
from fgs.networks.unet import GuidedUNet, LabelUNet, UNet
from fgs.noise import seeded
from fgs.training.checkpoints import FORMAT, CheckpointError, load_checkpoint, read_data, save_checkpoint, save_data


@pytest.fixture
def networks():
    networks = {"guided": GuidedMLP(5, bias=True), "label": LabelMLP(5, 3), "mixture": MLP(5, layers=2)}
    for network in networks.values():
        torch.nn.init.normal_(network.out.weight)
    return networks


@pytest.fixture
def path(tmp_path, networks):
    save_checkpoint(tmp_path / "a.pt", networks, {"seed": 3, "range": [0.1, 1.0], "name": None})
    return tmp_path / "a.pt"


def altered(path, change):
    contents = torch.load(path, weights_only=True)
    change(contents)
    torch.save(contents, path)


def test_what_was_saved_comes_back(path, networks):
    loaded, about = load_checkpoint(path)
    x = torch.randn(4, 5, generator=seeded(0))
    assert about == {"seed": 3, "range": [0.1, 1.0], "name": None}
    assert loaded.keys() == networks.keys()
    for name, network in networks.items():
        assert type(loaded[name]) is type(network)
        assert not loaded[name].training
        assert torch.equal(loaded[name](x), network(x))
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]


def test_image_networks_come_back(tmp_path):
    sizes = {"channels": 4, "levels": 1, "colors": 3}
    networks = {"guided": GuidedUNet(gain=0.5, **sizes), "label": LabelUNet(2, **sizes), "mixture": UNet(**sizes)}
    save_checkpoint(tmp_path / "a.pt", networks, {})
    loaded, _ = load_checkpoint(tmp_path / "a.pt")
    x = torch.rand(2, 3, 8, 8, generator=seeded(0))
    assert all(torch.equal(loaded[name](x), network(x)) for name, network in networks.items())
    assert torch.equal(loaded["guided"].features(x), networks["guided"].features(x))


def test_a_loaded_network_can_be_trained_on(path):
    network = load_checkpoint(path).networks["guided"]
    network(torch.randn(4, 5)).square().sum().backward()
    assert network.out.weight.grad is not None
    assert not network.gain.requires_grad


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a checkpoint was run')",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(format=FORMAT + 1), "format"),
        (lambda c: c.pop("networks"), "networks"),
        (lambda c: c["networks"]["guided"].update(kind="Sequential"), "unknown network"),
        (lambda c: c["networks"]["guided"].update(kind="__import__"), "unknown network"),
        (lambda c: c["networks"]["guided"].update(extra=1), "extra"),
        (lambda c: c["networks"]["guided"]["settings"].update(channels=32), "do not fit"),
        (lambda c: c["networks"]["guided"]["settings"].update(channels=10**9, d=10**7), "contents"),
        (lambda c: c["networks"]["guided"]["settings"].update(positions=1), "positions"),
        (lambda c: c["networks"]["guided"]["settings"].update(wings=2), "wings"),
        (lambda c: c["networks"]["guided"]["settings"].update(channels="many"), "contents"),
        (lambda c: c["networks"]["guided"]["weights"].pop("skip.weight"), "do not fit"),
        (lambda c: c["networks"]["guided"]["weights"]["skip.weight"].fill_(torch.nan), "not finite"),
        (
            lambda c: c["networks"]["guided"]["weights"].update({"skip.weight": torch.zeros(5, 5, dtype=torch.int64)}),
            "float32",
        ),
        (lambda c: c["networks"].update(guided=None), "contents"),
        (lambda c: c.update(about=7), "contents"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused_in_one_line(path, change, reason):
    altered(path, change)
    with pytest.raises(CheckpointError, match=reason) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("contents", [b"", b"no checkpoint at all", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_something_else_is_refused(tmp_path, contents):
    (tmp_path / "x.pt").write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        load_checkpoint(tmp_path / "x.pt")


def test_a_damaged_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("where", ["torch", "pickle", "inside"])
def test_code_in_a_file_is_not_run(tmp_path, path, where):
    if where == "torch":
        torch.save({"format": FORMAT, "networks": {}, "about": Bomb()}, path)
    elif where == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        altered(path, lambda c: c["networks"]["guided"]["weights"].update(bomb=Bomb()))
    with pytest.raises(CheckpointError, match="more in it than data"):
        load_checkpoint(path)


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch, networks):
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, networks, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_the_system(monkeypatch, tmp_path):
    """`torch.save` would raise one of its own, which nobody expects."""
    (tmp_path / "a.pt").write_bytes(b"before")

    @contextmanager
    def full(path):
        yield Path("/dev/full")

    monkeypatch.setattr("fgs.training.checkpoints.atomic", full)
    with pytest.raises(OSError, match="No space left"):
        save_data(tmp_path / "a.pt", {"x": torch.zeros(100_000)})
    assert (tmp_path / "a.pt").read_bytes() == b"before"


@pytest.mark.parametrize("contents", [b"Quite another file", b"read me", b"r", b""])
def test_a_text_is_no_checkpoint(tmp_path, contents):
    (tmp_path / "a.pt").write_bytes(contents)
    with pytest.raises(CheckpointError):
        read_data(tmp_path / "a.pt")


@pytest.mark.parametrize("change", ["kind", "double", "not finite", "numpy"])
def test_what_could_not_be_read_again_is_not_written(tmp_path, change):
    class Mine(MLP):
        pass

    network, about = Mine(3) if change == "kind" else MLP(3), {"loss": 1.0}
    if change == "double":
        network.double()
    if change == "not finite":
        torch.nn.init.constant_(network.out.weight, torch.nan)
    if change == "numpy":
        about = {"loss": np.mean([1.0, 2.0])}
    with pytest.raises(TypeError if change == "numpy" else ValueError, match=r"numpy|Mine|finite numbers"):
        save_checkpoint(tmp_path / "a.pt", {"score": network}, about)
    assert not list(tmp_path.iterdir())
