"""Which precision pays is found out in little time."""

from types import SimpleNamespace

import torch

from fgs.training import devices


def test_precision_is_found_with_one_slow_product(monkeypatch):
    """Where bfloat16 is emulated one product tells. The clock runs by products alone."""
    calls, now = [], [0.0]

    def mm(a, b):
        calls.append(a.dtype)
        now[0] += 0.06 if a.dtype == torch.bfloat16 else 0.001

    monkeypatch.setattr(torch, "mm", mm)
    monkeypatch.setattr(devices, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert devices.best_precision.__wrapped__("cpu") == "float32"
    assert (calls.count(torch.float32), calls.count(torch.bfloat16)) == (5, 1)
