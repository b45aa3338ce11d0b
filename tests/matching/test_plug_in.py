"""The matcher of the documentation: another library's flow in the place of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import lattice as lattices
from xoffset.model.flags import FLAGS

pytest.importorskip("cv2")
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def matcher(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop("dis_matcher", None)
    import dis_matcher

    return dis_matcher.DIS()


def test_dense_inverse_search_as_a_matcher(matcher, monkeypatch):
    assert len((DOCS / "dis_matcher.py").read_text().splitlines()) <= 40
    monkeypatch.setattr(lattices, "FADED_TILE", 80)
    monkeypatch.setattr(lattices, "TILE", 64)
    stack, _ = synthetic.stack((180, 200), field="constant", velocity=18.0, direction=90.0, snr=20.0)
    stack[0, 80:100, 60:90] = np.nan
    network = xoffset.pairs(stack)
    options = {"matcher": matcher, "prefilter": None, "step": 2, "search": 6}
    shifts = xoffset.correlate(stack, network, **options)
    true = 18.0 * float(shifts.baseline[0]) / 365.25
    good = shifts.flags == 0
    assert abs(float(shifts.dx.where(good).median()) - true) < 0.5
    assert abs(float(shifts.dy.where(good).median())) < 0.5
    assert good.where((shifts.flags & FLAGS["outside"]) == 0).mean() > 0.9
    hole = shifts.isel(y=slice(42, 46), x=slice(32, 40))
    assert hole.dx.isnull().all()
    assert (hole.flags == FLAGS["nodata"]).all()
    lazy = xoffset.correlate(stack.chunk(y=70, x=55), network, **options)
    xr.testing.assert_identical(lazy.compute(), shifts)
    with pytest.raises(ValueError, match="Pass prefilter=None"):
        xoffset.correlate(stack, network, matcher=matcher)


def test_holes_of_the_secondary_are_asked_for_where_the_ground_has_gone(matcher):
    stack, _ = synthetic.stack((180, 200), field="constant", velocity=250.0, direction=90.0, snr=20.0)
    network = xoffset.pairs(stack)
    moved = 250.0 * float(network.baseline[0]) / 365.25 / 10.0
    assert moved > 9.0
    stack[1, 70:110, 80:120] = np.nan
    search = int(moved) + 4
    shifts = xoffset.correlate(stack, network, matcher=matcher, prefilter=None, step=2, search=search).isel(pair=0)
    # pixels of the image that nodes end at
    row = np.rint((float(stack.y[0]) - shifts.y.values) / 10.0)[:, None]
    column = np.rint((shifts.x.values - float(stack.x[0])) / 10.0 + moved)
    inside = (row >= 70) & (row < 110) & (column >= 80) & (column < 120)
    assert np.isnan(shifts.dx.values[inside]).all()
    assert (shifts.flags.values[inside] == FLAGS["nodata"]).all()
    # ground that lay where the hole is now, and has left it
    left = (row >= 70) & (row < 110) & (column - moved < 120) & (column > 128)
    assert np.isfinite(shifts.dx.values[left]).mean() > 0.9
    error = shifts.dx.values / 10.0 - moved
    assert np.nanpercentile(np.abs(error), 99) < 0.5


def test_the_prior_is_what_it_starts_from(matcher):
    stack, _ = synthetic.stack((180, 200), field="constant", velocity=250.0, direction=90.0, snr=20.0)
    network = xoffset.pairs(stack)
    true = 250.0 * float(network.baseline[0]) / 365.25
    around = xr.Dataset({"dx": 0 * stack[0] + true - 10.0, "dy": 0 * stack[0]}).drop_vars("time").drop_attrs(deep=False)
    options = {"matcher": matcher, "prefilter": None, "step": 4, "search": 4}
    shifts = xoffset.correlate(stack, network, **options, prior=around)
    good = shifts.flags == 0
    assert float(good.mean()) > 0.5
    assert abs(float(shifts.dx.where(good).median()) - true) < 1.0
    assert (shifts.flags.values[..., -5:] == FLAGS["outside"]).all()
    blind = xoffset.correlate(stack, network, **options)
    assert float((blind.flags == 0).mean()) < 0.1


def test_constant_images_tell_nothing(matcher):
    stack, _ = synthetic.stack((90, 90))
    shifts = xoffset.correlate(stack * 0 + 7.0, xoffset.pairs(stack), matcher=matcher, prefilter=None, search=3)
    assert shifts.dx.isnull().all()
