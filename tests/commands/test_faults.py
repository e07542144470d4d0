"""Hostile use: terminals that cannot spell, JSON parsers that are strict, and whatever else people type."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import flags_of
from fgs.commands.console import results_in
from fgs.common.files import write_text
from fgs.common.text import SPELLED, json_text
from fgs.figures import contact_sheet, image_grid, scatter
from fgs.images.reading import write_image
from fgs.noise import seeded

PIPES = ("ascii", "cp1252")
COMMANDS = {
    "toy": ["toy", "--samples", "50", "--h", "0.5"],
    "help": ["toy", "--help"],
    "root": ["--help"],
    "error": ["toy", "--beta", "2", "--out", "σ"],
    "lessons": ["lessons"],
    "lesson": ["lessons", "1", "--out", "lessons"],
    "train": ["train-images", "--patch", "8", "--batch", "4", "--steps", "1", "--out", "run"],
    "sample": ["sample", "--between", "oak_veneer", "cobblestone", "--n", "1", "--steps", "8", "--out", "samples"],
}


@pytest.mark.parametrize(("name", "encoding"), [(name, PIPES[k % 2]) for k, name in enumerate(COMMANDS)])
def test_no_command_fails_for_its_characters(tmp_path, name, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "fgs", *COMMANDS[name]]
    done = subprocess.run(run, capture_output=True, env=environment, cwd=tmp_path, check=False)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == (2 if name == "error" else 0), err
    assert "Traceback" not in err
    if name == "toy":
        assert "beta = 0.1" in out
        assert "sigma from 1.02 to" in out


def test_what_is_spelled_out_is_ascii():
    assert all(len(letter) == 1 and not letter.isascii() and word.isascii() for letter, word in SPELLED.items())


def test_json_is_strict():
    text = json_text({"a": [1.5, math.nan, (math.inf, -math.inf)], "σ": None, "b": {"c": True, "d": 3}})
    assert json.loads(text) == {"a": [1.5, None, [None, None]], "σ": None, "b": {"c": True, "d": 3}}
    assert text.isascii()


def test_python_m_fgs_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "fgs", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fgs 0.")


def test_the_settings_of_toy_survive_eighty_columns(fgs):
    options = [
        "--components",
        3,
        "--dim",
        64,
        "--covariance",
        "rank1",
        "--means",
        "random",
        "--samples",
        20,
        "--h",
        0.5,
    ]
    lines = fgs("toy", *options, "--method", "exact")[1].splitlines()
    settings = lines[1:4]
    assert all(len(line) < 80 for line in settings)
    assert any(line.startswith("h = 0.5, known σ from ") for line in settings)


PLACES = {"textures": ["drawn"], "embed": ["shipped", "nowhere.png"]}
SMALL = {"toy": ["--samples", "20"], "train-images": ["--dry-run"], "sample": ["--steps", "8"]}
LONG = {"--learned", "--resume", "--compile", "--images", "--minutes"}
VALUES = ["0", "1", "2", "-1", "1e9", "nan", "inf", "", "a", "σ", "0.5", "1,2", ".5,.5", "../x", ".", "rank1", "exact"]


@pytest.mark.slow
def test_no_line_that_is_typed_ends_in_a_traceback(tmp_path, monkeypatch):
    """Random options with random values, each in a process of its own that is forked here and cut off after a while."""
    import cli

    monkeypatch.chdir(tmp_path)
    torch.zeros(1)
    draw = random.Random(0)
    ended = dict.fromkeys((0, 1, 2), 0)
    for number in range(150):
        command = draw.choice(["toy", "sample", "train-images", "textures", "embed", "evaluate"])
        known = sorted(flag for flag in flags_of(command) - LONG if flag.startswith("--"))
        chosen = draw.sample(known, draw.randint(1, min(3, len(known))))
        line = [command, *PLACES.get(command, ()), *SMALL.get(command, ())]
        line += (part for name in chosen for part in (name, draw.choice(VALUES)))
        before = set(tmp_path.iterdir())
        process = os.fork()
        if process == 0:
            log = os.open(tmp_path.parent / "log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            sys.argv = ["fgs", *line]
            code = 99
            try:
                import signal

                signal.alarm(20)  # a long job is no fault
                cli.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            except BaseException as error:
                print(f"Traceback of {error!r}")
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        status = os.waitpid(process, 0)[1]
        said = (tmp_path.parent / "log").read_text(errors="replace")
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == 14, (line, said)
        else:
            assert os.WEXITSTATUS(status) in ended, (line, said)
            assert "Traceback" not in said, (line, said)
            ended[os.WEXITSTATUS(status)] += 1
            if os.WEXITSTATUS(status) == 2:
                assert set(tmp_path.iterdir()) == before, (number, line)
        for path in set(tmp_path.iterdir()) - before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert ended[2] > 30
    assert ended[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "checkpoint"])
def test_no_byte_that_is_turned_ends_in_a_traceback(fgs, run, tmp_path, kind):
    """A picture, or a checkpoint, with some bytes changed or its end cut off: used, or refused with one line."""
    draw = random.Random(1)
    picture = tmp_path / "picture.png"
    write_image(picture, (255 * torch.rand(1, 40, 40, generator=seeded(0))).to(torch.uint8))
    source = picture if kind == "image" else run["features"] / "network.pt"
    whole = source.read_bytes()
    for _ in range(40):
        contents = bytearray(whole[: draw.randint(0, len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.randint(0, 8)):
            if contents:
                contents[draw.randrange(len(contents))] = draw.randrange(256)
        changed = tmp_path / f"changed{source.suffix}"
        changed.write_bytes(bytes(contents))
        model, shown = (run["features"], changed) if kind == "image" else (changed, picture)
        code, _, err = fgs("embed", model, shown, "--downscale", 1)
        assert code in (0, 2), err
        assert code == 0 or (err.count("\n") == 1 and "Traceback" not in err), err


@pytest.mark.parametrize("command", [["sample", "--like"], ["restore"], ["evaluate", "--unseen"]])
def test_what_cannot_be_read_is_named_and_no_option_that_was_not_given(fgs, tmp_path, command):
    code, out, err = fgs(*command, "a" * 300 + ".png", "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "File name too long" in err
    assert "--data" not in err


def test_a_disk_that_fills_up_is_no_wrong_usage(capsys, tmp_path):
    with pytest.raises(SystemExit) as end, results_in(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert end.value.code == 1
    assert capsys.readouterr().err == f"fgs: --out: writing into {tmp_path / 'out'} failed: No space left on device\n"
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end, results_in(tmp_path / "file"):
        pass
    assert end.value.code == 2


def test_names_are_no_mathematics(tmp_path):
    image_grid({"cost$_$": torch.zeros(1, 1, 4, 4)}, ["$%$"], "a$\\b$", tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 1000


def test_a_logarithm_shows_what_it_can(tmp_path):
    for number, points in enumerate(([(0.0, 1.0), (1.0, 2.0)], [(0.0, 0.0)])):
        scatter(points, {"A": 1.0}, ("x", "y"), tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").exists()


def test_names_of_other_bytes_are_drawn_and_written(tmp_path):
    name = "stein\udcff"  # what a file's name that is no UTF-8 is read as
    image_grid({name: torch.zeros(1, 1, 4, 4)}, [name], "", tmp_path / "grid.png")
    contact_sheet({name: torch.zeros(1, 8, 8)}, tmp_path / "sheet.png")
    write_text(tmp_path / "name.txt", name)
    assert (tmp_path / "name.txt").read_text(encoding="utf-8") == "stein?"
    assert (tmp_path / "grid.png").exists()
    assert (tmp_path / "sheet.png").exists()


SPENT = [MemoryError(), OverflowError("out of range"), RuntimeError("you tried to allocate 1 TB"), OSError(28, "full")]
SPENT += [RuntimeError("CUDA error: out of memory"), torch.linalg.LinAlgError("not positive definite")]


@pytest.mark.parametrize("error", SPENT, ids=lambda error: type(error).__name__)
def test_what_runs_out_is_one_line(fgs, monkeypatch, error):
    def run_toy(*arguments):
        raise error

    monkeypatch.setattr("toy.command.run_toy", run_toy)
    code, out, err = fgs("toy", "--samples", "20")
    assert (code, out) == (1, "")
    assert err == f"fgs: failed: {str(error) or 'MemoryError'}\n"


@pytest.mark.parametrize("error", [RuntimeError("linalg.inv: A must be square"), ZeroDivisionError()], ids=repr)
def test_an_error_of_the_program_keeps_its_traceback(fgs, monkeypatch, error):
    def run_toy(*arguments):
        raise error

    monkeypatch.setattr("toy.command.run_toy", run_toy)
    with pytest.raises(type(error)):
        fgs("toy", "--samples", "20")


def test_without_stdout_it_works(fgs, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert fgs("toy", "--samples", "20")[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_stdout_that_is_full_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123 what a shell does
        run = [sys.executable, "-m", "fgs", "lessons"]
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("fgs: failed: ")
    assert "No space left" in done.stderr
