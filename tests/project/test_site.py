"""The site: its pages name what exists, and load nothing from another host. That it builds, `.ci/run` shows."""

import json
import re
from pathlib import Path

import pytest

from conftest import flags_of
from other_hosts import other_hosts

ROOT = Path(__file__).parents[2]


def test_every_module_has_its_place_in_the_reference():
    rooms = re.findall(r"```\{room\} (\S+)", "".join(path.read_text() for path in ROOT.glob("docs/api/*.md")))
    assert len(rooms) == len(set(rooms))
    modules = [path for package in ("fgs", "toy") for path in (ROOT / package).rglob("[!_]*.py")]
    assert set(rooms) == {path.parent.relative_to(ROOT).as_posix() for path in modules}


@pytest.mark.parametrize("page", ["index", "photographs", "toy", "lessons"])
def test_the_commands_of_a_page_know_their_options(page):
    text = (ROOT / f"docs/{page}.md").read_text()
    commands = re.findall(r"(?:^|[`/])fgs ([a-z-]+)([^\n#`]*)", text, re.MULTILINE)
    assert commands
    for command, rest in commands:
        assert set(re.findall(r"--[\w-]+", rest)) <= flags_of(command), command


@pytest.mark.parametrize("page", ["photographs"])
def test_the_examples_of_a_page_run(page, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL)
    exec(compile(example, page, "exec"), {"__name__": page})
    assert capsys.readouterr().out


def test_the_readme_builds_it_by_one_command():
    (command,) = re.findall(r"`(python3 -m venv [^`]*docs/build\.py[^`]*)`", (ROOT / "README.md").read_text())
    assert "pip install -e '.[docs]'" in command


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<link rel="preload" as="font" href="http://fonts.example/x.woff2">',
        '<img src="a.png" srcset="https://example.org/b.png 2x">',
        "<style>@import 'https://example.org/x.css';</style>",
        '<p style="background: url(https://example.org/x.png)">',
    ],
)
def test_what_a_page_loads_from_another_host_is_found(loads, tmp_path):
    (tmp_path / "page.html").write_text(f"<html>{loads}</html>")
    assert len(other_hosts(tmp_path)) == 1
    assert other_hosts(tmp_path)[0].startswith("page.html: ")


def test_what_a_style_loads_from_another_host_is_found(tmp_path):
    (tmp_path / "x.css").write_text('@font-face { src: url("https://example.org/x.woff2"), url(y.woff2); }')
    assert other_hosts(tmp_path) == ["x.css: https://example.org/x.woff2"]


def test_links_that_a_reader_follows_are_no_resources(tmp_path):
    page = '<a href="https://example.org">there</a><link rel="canonical" href="https://example.org"><img src="a.png">'
    (tmp_path / "page.html").write_text(page)
    assert other_hosts(tmp_path) == []


LESSON = '''"""Lesson 1: One.

Claim: One is one.
"""

# %%
from lesson import Lesson

lesson = Lesson(1)

# %% [markdown]
# With $x = 1$:

# %%
lesson.compare("x", 1, 1)
lesson.end()
'''


@pytest.fixture
def pages():
    return pytest.importorskip("lessons_pages", reason="needs pip install 'fgs[docs]'", exc_type=ImportError)


@pytest.fixture
def heading(tmp_path):
    from fgs.commands.curriculum import read_heading

    (tmp_path / "01_one.py").write_text(LESSON)
    return read_heading(tmp_path / "01_one.py")


def test_what_a_cell_showed_stands_below_it(pages, heading):
    import jupytext

    shown = [{"statement": 4, "text": "  x: 1"}, {"statement": 4, "figure": "x.png", "titles": "An x"}]
    shown.append({"statement": 5, "text": "  held"})
    text = pages.page(heading, jupytext.reads(LESSON, fmt="py:percent").cells, shown)
    places = ["# Lesson 1: One", "Lesson(1)", "With $x = 1$:", "lesson.end()", "x: 1", "x.png", ":alt: An x", "held"]
    assert [text.index(place) for place in places] == sorted(text.index(place) for place in places)
    assert '"""' not in text


def test_a_record_of_other_code_is_not_shown(pages, heading, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert pages.record_of(heading) is None
    folder = tmp_path / pages.OUT / "01_one"
    folder.mkdir(parents=True)
    shown = [{"statement": 4, "text": "x: 1"}]
    (folder / pages.RECORD).write_text(json.dumps({"code": pages.fingerprint(heading.path), "shown": shown}))
    assert pages.record_of(heading) == shown
    heading.path.write_text(LESSON.replace("# With", "# Surely with"))
    assert pages.record_of(heading) == shown
    heading.path.write_text(LESSON.replace('"x", 1', '"x", 2'))
    assert pages.record_of(heading) is None


def test_links_from_lessons_open_the_explorer_at_the_setting_they_name(pages):
    source = ["[See it](../docs/explorer.html#preset=narrow), [it](../docs/explorer.html), [other](../docs/toy.md)"]
    pages.open_explorer(None, "lessons/07", source)
    narrow, plain = '<a href="../explorer.html#preset=narrow">See it</a>', '<a href="../explorer.html">it</a>'
    assert source == [f"{narrow}, {plain}, [other](../docs/toy.md)"]


def test_the_settings_that_lessons_link_to_exist():
    lessons = "".join(path.read_text() for path in ROOT.glob("lessons/*.py"))
    named = re.findall(r"\(\.\./docs/explorer\.html#preset=(\w+)\)", lessons)
    settings = (ROOT / "fgs/explorer/settings.js").read_text()
    assert named
    assert all(f"\n  {name}: {{\n" in settings for name in named)
