"""Two processes take the steps that one would take, write once, and survive the death of one of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import multiprocessing
from torch.optim import Adam

from fgs.images.recipe import Recipe
from fgs.images.sources import read_patches
from fgs.training import processes as fgs_processes
from fgs.training.processes import average, begun, is_first, note_begun, process_group, processes, share
from fgs.training.trainer import Trainer

TINY = {"patch": 8, "batch": 8, "steps": 8, "seed": 3, "device": "cpu", "precision": "float32"}
QUICK = ["train-images", "--patch", 8, "--batch", 8, "--seed", 3, "--precision", "float32"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "cli"]

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")


def gradients(guidance):
    """Return the loss of a first step, and its gradient."""
    recipe = Recipe(guidance=guidance, **TINY)
    patches = read_patches(recipe)[0]
    network = recipe.build_network(len(patches.classes))
    trainer = Trainer(network, recipe.build_loss(patches, len(patches.classes)), recipe.budget())
    loss = trainer.objective(trainer.generator)
    loss.backward()
    return loss.detach(), torch.cat([weight.grad.flatten() for weight in trainer.parameters])


def one_of_two(rank, guidance, port, folder):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with process_group():
        assert (processes(), is_first(), share(6)) == (2, rank == 0, slice(3 * rank, 3 * rank + 3))
        assert average([rank, 4.0]) == [0.5, 4.0]
        loss, gradient = gradients(guidance)
        torch.save((average([loss.item()])[0], gradient), folder / f"{rank}.pt")
        Adam([torch.ones(1, requires_grad=True)]).step()
        del loss, gradient
    # a thread of the group that is left would now and then abort the process as it exits
    assert not [name for name in threads() if "gloo" in name]


def threads():
    return [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]


@pytest.mark.parametrize("guidance", ["features", "label"])
def test_the_averaged_gradients_are_those_of_one_process(tmp_path, guidance):
    port = 20_000 + os.getpid() % 20_000
    multiprocessing.spawn(one_of_two, (guidance, port, tmp_path), nprocs=2)
    loss, gradient = gradients(guidance)
    for rank in (0, 1):
        of_two, averaged = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert of_two == pytest.approx(float(loss), rel=1e-5)
        assert float((averaged - gradient).norm() / gradient.norm()) < 1e-5


def test_one_process_needs_no_others():
    assert (processes(), is_first(), share(6), average([3.0])) == (1, True, slice(0, 6), [3.0])
    with process_group():
        assert processes() == 1


def state(folder):
    return torch.load(folder / "last.pt", weights_only=True)


@pytest.mark.slow
def test_a_short_run_of_two_processes_is_that_of_one(fgs, tmp_path):
    arguments = [*QUICK, "--steps", 8]
    done = subprocess.run(
        [*TORCHRUN, *map(str, arguments), "--out", str(tmp_path / "two")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("8 steps") == 1
    assert fgs(*arguments, "--out", tmp_path / "one")[0] == 0
    two, one = state(tmp_path / "two"), state(tmp_path / "one")
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    for checks in zip(two["metrics"], one["metrics"], strict=True):
        assert checks[0]["loss"] == pytest.approx(checks[1]["loss"], rel=1e-4)
        assert checks[0]["psnr_right"] == pytest.approx(checks[1]["psnr_right"], abs=0.01)


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path):
    command = [*TORCHRUN, *map(str, QUICK), "--steps", "2", "--batch", "5", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "fgs: --batch: must be a multiple of 4 (shared) × 2 processes, got 5" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_when_a_process_dies_torchrun_takes_the_run_up_again(tmp_path):
    command = [*map(str, QUICK), "--steps", "300", "--out"]
    assert subprocess.run([*TORCHRUN, *command, str(tmp_path / "whole")], capture_output=True).returncode == 0
    elastic = [*TORCHRUN[:3], "--max-restarts", "2", *TORCHRUN[3:]]
    run = subprocess.Popen([*elastic, *command, str(tmp_path / "killed")], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "killed/metrics.jsonl").exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.05)
    workers = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, err = run.communicate()
    assert run.returncode == 0, err
    whole, killed = state(tmp_path / "whole")["trainer"], state(tmp_path / "killed")["trainer"]
    assert killed["step"] == 300
    assert all(torch.equal(whole["network"][key], killed["network"][key]) for key in whole["network"])


def test_an_attempt_knows_what_an_earlier_one_began(monkeypatch):
    """Not what its own first process began a moment ago: all processes of an attempt must find the same."""
    store = torch.distributed.HashStore()
    found = []
    for attempt in (1, 2):
        monkeypatch.setattr(fgs_processes, "_launch", {"store": store, "attempt": attempt})
        found.append(begun())
        note_begun()
        found.append(begun())
    assert found == [False, False, True, True]


def restarted(rank, port, counts, starts):
    """One of two processes of a launch whose store an agent keeps: `counts` restarts by each node's own count."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(counts[rank])
    with process_group():
        assert average([float(fgs_processes._launch["attempt"])]) == [starts]


@pytest.mark.slow
@pytest.mark.parametrize(("counts", "died"), [((1, 0), ()), ((1, 1), (1,))])
def test_processes_meet_again_whoever_counted_the_failure(counts, died):
    """A node that only waited counts no restart; a process that `died` before it joined has counted no start."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for rank in {0, 1} - set(died):
        store.add(f"starts of {rank}", 1)
    context = multiprocessing.spawn(restarted, (store.port, counts, 2.0), nprocs=2, join=False)
    until = time.monotonic() + 60
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < until, "they wait for one another"
    finally:
        for process in context.processes:
            process.kill()


@pytest.mark.slow
def test_a_folder_of_somebody_else_is_refused_by_every_attempt(tmp_path):
    (tmp_path / "network.pt").write_text("precious")
    elastic = [*TORCHRUN[:3], "--max-restarts", "1", *TORCHRUN[3:]]
    done = subprocess.run([*elastic, *map(str, QUICK), "--steps", "2", "--out", str(tmp_path)], capture_output=True)
    assert done.returncode == 1
    assert done.stderr.count(b"exists and holds files") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["network.pt"]
    assert (tmp_path / "network.pt").read_text() == "precious"
