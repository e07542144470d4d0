"""Text for machines that are stricter than ours: JSON without NaN, and streams that cannot spell σ."""

import codecs
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

SPELLED = {"σ": "sigma", "β": "beta", "λ": "lambda", "φ": "phi", "ω": "omega", "α": "alpha", "∞": "inf", "×": "x"}
SPELLED |= {"÷": "/", "−": "-", "–": "-", "—": "-", "…": "...", "²": "^2", "∇": "grad ", "∝": "~", "₀": "0", "‖": "|"}


def strict(value: Any) -> Any:  # noqa: ANN401 plain data of any kind
    """Return plain data with null in the place of every number that JSON has no word for: NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: strict(part) for key, part in value.items()}
    return [strict(part) for part in value] if isinstance(value, list | tuple) else value


def json_text(value: object, indent: int | None = 2) -> str:
    """Return plain data as strict JSON, in ASCII."""
    return json.dumps(strict(value), indent=indent, allow_nan=False)


def _spell(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    return "".join(SPELLED.get(letter, "?") for letter in letters), error.end


def any_encoding() -> None:
    """Let stdout and stderr spell out what their encoding lacks, as a pipe's on Windows does: nothing fails for a σ."""
    codecs.register_error("spell", _spell)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a test or a notebook puts in their place may take everything
            stream.reconfigure(errors="spell")
