"""The explorer as one HTML file: structure, style, scripts and data put together, with no other file or address."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from fgs.figures.style import CLASS_COLOURS, COLOURS, TRUTH

SCRIPTS = (
    *("mixture.js", "guidance.js", "sampling.js", "run.js", "settings.js"),  # arithmetic: touches no page
    *("view.js", "controls.js", "mixture_tab.js", "feature_tab.js", "strip.js", "main.js"),
)


def page(features: Mapping[str, Any] | None = None) -> str:
    """Return the HTML of the explorer.

    Args:
        features: what `feature_data` made of a model; without it there is the mixture tab alone.
    """
    colours = {"colours": dict(COLOURS), "classColours": CLASS_COLOURS, "truth": TRUTH}
    data = json.dumps(colours | {"features": features}, ensure_ascii=False, separators=(",", ":"))
    # a name with </script> in it would end the script
    scripts = [f"const DATA = {data.replace('<', chr(92) + 'u003c')};", *map(_read, SCRIPTS)]
    tags = "".join(f'<script>"use strict";\n{script}</script>\n' for script in scripts)
    return _read("page.html").replace("/* STYLE */", _read("style.css")).replace("<!-- SCRIPTS -->", tags)


def _read(name: str) -> str:
    return (files("fgs.explorer") / name).read_text(encoding="utf-8")
