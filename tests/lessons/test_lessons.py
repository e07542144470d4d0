"""The lessons: what each must have, that each holds, alone and in order, and what `fgs lessons` says of them."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import fgs
import toy
from conftest import flags_of
from fgs.commands import curriculum
from fgs.commands.curriculum import headings
from lesson import RECORD, Lesson, code_of, fingerprint

ROOT = Path(__file__).parents[2]
LESSONS = headings()
ANSWERS = (ROOT / "lessons" / "answers.md").read_text()
LIGHT = (1, 5)  # seconds each; the others are slow tests

every_lesson = pytest.mark.parametrize("heading", LESSONS, ids=lambda heading: heading.name)


def test_there_are_nineteen_in_order():
    assert [heading.number for heading in LESSONS] == list(range(1, 20))
    assert all(heading.name.startswith(f"{heading.number:02}_") for heading in LESSONS)
    assert all(heading.path.parent == ROOT / "lessons" for heading in LESSONS)


@every_lesson
def test_the_form_of_a_lesson(heading):
    text = heading.path.read_text()
    lines = text.splitlines()
    assert sum(bool(line.strip()) and not line.startswith("#") for line in lines) <= 100  # of code; prose may breathe
    assert lines.count("# %%") >= 3
    assert lines.count("# %% [markdown]") >= 2
    tree = ast.parse(text)
    asserts = [node for node in tree.body if isinstance(node, ast.Assert)]
    assert len(asserts) == 1
    assert asserts[0].msg is not None
    assert f"lesson = Lesson({heading.number})" in lines
    assert "lesson.end()" in lines
    assert "lesson.save(" in text
    assert text.count("lesson.compare(") >= 2
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"], "lesson.say is kept"


@every_lesson
def test_exercises_have_answers(heading):
    exercises = heading.path.read_text().split("**Exercises**")[1]
    asked = re.findall(r"^# (\d)\. ", exercises, re.MULTILINE)
    answers = re.split(r"^## ", ANSWERS, flags=re.MULTILINE)[1:]
    (answer,) = [part for part in answers if part.startswith(f"Lesson {heading.number}:")]
    assert heading.title in answer.splitlines()[0]
    assert len(asked) >= 2
    assert re.findall(r"^(\d)\. ", answer, re.MULTILINE) == asked


@every_lesson
def test_a_lesson_uses_the_public_interface(heading):
    for node in ast.walk(ast.parse(heading.path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in ("fgs", "toy"):
            public = {"fgs": fgs, "toy": toy}[node.module].__all__
            assert {alias.name for alias in node.names} <= set(public)
        if isinstance(node, ast.ImportFrom):
            assert not any(alias.name.startswith("_") for alias in node.names)


def run_alone(heading, folder):
    command = [sys.executable, "-W", "error", str(heading.path), "--out", "figures"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def check_alone(heading, folder, done):
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    result = heading.result(folder / "figures")
    print(f"lesson {heading.number}: {result['seconds']:.1f} s")
    assert result["claim"] == heading.claim
    assert result["figures"]
    for name in result["figures"]:
        assert (folder / "figures" / heading.name / name).stat().st_size > 5000


@pytest.mark.parametrize("heading", [one for one in LESSONS if one.number in LIGHT], ids=lambda heading: heading.name)
def test_a_light_one_alone(heading, tmp_path):
    check_alone(heading, tmp_path, run_alone(heading, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [range(1, 11), range(11, 14), range(14, 20)])
def test_one_third_in_order(fgs, tmp_path, numbers):
    """In one process, as `fgs lessons` has them, warnings being errors. Thirds take about equally long.

    What they leave is kept in FGS_LESSONS, if that names a folder, for the site.
    """
    tmp_path = Path(os.environ.get("FGS_LESSONS", tmp_path))
    code, out, err = fgs("lessons", *numbers, "--out", tmp_path, "--json")
    assert code == 0, err
    lessons = json.loads(out)["lessons"]
    assert [lesson["lesson"] for lesson in lessons if lesson["held"]] == list(numbers)
    for lesson in lessons:
        print(f"lesson {lesson['lesson']}: {lesson['seconds']:.1f} s")
        assert all(
            (tmp_path / LESSONS[lesson["lesson"] - 1].name / name).stat().st_size > 5000 for name in lesson["figures"]
        )
    assert sum(lesson["seconds"] for lesson in lessons) < 300


LESSON = '''"""Lesson {number}: Numbers.

Claim: {claim}
"""

from lesson import RECORD, Lesson, code_of, fingerprint

lesson = Lesson({number})
lesson.compare("a number", {number}, 1)
assert {number} == 1, "the number is one"
lesson.end()
'''


@pytest.fixture
def two_lessons(tmp_path, monkeypatch):
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "01_one.py").write_text(LESSON.format(number=1, claim="One is one."))
    (folder / "02_two.py").write_text(LESSON.format(number=2, claim="Two is one."))
    monkeypatch.setattr(curriculum, "FOLDERS", (folder,))
    monkeypatch.chdir(tmp_path)
    return folder


def test_running_one_prints_its_numbers_and_records_it(two_lessons, fgs):
    code, out, err = fgs("lessons", 1)
    assert (code, err) == (0, "")
    assert "a number: 1   expected: 1" in out
    assert "held: One is one." in out
    one, two = (heading.result(Path("fgs-lessons")) for heading in headings())
    assert one["numbers"] == [{"what": "a number", "measured": 1.0, "expected": 1}]
    assert two is None
    _, out, _ = fgs("lessons")
    assert "held" in out
    assert "not yet" in out


def test_a_record_says_what_was_shown_by_which_statement(two_lessons, fgs):
    """The statements are counted from the docstring, 1: the comparison is the fourth, and prose does not move it."""
    path = two_lessons / "01_one.py"
    path.write_text(path.read_text().replace("lesson.comp", "# prose\n\nlesson.comp"))
    assert fgs("lessons", 1)[0] == 0
    shown = json.loads((Path("fgs-lessons/01_one") / RECORD).read_text())["shown"]
    assert [one["statement"] for one in shown] == [4, 6]
    assert shown[0]["text"] == "  a number: 1   expected: 1"


def test_prose_is_no_code(tmp_path):
    path = tmp_path / "some.py"

    def of(text):
        path.write_text(text)
        return code_of(path)

    code = of('def f(x):\n    """Add one."""\n    return x + 1\n')
    assert of('# %% [markdown]\n# Prose.\n\ndef f(x):\n    """Add 1."""\n    return x + 1  # one\n') == code
    assert of('def f(x):\n    """Add one."""\n    return x + 2\n') != code


@pytest.mark.parametrize("changed", ["lessons/01_one.py", "fgs/noise.py", "toy/mixture.py"])
def test_a_record_of_other_code_is_none(changed, tmp_path, monkeypatch):
    files = {"lessons/01_one.py": "1", "fgs/__init__.py": "2", "fgs/noise.py": "3", "toy/mixture.py": "4"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(fgs, "__file__", str(tmp_path / "fgs/__init__.py"))
    before = fingerprint(tmp_path / "lessons/01_one.py")
    (tmp_path / "fgs/noise.py").write_text("3  # a comment")
    assert fingerprint(tmp_path / "lessons/01_one.py") == before
    (tmp_path / changed).write_text("5")
    assert fingerprint(tmp_path / "lessons/01_one.py") != before


def test_a_claim_that_fails(two_lessons, fgs):
    code, out, err = fgs("lessons", 2)
    assert code == 1
    assert "held" not in out
    assert err == "fgs: lesson 2 did not show its claim: the number is one (claim: Two is one.)\n"


def test_a_claim_that_no_longer_holds_is_no_longer_listed(two_lessons, fgs):
    assert fgs("lessons", 1)[0] == 0
    path = two_lessons / "01_one.py"
    path.write_text(path.read_text().replace("1 == 1", "1 == 2"))
    assert fgs("lessons", 1)[0] == 1
    assert headings()[0].result(Path("fgs-lessons")) is None


def test_all_go_on_after_one_that_fails(two_lessons, fgs):
    (two_lessons / "00_zero.py").write_text('"""Lesson 0: None. Claim: Zero runs."""\n\n1 / 0\n')
    code, out, err = fgs("lessons", "--all")
    assert code == 1
    assert "held" in out
    assert out.count("FAILED") == 2
    assert "1 of 3 claims held" in out
    assert "ZeroDivisionError" in err
    code, out, err = fgs("lessons", "--all", "--json")
    assert code == 1
    assert [lesson["held"] for lesson in json.loads(out)["lessons"]] == [False, True, False]


def test_ctrl_c_is_one_line(two_lessons, fgs):
    (two_lessons / "02_two.py").write_text('"""Lesson 2: Slow. Claim: It ends."""\n\nraise KeyboardInterrupt\n')
    code, _, err = fgs("lessons", "--all")
    assert code == 130
    assert err.splitlines()[-1].startswith("fgs: interrupted")
    assert [heading.result(Path("fgs-lessons")) is None for heading in headings()] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((99,), "NUMBER: must be a lesson from 1 to 2, got 99"),
        ((1, "--all"), "NUMBER: name lessons, or all"),
        (("--json",), "--json: is for lessons that are run"),
        (("five",), "NUMBER"),
        ((1, "--out", "lessons/01_one.py"), "--out: cannot write into lessons/01_one.py"),
    ],
)
def test_wrong_usage_is_one_line(two_lessons, fgs, arguments, message):
    code, out, err = fgs("lessons", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_without_a_claim_is_refused(two_lessons):
    (two_lessons / "03_three.py").write_text('"""Three."""\n')
    with pytest.raises(ValueError, match=r"03_three\.py: its docstring must read"):
        headings()


MAP = (ROOT / "lessons" / "README.md").read_text()


def test_the_map_is_complete():
    rows = re.findall(r"^\| ([^|]+) \|", MAP, re.MULTILINE)
    wanted = [f"Eq. {i}" for i in range(1, 9)] + [f"Algorithm {i}" for i in range(1, 5)]
    wanted += [f"Fig. {i}" for i in range(1, 17)]
    for what in wanted:
        assert any(re.match(rf"{what}\b", row) for row in rows), f"{what} has no row"


def test_everything_the_map_names_exists():
    text = MAP.split("## Symbols")[0]
    named = 0
    for row in re.findall(r"^\| .* \|$", text, re.MULTILINE):
        for functions, path in re.findall(r"((?:`\w+`(?: and )?)+) in `((?:fgs|toy)/[\w/]+\.py)`", row):
            tree = ast.parse((ROOT / path).read_text())
            defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            for name in re.findall(r"\w+", functions.replace(" and ", " ")):
                assert name in defined, f"{path} has no {name}"
                named += 1
    assert named > 30
    lessons = set(re.findall(r"`(\d\d_\w+\.py)`", text))
    assert lessons == {heading.path.name for heading in LESSONS}


def test_commands_of_the_map_know_their_options():
    options = set(re.findall(r"--\w[\w-]*", MAP))
    assert len(options) > 5
    commands = ("lessons", "toy", "train-images", "sample", "evaluate")
    assert options <= set().union(*map(flags_of, commands))


def test_the_readme_shows_every_lesson():
    readme = (ROOT / "README.md").read_text()
    for heading in LESSONS:
        assert f"lessons/{heading.path.name}" in readme
        assert f"{heading.number} {heading.title}</b><br>{heading.claim}</td>" in readme
        assert (ROOT / "docs" / "lessons" / f"{heading.number:02}.png").stat().st_size > 5000
    pictures = (ROOT / "docs" / "lessons").glob("*.png")
    assert sum(picture.stat().st_size for picture in pictures) < 1_500_000


@pytest.fixture
def lesson(two_lessons, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["01_one.py", "--out", "figures"])
    with matplotlib.rc_context():
        yield Lesson(1)


def test_a_figure_is_saved_and_shown_in_notebooks(lesson, tmp_path):
    figure, axes = lesson.figure(rows=1, columns=2)
    axes[0].plot([0, 1], [0, 1])
    picture = lesson.save(figure, "line")
    assert (tmp_path / "figures" / "01_one" / "line.png").read_bytes().startswith(b"\x89PNG")
    assert picture._repr_html_().startswith('<img src="data:image/png;base64,')
    _, axis = lesson.figure()
    assert not hasattr(axis, "__len__")


def test_the_record_holds_what_was_compared(lesson, tmp_path, capsys):
    lesson.compare("a range", 0.5, "below 1")
    lesson.end()
    assert "a range: 0.5   expected: below 1" in capsys.readouterr().out
    result = lesson.heading.result(Path("figures"))
    assert result["numbers"] == [{"what": "a range", "measured": 0.5, "expected": "below 1"}]
    assert result["claim"] == "One is one."


def test_a_lesson_that_does_not_exist(two_lessons):
    with pytest.raises(ValueError, match="NUMBER: must be a lesson from 1 to 2, got 3"):
        Lesson(3)


def test_an_output_folder_that_cannot_be_written(two_lessons, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["01_one.py", "--out", "lessons/01_one.py"])
    with pytest.raises(SystemExit) as end:
        Lesson(1)
    assert end.value.code == 2
    assert "--out: cannot write into" in capsys.readouterr().err


def test_a_folder_in_which_nothing_can_be_written_is_one_line(two_lessons, fgs, tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fgs.commands.lessons.TemporaryFile", refuse)
    code, out, err = fgs("lessons", "--all", "--json", "--out", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"fgs: --out: cannot write into {tmp_path}: Permission denied; name another folder\n"
