"""The recipe for earthquakes on synthetic faults: slip, the direction of regularisation, and a real image."""

import functools
import json

import numpy as np
import pytest
from gdm_scenes import made

from xoffset import synthetic

SLIP = 16.0
PLAIN = {"split_date": "2020-03-01", "spatial_matching_range": 1, "apply_jitter_correction": False}


@functools.cache
def fault(strike, snr=8.0, size=160):
    """Ground of which the two sides of a line slip by 16 m against each other; strike in degrees from grid north."""
    stack, truth = synthetic.stack(
        (size, size), dates=["2020-01-01", "2020-04-01"], field="fault", velocity=0.0, step=SLIP / 2,
        step_date="2020-03-01", direction=strike, snr=snr, seed=5,
    )  # fmt: skip
    return stack.chunk(), truth


def across(found, strike):
    """Distance of nodes from the fault through the middle [m], and displacement along it [m]."""
    east, north = np.sin(np.radians(strike)), np.cos(np.radians(strike))
    x, y = np.meshgrid(found.x - found.x.mean(), found.y - found.y.mean())
    return x * north - y * east, found.dx.values * east + found.dy.values * north


def slip_of(found, strike, near=80.0, far=400.0):
    """Difference at the fault of the lines that are fitted to both sides [m]."""
    distance, along = across(found, strike)
    ends = []
    for side in (1.0, -1.0):
        is_of = (side * distance > near) & (side * distance < far) & np.isfinite(along)
        ends.append(np.polyfit(distance[is_of], along[is_of], 1)[1])
    return abs(ends[0] - ends[1])


def true_slip(truth, strike):
    """The same of the truth: the field of a fault has no step, but changes fast beside it."""
    return slip_of(truth.isel(time=1), strike)


@pytest.mark.parametrize("strike", [0.0, 45.0, 90.0, 135.0])
def test_slip_is_told_within_five_percent(strike):
    stack, truth = fault(strike)
    found, slip = made("etq", "displacement", stack, **PLAIN), true_slip(truth, strike)
    assert slip > 0.6 * SLIP
    assert abs(slip_of(found, strike) - slip) < 0.05 * slip


def test_teta0_counts_from_east_clockwise():
    # of a fault toward the north-east, 45 degrees from north, it is 135 or -45; toward the south-east 45
    errors = {}
    for strike in (45.0, 135.0):
        stack, truth = fault(strike, snr=1.5)
        for teta0 in (-45.0, 45.0):
            found = made("etq", "matches", stack, use_a_direction_for_regularization=True, teta0=teta0, **PLAIN)
            moved = truth.isel(time=1).sel(y=found.y, x=found.x, method="nearest")
            error = np.hypot(found.dx[0].values - moved.dx.values, found.dy[0].values - moved.dy.values)
            errors[strike, teta0] = float(np.sqrt(np.nanmean(error**2)))
    assert errors[45.0, -45.0] < 0.8 * errors[45.0, 45.0]
    assert errors[135.0, 45.0] < 0.8 * errors[135.0, -45.0]
    along = PLAIN | {"use_a_direction_for_regularization": True}
    same = [made("etq", "matches", fault(45.0, snr=1.5)[0], teta0=teta0, **along) for teta0 in (-45.0, 135.0)]
    assert same[0].dx.equals(same[1].dx)


def in_pixels(found, truth):
    """Errors (2, rows, columns) along x and y [px]."""
    moved = truth.isel(time=1).sel(y=found.y, x=found.x, method="nearest")
    return np.stack([found[name][0].values - moved[name].values for name in ("dx", "dy")]) / 10.0


@pytest.mark.parametrize("strike", [0.0, 45.0])
def test_ground_beside_a_fault_has_no_more_bias_than_that_of_micmac(strike):
    """MicMac: 0.025 px on ground that moves as one, from its steps of 0.05 px, with a scatter of 0.005 to 0.011 px."""
    stack, truth = fault(strike, snr=10.0)
    found = made("etq", "matches", stack, **PLAIN)
    distance, error = across(found, strike)[0], in_pixels(found, truth)
    for side in (1.0, -1.0):
        of_side = error[:, side * distance > 250.0]
        middle = np.nanmedian(of_side, axis=1)
        assert np.abs(middle).max() < 0.025
        assert (1.4826 * np.nanmedian(np.abs(of_side - middle[:, np.newaxis]), axis=1)).max() < 0.011


@pytest.mark.parametrize(("each_side", "least_found"), [(15.0, 0.95), (34.0, 0.0), (60.0, 0.0)])
def test_ground_beyond_the_range_is_unknown_and_not_held_at_it(each_side, least_found):
    """A range of 1 px is looked for within 3 px; MicMac tells the nearest shift that it tried of what moves farther."""
    stack, truth = synthetic.stack(
        (160, 160), dates=["2020-01-01", "2020-04-01"], field="fault", velocity=0.0, step=each_side,
        step_date="2020-03-01", direction=0.0, snr=8.0, seed=5,
    )  # fmt: skip
    found = made("etq", "matches", stack.chunk(), **PLAIN)
    error = np.hypot(*in_pixels(found, truth))[np.abs(across(found, 0.0)[0]) > 300.0]
    assert (error > 0.5).mean() < 0.001
    assert (error < 0.5).mean() >= least_found * (found.flags[0].values != 1).mean()


def test_jitter_spares_the_motion_across_a_trace(tmp_path):
    """The service takes waves of 0.5 to 4 km off all ground; a trace tells which of it is the earthquake."""
    strike = 102.0
    stack, truth = fault(strike, size=200)
    slip = true_slip(truth, strike)
    x, y = (float(stack[name].mean()) for name in ("x", "y"))
    east, north = 2000.0 * np.sin(np.radians(strike)), 2000.0 * np.cos(np.radians(strike))
    line = {"type": "LineString", "coordinates": [[x - east, y - north], [x + east, y + north]]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path = tmp_path / "trace.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs,
                                "features": [{"type": "Feature", "properties": {}, "geometry": line}]}))  # fmt: skip
    options = PLAIN | {"apply_jitter_correction": True}
    lost, kept = (slip_of(made("etq", "corrected", stack, **options, **trace).isel(pair=0), strike)
                  for trace in ({}, {"fault_trace": str(path)}))  # fmt: skip
    assert lost < 0.8 * slip
    assert abs(kept - slip) < 0.05 * slip
