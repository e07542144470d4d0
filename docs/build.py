"""Build the site: run the lessons whose results are missing or of other code, then Sphinx, without one warning.

python docs/build.py --open          # everything, and show it in a browser
python docs/build.py --no-lessons    # from the results that are there, as CI does; a missing one is an error
"""

import argparse
import os
import shutil
import subprocess
import sys
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs/_build"
sys.path[:0] = [str(ROOT), str(ROOT / "lessons"), str(ROOT / "docs")]

from other_hosts import other_hosts  # noqa: E402


def run_lesson(number: int) -> bool:
    """Run a lesson into the folder that the site shows, on one core; say how it ended."""
    command = [sys.executable, "-m", "fgs", "lessons", str(number), "--out", str(ROOT / "fgs-lessons")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout.splitlines()[0] + ": held" if done.returncode == 0 else done.stderr.strip(), flush=True)
    return done.returncode == 0


def run_lessons() -> None:
    """Run every lesson that has no record of its present code, as many at a time as there are cores."""
    from fgs.commands.curriculum import headings
    from lessons_pages import record_of

    missing = [heading.number for heading in headings() if record_of(heading) is None]
    if missing:
        print(f"running {len(missing)} lessons", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all(pool.map(run_lesson, missing)):
            sys.exit("a lesson did not show its claim: see above")


def build() -> None:
    """Run Sphinx on what is there; every warning is an error, and so is a reference that leads nowhere."""
    shutil.rmtree(OUT, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html", "-c", "docs", "."]
    if subprocess.run([*command, str(OUT)], cwd=ROOT, check=False).returncode:
        sys.exit("the site has warnings: see above")
    found = other_hosts(OUT)
    if found:
        sys.exit("\n".join(["files that a browser would load from another host:", *found]))


def main() -> None:
    """Read the options, and build."""
    parser = argparse.ArgumentParser(description="Build the site into docs/_build.")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    parser.add_argument("--no-lessons", action="store_true", help="run no lesson; one without results is an error")
    options = parser.parse_args()
    if find_spec("sphinx") is None:
        parser.error("Sphinx is not installed; pip install -e '.[docs]' brings it")
    try:
        if not options.no_lessons:
            run_lessons()
        build()
    except KeyboardInterrupt:
        sys.exit("interrupted; lessons that ended are kept")
    print(f"the site: {OUT / 'index.html'}")
    if options.open:
        webbrowser.open((OUT / "index.html").as_uri())


if __name__ == "__main__":
    main()
