"""Every matcher that is installed runs on a small scene and finds the motion of it."""

from __future__ import annotations

import json

import pytest

from validation import head_to_head
from validation.peers import PEERS

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
    assert found["nmad px"] < 0.15
    assert found["bias px"] < 0.05
    assert 0.0 <= found["memory MB"] < 1000.0
    if method in PEERS:
        assert "95 %" not in found
    else:
        assert 55.0 < found["68 %"] < 90.0
        assert 80.0 < found["95 %"] <= 100.0


def test_each_method_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_to_head, "methods", lambda: ["xoffset"])
    (row,) = head_to_head.run(is_small=True)
    assert (row["scene"], row["method"]) == ("landslide, SNR 4", "xoffset")
    assert row["us a window"] > 0.0


def test_a_method_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # known here, and not to the process that is to run it
    monkeypatch.setitem(head_to_head.PEERS, "none of that name", next(iter(head_to_head.PEERS.values())))
    monkeypatch.setattr(head_to_head, "methods", lambda: ["none of that name"])
    (row,) = head_to_head.run(is_small=True)
    assert row == {"scene": "landslide, SNR 4", "method": "none of that name", "failed": "yes"}
    assert "none of that name failed on landslide, SNR 4" in capsys.readouterr().err


def test_a_way_of_ours_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_to_head, "methods", lambda: ["none of that name"])
    with pytest.raises(RuntimeError, match="none of that name failed on landslide, SNR 4"):
        head_to_head.run(is_small=True)


def test_the_scenes_are_a_landslide_clouds_a_fault_and_a_glacier() -> None:
    fields = [options["field"] for _, options in head_to_head.SCENES.values()]
    assert fields == ["landslide", "landslide", "fault", "glacier"]
    for setting, options in head_to_head.SCENES.values():
        # ten metres a pixel and a year between the images: nothing moves beyond the search
        assert setting.search > options.get("velocity", 0.0) / 10.0
