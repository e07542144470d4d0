"""What the README tells its readers to type works."""

import re
from pathlib import Path

import pytest

from conftest import flags_of

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_run(example, capsys):
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert out
    assert "FAILS" not in out


def test_the_files_it_names_are_there():
    named = re.findall(r"`((?:fgs|toy|docs|benchmarks)/[\w.]+)`|\((docs/[\w.]+)\)", README)
    assert len(named) > 15
    for path in (first or second for first, second in named):
        assert (Path(__file__).parents[2] / path).exists()


def test_the_options_and_methods_it_names_exist(capsys):
    from toy.learned.scores import LEARNED_METHODS
    from toy.methods import EXACT_METHODS

    rows = re.findall(r"^\| [^|]+ \| ((?:`\w+`(?:, )?)+) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {*EXACT_METHODS, *LEARNED_METHODS}
    options = set(re.findall(r"fgs toy [^\n#]*", README))
    assert {name for line in options for name in re.findall(r"--[\w-]+", line)} <= flags_of("toy")
    for command in ("sample", "train-images", "evaluate"):
        lines = re.findall(rf"fgs {command} [^\n#`]*", README)
        assert {name for line in lines for name in re.findall(r"--[\w-]+", line)} <= flags_of(command)
