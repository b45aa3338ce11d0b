"""Every matcher that is installed runs on a small scene and finds the motion of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from validation import head_to_head, peers
from validation.peers import PEERS, Setting

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", [*head_to_head.OURS, *PEERS])
def test_a_method_finds_the_motion(
    method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if method in PEERS and not PEERS[method].is_here:
        pytest.skip(f"{method} is not installed")
    monkeypatch.setattr("benchmarks._measure.on_one_core", lambda: None)
    assert head_to_head.main(["--one", method, "landslide, SNR 4", "--small"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid %"] > 90.0
    assert found["outliers %"] < 15.0
    assert found["rmse px"] < 0.2
    if method in PEERS:
        assert found["coverage %"] is None
    else:
        assert 80.0 < found["coverage %"] <= 100.0


def test_each_method_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_to_head, "methods", lambda: ["xoffset"])
    (row,) = head_to_head.run(is_small=True)
    assert (row["scene"], row["method"]) == ("landslide, SNR 4", "xoffset")
    assert row["us a window"] > 0.0


def test_values_of_every_pixel_are_taken_at_the_middle_of_windows() -> None:
    y, x = np.mgrid[:64, :80].astype(float)
    found = peers.on_nodes(np.stack([x, y]), Setting(16, 4, 8))
    assert found.shape == (2, 7, 9)
    assert found[0, 0, 0] == 7.5
    assert found[1, 2, 0] == 23.5
