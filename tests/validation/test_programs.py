"""Programs of others are called as their documentation says, and their results are read where they are."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fake_programs import PROGRAMS as FAKES
from fake_programs import install, motion

from validation import peers, programs
from validation.settings import Setting, on_nodes

SHAPE = (168, 200)


@pytest.fixture
def images() -> np.ndarray:
    """Two images."""
    return np.random.default_rng(0).normal(1000.0, 100.0, (2, *SHAPE))


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with stand-ins of all programs."""
    install(tmp_path, *FAKES)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def expected(setting: Setting) -> np.ndarray:
    """Motion (2, rows, columns) of the middles of the windows."""
    rows, columns = (setting.step * np.arange((n - setting.template) // setting.step + 1) for n in SHAPE)
    half = setting.template / 2
    return np.stack(motion(*np.broadcast_arrays(columns[None] + half, rows[:, None] + half)))


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_a_program_is_called_and_its_windows_are_the_nodes(name: str, images: np.ndarray, on_path: Path) -> None:
    setting = Setting(7 if name == "MicMac" else 32, 8, 8)
    assert peers.PEERS[name].is_here
    assert peers.PEERS[name].version == programs.PROGRAMS[name].executables[0]
    found = peers.PEERS[name].match(images, setting)
    wanted = expected(setting)
    assert found.shape == wanted.shape
    known = np.isfinite(found).all(axis=0)
    np.testing.assert_allclose(found[:, known], wanted[:, known], atol=1e-4)
    # all of them but what the search, or the frequencies, need beyond the window
    assert known[4:-4, 4:-4].all()


def test_a_window_between_the_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="to half a pixel"):
        programs.at_nodes(np.zeros((2, 4, 4)), np.array([18.0, 20.0]), Setting(32, 8, 8), SHAPE)


def test_a_program_that_is_not_there_or_fails_says_so(
    images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = programs.PROGRAMS["MicMac"]
    assert program.path is None
    with pytest.raises(FileNotFoundError, match="Install it"):
        program.match(images, Setting(7, 8, 8))
    (tmp_path / "mm3d").write_text("#!/bin/sh\necho 'no licence' >&2\nexit 3\n")
    (tmp_path / "mm3d").chmod(0o755)
    with pytest.raises(RuntimeError, match=r"status 3: no licence(?s:.*)Run the call .* by hand: .*MM2DPosSism"):
        program.match(images, Setting(7, 8, 8))


class AutoRIFT:
    """Stand-in with the attributes and calls that its instructions name."""

    def __init__(self) -> None:
        self.Dx = self.Dy = None
        self.done: list[str] = []

    def preprocess_filt_hps(self) -> None:
        """High-pass."""
        assert self.I1.dtype == np.float32
        self.done.append("filtered")

    def uniform_data_type(self) -> None:
        """8 bits."""
        self.done.append("scaled")

    def runAutorift(self) -> None:
        """A chip of an even side lies around the point after the pixel; down is negative."""
        assert self.done == ["filtered", "scaled"]
        assert self.ChipSize0X % self.GridSpacingX == 0
        for name in ("SearchLimitX", "SearchLimitY", "Dx0", "Dy0"):
            assert getattr(self, name).dtype == np.float32
            assert getattr(self, name).shape == self.xGrid.shape
        right, down = motion(self.xGrid + 1.0, self.yGrid + 1.0)
        self.Dx, self.Dy = right, -down


def test_autorift_is_called_as_its_instructions_say(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("autoRIFT")
    module.autoRIFT = AutoRIFT
    monkeypatch.setitem(sys.modules, "autoRIFT", module)
    assert peers.PEERS["autoRIFT"].is_here
    assert peers.PEERS["autoRIFT"].version == "?"
    found = peers.PEERS["autoRIFT"].match(images, Setting(32, 8, 8))
    np.testing.assert_allclose(found, expected(Setting(32, 8, 8)))
    # of scenes that are too small it tells nothing
    monkeypatch.setattr(AutoRIFT, "runAutorift", lambda self: None)
    assert np.isnan(peers.PEERS["autoRIFT"].match(images, Setting(32, 8, 8))).all()


def test_values_of_every_pixel_are_taken_at_the_middle_of_windows() -> None:
    y, x = np.mgrid[:64, :80].astype(float)
    found = on_nodes(np.stack([x, y]), Setting(16, 4, 8))
    assert found.shape == (2, 7, 9)
    assert found[0, 0, 0] == 7.5
    assert found[1, 2, 0] == 23.5
    assert on_nodes(np.stack([x, y]), Setting(7, 4, 8))[0, 0, 0] == 3.0
