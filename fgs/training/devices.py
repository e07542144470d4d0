"""Where to train and in which precision: what is here, and what pays."""

import time
from functools import cache

import torch


def check_device(name: str, what: str = "use cpu or auto") -> None:
    """Raise a ValueError if a kind of device is asked for that is not here."""
    for device, here in {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.items():
        if name == device and not here:
            raise ValueError(f"device: there is no {device} here; {what}")


def best_device() -> str:
    """Return the fastest kind of device that is here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@cache
def best_precision(device: str) -> str:
    """Return bfloat16 where the hardware multiplies such numbers faster; a CPU tries it, for a second at most.

    What a processor says of itself does not tell: with AVX-512 but no AMX, bfloat16 is twice as fast on some and twice
    as slow on others.
    """
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device != "cpu":
        return "float32"
    single, half = (_product_seconds(dtype) for dtype in (torch.float32, torch.bfloat16))
    return "bfloat16" if 1.5 * half < single else "float32"


def _product_seconds(dtype: torch.dtype, n: int = 512) -> float:
    """Return how long a product of n × n matrices takes, the best of five, or of fewer where one takes long."""
    a = torch.ones(n, n, dtype=dtype)
    times: list[float] = []
    while len(times) < 5 and sum(times) < 0.05:  # without instructions for bfloat16 one product takes a second
        begin = time.perf_counter()
        torch.mm(a, a)
        times.append(time.perf_counter() - begin)
    return min(times)
