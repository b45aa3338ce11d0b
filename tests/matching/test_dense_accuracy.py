"""How good dense matching is, on small scenes whose motion is known: what the benchmarks tell of large ones."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.ndimage
from reference_scenes import PIXEL, bent, cut_out, discs

import xoffset
from xoffset import synthetic

SEEDS = (0, 1)
SHAPE = (256, 256)
# Motion where the share is 1, right and down [px].
SLIDE = np.array([3.7, 2.15])
ALONG = np.array([np.cos(np.deg2rad(20.0)), np.sin(np.deg2rad(20.0))])
FLOW = np.array([18.8, -6.8])
# What is wanted and not reached yet: these must fail until they hold.
NOT_YET = functools.partial(pytest.mark.xfail, strict=True)
REFINED_FLOW = xoffset.Flow(smoothness=0.3)


def slide(rows, columns):
    """A part of a landslide that is 450 px wide and 740 px long, and three times as much ground that stands."""
    inside = np.clip(1.0 - ((rows + 125.0) / 225.0) ** 2 - (columns / 370.0) ** 2, 0.0, None)
    return 1.0 - (1.0 - inside**2) ** 2


def beside(rows, columns):
    """Distance in pixels from a trace that runs 20 degrees off the rows."""
    return (rows - 127.5) * ALONG[0] - (columns - 127.5) * ALONG[1]


def fault(rows, columns):
    return 2.0 / np.pi * np.arctan(beside(rows, columns) / 6.0)


def glacier(rows, columns):
    """A margin of a glacier that is 600 px wide, along its flow."""
    return np.clip(1.0 - ((200.0 - beside(rows, columns)) / 300.0) ** 4, 0.0, None) ** 2


@functools.cache
def scene(name, seed, snr):
    motion = {"slide": (slide, SLIDE), "fault": (fault, ALONG), "glacier": (glacier, FLOW)}[name]
    return bent(motion[0], SHAPE, *motion[1], snr=snr, seed=seed)


@functools.cache
def matched(name, seed, snr, matcher, search=4, template=None):
    """Error and standard error (2, rows, columns) and true displacement, right and down [px]; places of the nodes."""
    stack = scene(name, seed, snr)
    shifts = match(stack, matcher=matcher, search=search, template=template)
    share, motion = {"slide": (slide, SLIDE), "fault": (fault, ALONG), "glacier": (glacier, FLOW)}[name]
    places = nodes(shifts, stack)
    true = share(*places) * motion[:, None, None]
    sigma = np.stack([shifts[each].values[0] for each in ("sigma_dx", "sigma_dy")]) / PIXEL
    return tuple(inner(each) for each in (in_pixels(shifts) - true, sigma, true, np.stack(places)))


def match(stack, **options):
    return xoffset.correlate(stack, xoffset.pairs(stack), **{"step": 1, "search": 4} | options)


def in_pixels(shifts):
    """Displacement of the first pair (2, rows, columns) to the right and down."""
    return np.stack([shifts.dx.values[0], -shifts.dy.values[0]]) / PIXEL


def nodes(shifts, stack):
    """Rows and columns of nodes in pixels of the image."""
    rows, columns = (stack.y[0] - shifts.y).values / PIXEL, (shifts.x - stack.x[0]).values / PIXEL
    return np.meshgrid(rows, columns, indexing="ij")


def inner(values, rim=16):
    return values[..., rim:-rim, rim:-rim]


def nmad(values):
    values = values[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def rmse(values):
    return np.sqrt(np.nanmean(values**2))


def outliers(error):
    """Share of displacements that are off by more than half a pixel, of those that are known."""
    length = np.hypot(*error)
    return np.mean(length[np.isfinite(length)] > 0.5)


# ------------------------------------------------------------------------------------------------------------- smooth


@pytest.mark.parametrize("matcher", ["regularized", "flow"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fraction", [0.3, 0.5])
def test_fractions_of_a_pixel_have_no_bias(fraction, seed, matcher):
    right, down = 2.0 + fraction, -1.0 - fraction
    stack, _ = synthetic.stack(
        SHAPE, dates=["2020-01-01T00:00", "2020-12-31T06:00"], pixel_size=PIXEL, field="constant",
        velocity=PIXEL * np.hypot(right, down), direction=np.degrees(np.arctan2(right, -down)), snr=10.0, seed=seed,
    )  # fmt: skip
    error = inner(in_pixels(match(stack, matcher=matcher))) - np.array([right, down])[:, None, None]
    assert np.abs(np.nanmedian(error, axis=(1, 2))).max() < 0.005
    assert np.isfinite(error).mean() > 0.99


@pytest.mark.parametrize("matcher", ["regularized", REFINED_FLOW], ids=["regularized", "flow"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_landslide(seed, matcher):
    error, _, true, _ = matched("slide", seed, 4.0, matcher)
    moves = np.hypot(*true) > 0.1
    assert 0.15 < moves.mean() < 0.35
    assert nmad(error) < 0.012
    assert rmse(error[:, moves]) < 0.035
    assert np.isfinite(error).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault(seed):
    error, _, true, places = matched("fault", seed, 4.0, "regularized")
    assert rmse(error) < 0.02
    away = beside(*places)
    near = np.abs(np.abs(away) - 8.0) < 0.5
    along = np.sign(away) * np.tensordot(ALONG, error + true, 1)
    assert along[near].mean() >= 0.57  # of 0.59


@pytest.mark.parametrize("matcher", ["regularized", "flow"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_glacier_has_no_outliers(seed, matcher):
    error = matched("glacier", seed, 10.0, matcher, search=24)[0]
    assert np.isfinite(error).mean() > 0.7
    assert outliers(error) < 0.0005


@NOT_YET(reason="0.037 to 0.039 px, of 'flow' 0.067 to 0.070: its margin shears by a fifth of a pixel each pixel")
@pytest.mark.parametrize("matcher", ["regularized", "flow"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_glacier(seed, matcher):
    error = matched("glacier", seed, 10.0, matcher, search=24)[0]
    assert rmse(error[:, np.hypot(*error) < 0.5]) < 0.035


# -------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize(
    ("radius", "limit", "seed"),
    [
        (8, 0.5, 0),
        (8, 0.5, 1),
        (12, 0.15, 0),
        (12, 0.15, 1),
    ],
)
def test_small_objects_are_found(radius, limit, seed):
    inside = discs(radius)
    stack = cut_out(inside, (11, -8), snr=4.0, seed=seed)
    shifts = match(stack, matcher="regularized")
    rows, columns = (np.rint(places).astype(int) for places in nodes(shifts, stack))
    found, is_inside = in_pixels(shifts), inside[rows, columns]
    error = np.hypot(found[0] - 2.75, found[1] + 2.0)[is_inside]
    assert np.median(np.nan_to_num(error, nan=3.4)) < limit
    away = ~scipy.ndimage.binary_dilation(inside, iterations=8)[rows, columns]
    assert outliers(found[:, away]) < 0.0005


@pytest.mark.parametrize("seed", SEEDS)
def test_beside_a_step_it_is_as_sharp_as_small_windows(seed):
    stack = cut_out(np.indices((160, 160))[0] >= 80, (12, 0), snr=4.0, seed=seed)
    error = []
    for options in ({"matcher": "regularized"}, {"template": 7}):
        shifts = match(stack, **options)
        away = nodes(shifts, stack)[0] - 79.5
        found = in_pixels(shifts) - np.stack([np.where(away > 0.0, 3.0, 0.0), np.zeros_like(away)])
        error.append(np.nanmean(np.hypot(*found)[np.abs(away) < 5.5]))
    assert error[0] < error[1]


# ------------------------------------------------------------------------------------------------------------- hidden


@functools.cache
def cloudy(seed):
    return synthetic.stack(
        (384, 384), dates=["2020-01-01T00:00", "2020-12-31T06:00"], pixel_size=PIXEL, velocity=11.0, direction=120.0,
        snr=4.0, illumination=0.15, clouds=0.1, nodata=0.05, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("matcher", ["regularized", REFINED_FLOW], ids=["regularized", "flow"])
@pytest.mark.parametrize(
    ("seed", "is_masked"),
    [
        (0, False),
        pytest.param(1, False, marks=NOT_YET(reason="0.14 %, of flow 1.4 %: beside clouds that move")),
        (0, True),
        (1, True),
    ],
)
def test_clouds_and_holes_do_not_pull(is_masked, seed, matcher):
    stack, truth = cloudy(seed)
    shifts = match(stack, matcher=matcher, mask=~truth.cloud if is_masked else None)
    hidden = (truth.cloud | stack.isnull()).values
    rows, columns = nodes(shifts, stack)
    true = truth.isel(time=1).interp(x=shifts.x, y=shifts.y)
    true = np.stack([true.dx.values, -true.dy.values]) / PIXEL
    error = in_pixels(shifts) - true
    went = np.rint(rows + true[1]).astype(int).clip(0, 383), np.rint(columns + true[0]).astype(int).clip(0, 383)
    is_hidden = hidden[0][np.rint(rows).astype(int), np.rint(columns).astype(int)] | hidden[1][went]
    seen = inner(np.where(is_hidden, np.nan, error))
    assert outliers(seen) < 0.0005
    assert np.isfinite(seen[0]).sum() > 0.8 * (~inner(is_hidden)).sum()


# -------------------------------------------------------------------------------------------------------------- sigma


@pytest.mark.parametrize(
    ("matcher", "is_moving", "snr"),
    [
        ("regularized", True, 4.0),
        pytest.param("regularized", True, 10.0, marks=NOT_YET(reason="0.83: a little too large")),
        pytest.param("regularized", False, 4.0, marks=NOT_YET(reason="0.78: too large")),
        pytest.param("regularized", False, 10.0, marks=NOT_YET(reason="0.68: too large")),
        ("flow", True, 4.0),
        ("flow", True, 10.0),
        ("flow", False, 4.0),
        ("flow", False, 10.0),
    ],
)
def test_standard_errors_hold_where_it_moves_and_where_it_stands(matcher, is_moving, snr):
    """Of all seeds together: errors are alike over tens of pixels, so that one small scene says little."""
    ratios = []
    for seed in SEEDS:
        error, sigma, true, _ = matched("slide", seed, snr, matcher)
        ratios.append((error / sigma)[:, (np.hypot(*true) > 0.1) == is_moving].ravel())
    assert 0.85 < nmad(np.concatenate(ratios)) < 1.15
