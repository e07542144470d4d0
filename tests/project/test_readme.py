"""What the README, and what it leads to, tell their readers to type works."""

import re
from pathlib import Path

import pytest

from conftest import flags_of

ROOT = Path(__file__).parents[2]
README, LIBRARY, TOY = ((ROOT / name).read_text() for name in ("README.md", "docs/library.md", "docs/toy.md"))
EXAMPLES = [example for page in (README, LIBRARY) for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_run(example, capsys):
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert out
    assert "FAILS" not in out


def test_the_files_it_names_are_there():
    named = re.findall(r"`((?:fgs|toy|docs|benchmarks)/[\w.]+)`|\((docs/[\w.]+)\)", README + LIBRARY)
    assert len(named) > 30
    for path in (first or second for first, second in named):
        assert (ROOT / path).exists(), path


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_options_and_methods_it_names_exist(capsys):
    from toy.learned.scores import LEARNED_METHODS
    from toy.methods import EXACT_METHODS

    rows = re.findall(r"^\| [^|]+ \| ((?:`\w+`(?:, )?)+) \|", TOY, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {*EXACT_METHODS, *LEARNED_METHODS}
    options = set(re.findall(r"fgs toy [^\n#]*", README + TOY))
    assert {name for line in options for name in re.findall(r"--[\w-]+", line)} <= flags_of("toy")
    for command in ("sample", "train-images", "evaluate"):
        lines = re.findall(rf"fgs {command} [^\n#`]*", README)
        assert {name for line in lines for name in re.findall(r"--[\w-]+", line)} <= flags_of(command)
