"""Jitter comes off, and nothing else does."""

import geometry
import numpy as np
import pytest
import reference_jitter
import xarray as xr
from geometry import PIXEL, along, on_grid, places

import xoffset
from xoffset import synthetic
from xoffset._arrays.corrections import jitter, jitter_by_date, track, wavelets
from xoffset._arrays.corrections.jittered import At
from xoffset.correction import scene as scene_module
from xoffset.model.flags import FLAGS

SHAPE = (150, 150)
METHODS = ("profile", "wavelet")
NORTHWARD = xoffset.Jitter(heading=12.0)  # against the flight, which is as good


def slide(peak=5.43):
    """Landslide of 4 by 3 km in the middle (component, rows, columns), along x [m]."""
    x, y = places(SHAPE)
    motion = peak * np.clip(1.0 - np.hypot(x / 2000.0, y / 1500.0) ** 2, 0.0, None)
    return np.stack([motion, np.zeros(SHAPE)])


def corrected(shifts, stable=None, **options):
    stable = np.ones(shifts.dx.shape[1:], dtype=bool) if stable is None else stable
    return xoffset.correct(shifts, stable=on_grid(stable, shifts), **options)


def removed(result):
    return np.stack([result.removed_dx.values, result.removed_dy.values])


# --------------------------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize("method", METHODS)
def test_jitter_steps_and_ramp_come_off_and_a_landslide_stays(method):
    motion = slide()
    shifts, error, stripes = geometry.shifts(jitter=1.5, stripes=2.0, ramp=3.0, motion=motion)
    stable = motion[0] == 0.0
    result = corrected(shifts, stable, order=1, stripes=stripes, jitter=method)
    plain = corrected(shifts, stable, order=1, stripes=stripes)
    for name in ("dx", "dy"):
        assert float(result[name].where(on_grid(stable, shifts)).std()) < 0.11 * PIXEL
        assert float(plain[name].where(on_grid(stable, shifts)).std()) > 0.13 * PIXEL
        assert float(result[f"nmad_after_{name}"][0]) < 0.11 * PIXEL < float(plain[f"nmad_after_{name}"][0])
    kept = motion[0] - (removed(result) - error)[0, 0]
    top = motion[0] > 5.0
    assert kept[top].mean() == pytest.approx(motion[0][top].mean(), rel=0.05)
    assert not result.flags.any()


def test_a_residual_has_no_waves_left():
    # a dozen dates, as those of Sentinel-2
    pairs = [(i, j) for i in range(12) for j in range(i + 1, min(i + 3, 12))]
    shifts, error, stripes = geometry.shifts((150, 80), pairs=pairs, jitter=1.5, stripes=2.0, seed=2)
    result = corrected(shifts, stripes=stripes, jitter=True, by_date=True)
    left = error - removed(result)
    where = along(left.shape[2:])
    place = np.rint((where - where.min()) / 100.0).astype(int)
    short, long = [], []
    for number in (2, 3):
        here = stripes.values == number
        count = np.bincount(place[here])
        inside = count >= 20
        for field in left.reshape(-1, *where.shape):
            profile = np.bincount(place[here], field[here])[inside] / count[inside]
            waves = (
                np.fft.rfft((profile - profile.mean()) * np.hanning(profile.size)) / profile.size * np.sqrt(2.0 / 0.375)
            )
            length = profile.size * 100.0 / np.maximum(np.arange(waves.size), 1e-9)
            for out, band in ((short, length < 1000.0), (long, (length > 2000.0) & (length < 8000.0))):
                out.append((np.abs(waves[band]) ** 2).sum())

    assert np.sqrt(np.mean(short)) < 0.015 * PIXEL
    assert np.sqrt(np.mean(long)) < 0.03 * PIXEL


def test_images_with_jitter():
    images, truth = synthetic.stack((640, 224), velocity=0.0, jitter=3.0, snr=20.0, seed=1)
    shifts = xoffset.correlate(images, xoffset.pairs(images), template=16, search=4, step=8)
    result = xoffset.correct(shifts, stable=xr.ones_like(truth.vx, dtype=bool), jitter=NORTHWARD)
    known = truth.geometry_dx[1].interp(x=shifts.x, y=shifts.y)
    assert float(result.nmad_before_dx[0]) > 1.5
    assert float(result.nmad_after_dx[0]) < 0.6
    assert float((result.removed_dx[0] - known).std()) < 0.6


# -------------------------------------------------------------------------------------------------- what is no jitter


def test_where_there_is_none_next_to_nothing_comes_off():
    shifts, _, _ = geometry.shifts()
    result = corrected(shifts, jitter=NORTHWARD)
    away = removed(result) - removed(corrected(shifts))
    assert np.abs(away).max() < 0.02 * PIXEL
    assert away.std() < 0.005 * PIXEL


@pytest.mark.parametrize(
    ("method", "size"), [("profile", 0.0), ("profile", 0.5), ("profile", 1.5), ("wavelet", 0.0), ("wavelet", 0.5)]
)
def test_what_is_removed_errs_by_what_the_pair_is_told_to(method, size):
    """Waves of three lengths, over all of the ground or a part of it."""
    generator = np.random.default_rng(3)
    where, pairs = along((80, 80)), 5
    phase, height = generator.uniform(0.0, 2.0 * np.pi, (2, pairs, 1, 1, 3)), generator.standard_normal((3,))
    waves = np.sin(2.0 * np.pi * where[..., np.newaxis] / np.array([3000.0, 1800.0, 900.0]) + phase)
    error = size * (waves * height).sum(axis=-1) / np.sqrt(0.5 * (height**2).sum())
    shifts, _, _ = geometry.shifts((80, 80), pairs=[(2 * k, 2 * k + 1) for k in range(pairs)])
    for name, each in zip(("dx", "dy"), error, strict=True):
        shifts[name] = shifts[name] + each
    row, column = np.indices((80, 80))
    for stable in (row >= 0, (column < 40) & ((row < 30) | (row > 38))):
        result = corrected(shifts, stable, jitter=xoffset.Jitter(method, heading=192.0))
        away = (removed(result) - error)[:, result.flags.values == 0]
        assert 0.35 < np.sqrt((away**2).mean()) / np.sqrt((result.sigma_shift**2).mean()) < 1.6


def test_motion_longer_than_the_longest_wave_stays():
    shape = (300, 80)
    motion = np.stack([np.sin(2.0 * np.pi * along(shape) / 9000.0), np.zeros(shape)])
    shifts, _, _ = geometry.shifts(shape, motion=motion, noise=0.3)
    result = corrected(shifts, jitter=NORTHWARD)
    assert removed(result)[0].std() < 0.05 * motion[0].std()


@pytest.mark.parametrize("method", METHODS)
def test_motion_of_one_side_stays(method):
    x, _ = places(SHAPE)
    wave = 2.0 * np.sin(2.0 * np.pi * along(SHAPE) / 2000.0)
    motion = np.stack([np.where(x < -2000.0, wave, 0.0), np.zeros(SHAPE)])
    shifts, _, _ = geometry.shifts(motion=motion)
    taken = removed(corrected(shifts, jitter=xoffset.Jitter(method, heading=192.0)))[0, 0]
    shared = xoffset.correct(
        geometry.shifts(motion=np.stack([wave, 0.0 * wave]))[0], jitter=NORTHWARD, stable=on_grid(x == x, shifts)
    )
    assert shared.removed_dx.values.std() > 1.3
    assert taken[x > 0.0].std() < (0.25 if method == "profile" else 0.7)


def test_a_fault_that_is_given_keeps_its_offset():
    x, y = places(SHAPE)
    # a fault across the flight, whose two sides look like a step along it
    motion = np.stack([np.where(y > 0.2 * x, 3.0, -3.0), np.zeros(SHAPE)])
    shifts, _, _ = geometry.shifts(motion=motion, jitter=1.5)
    line = [(float(shifts.x[0]), 4994040.0 - 1192.0), (float(shifts.x[-1]), 4994040.0 + 1192.0)]
    kept, lost = (
        corrected(shifts, jitter=NORTHWARD, order=1, **options).removed_dx.values[0]
        for options in ({"trace": line}, {})
    )
    near = np.abs(y - 0.2 * x) < 800.0
    up, down = near & (y > 0.2 * x), near & (y < 0.2 * x)
    error = geometry.shifts(jitter=1.5)[1][0, 0]
    assert abs((kept - error)[up].mean() - (kept - error)[down].mean()) < 0.05 * 6.0
    # without, what was removed shows what was lost
    assert (lost - error)[up].mean() - (lost - error)[down].mean() > 0.1 * 6.0


def test_edges_that_are_found_show_the_direction_of_flight():
    shifts, error, _ = geometry.shifts(pairs=[(0, 1), (1, 2)], jitter=1.5, stripes=4.0)
    result = corrected(shifts, stripes="auto", jitter=True)
    assert float(result.nmad_after_dx.max()) < 0.11 * PIXEL
    # the edges are found to a node
    away = np.abs(removed(result) - error)
    assert np.quantile(away, 0.9) < 0.06 * PIXEL
    plain, _, _ = geometry.shifts(noise=1.0)
    with pytest.raises(ValueError, match=r"got no edge in the scene\. Pass it in degrees"):
        corrected(plain, stripes="auto", jitter=True)


# --------------------------------------------------------------------------------------------------------------- masks


def test_of_large_grids_the_shortest_wave_is_told(monkeypatch, caplog):
    """Of every fourth row and column waves below 640 m cannot be told."""
    caplog.set_level("INFO", "xoffset")
    monkeypatch.setattr(scene_module, "MOST", 2000)
    shifts, _, _ = geometry.shifts((150, 150), jitter=2.0)
    found = corrected(shifts, jitter=xoffset.Jitter(heading=192.0))
    assert '"shortest": 640.0' in found.attrs["processing"]
    assert "jitter comes off from waves of 640 m on, not of 500 m" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_is_not_crossed(method):
    where = along(SHAPE)
    hidden = np.abs(where) < 1500.0
    options = {"jitter": xoffset.Jitter(method, heading=192.0)}
    shifts, error, _ = geometry.shifts(jitter=1.5, seed=3)
    result = corrected(shifts, ~hidden, **options)
    # what lies below the mask has no say
    changed = shifts.copy(deep=True)
    changed["dx"] = shifts.dx + 50.0 * on_grid(hidden, shifts)
    xr.testing.assert_identical(corrected(changed, ~hidden, **options).removed_dx, result.removed_dx)
    unknown = (result.flags.values[0] & FLAGS["not_corrected"]) > 0
    assert not unknown[np.abs(where) > 1500.0].any()
    assert unknown[np.abs(where) < 1100.0].all()
    constant = removed(result)[:, 0][:, unknown]
    np.testing.assert_allclose(constant, constant[:, :1] * np.ones(unknown.sum()), rtol=1e-12)
    left = (removed(result) - error)[:, 0][:, ~hidden]
    assert left.std() < 0.04 * PIXEL


def test_a_stripe_without_stable_ground_is_told():
    shifts, _, stripes = geometry.shifts(jitter=1.5, stripes=2.0)
    result = corrected(shifts, stripes.values != 2, stripes=stripes, jitter=True)
    np.testing.assert_array_equal((result.flags.values[0] & FLAGS["not_corrected"]) > 0, stripes.values == 2)
    assert (result.removed_dx.values[0][stripes.values == 2] != 0.0).all()


def test_images_of_other_stripes_are_told():
    shifts, _, stripes = geometry.shifts(jitter=1.5, stripes=2.0)
    other = stripes.copy(data=np.roll(stripes.values, 3, axis=1))
    layers = xr.concat([stripes, other], dim="time").assign_coords(
        time=[shifts.reference.values[0], shifts.secondary.values[0]]
    )
    result = corrected(shifts, stripes=layers, jitter=True)
    differ = stripes.values != other.values
    np.testing.assert_array_equal((result.flags.values[0] & FLAGS["not_corrected"]) > 0, differ)


def test_wrong_matches_have_no_say():
    shifts, error, _ = geometry.shifts(jitter=1.5)
    wrong = shifts.copy(deep=True)
    some = np.random.default_rng(5).random(SHAPE) < 0.1
    wrong["dx"] = shifts.dx.where(on_grid(~some, shifts), 40.0)
    taken = removed(corrected(wrong, jitter=NORTHWARD))[0]
    assert (taken - error[0])[0].std() < 0.05 * PIXEL


# ---------------------------------------------------------------------------------------------------------- bookkeeping


def test_what_was_removed_can_be_put_back_and_adds_up():
    shifts, _, stripes = geometry.shifts(jitter=1.5, stripes=2.0)
    once = corrected(shifts, stripes=stripes, jitter=True)
    twice = corrected(once, stripes=stripes, jitter=True)
    for result in (once, twice):
        np.testing.assert_allclose(result.dx + result.removed_dx, shifts.dx, atol=1e-9)
    assert float((twice.removed_dx - once.removed_dx).std()) < 0.2
    assert '"shortest": 500.0' in once.attrs["processing"]


@pytest.mark.parametrize("method", METHODS)
def test_lazy_shifts_give_the_same_bits(method):
    shifts, _, stripes = geometry.shifts((60, 56), pairs=[(0, 1), (1, 2)], jitter=1.5, stripes=2.0)
    shifts, stripes = shifts.astype(np.float32), stripes.astype(np.uint8)
    stable = on_grid(np.ones((60, 56), dtype=bool), shifts)
    eager = xoffset.correct(shifts, stable=stable, stripes=stripes, jitter=method)
    for chunks in ({"pair": 1, "y": 17, "x": 23}, {"pair": 2, "y": 60, "x": 9}):
        lazy = xoffset.correct(shifts.chunk(chunks), stable=stable, stripes=stripes, jitter=method)
        assert lazy.dx.chunks is not None
        xr.testing.assert_identical(lazy.compute(), eager)


@pytest.mark.parametrize("heading", [100.0, 135.0, 168.0, 192.0, 240.0])
def test_edges_show_the_direction_of_flight(heading):
    shape = (90, 110)
    x, y = places(shape)
    across = x * np.cos(np.deg2rad(heading)) - y * np.sin(np.deg2rad(heading))
    stripes = np.clip(across // 2000.0 + 4, 1, 9).astype(np.uint8)
    stripes[:20, :30] = 0
    assert track.heading_of_edges(stripes[np.newaxis], (80.0, -80.0)) == pytest.approx(heading, abs=0.5)
    assert np.isnan(track.heading_of_edges(np.ones((1, 5, 6), dtype=np.uint8), (80.0, -80.0)))


# ------------------------------------------------------------------------------------------------------------- by date


def test_jitter_of_dates_is_what_the_pairs_share():
    generator = np.random.default_rng(4)
    ends = np.array([(i, j) for i in range(5) for j in range(i + 1, 5)] + [(5, 6)])
    of_dates = generator.standard_normal((30, 7))
    pairs = of_dates[:, ends[:, 1]] - of_dates[:, ends[:, 0]]
    spoilt = pairs.copy()
    spoilt[:, 3] = 50.0
    spoilt[:10, 4] = np.nan
    spoilt[10:20, [0, 1, 2, 3]] = np.nan  # all that tell of the first date
    trust = np.ones(len(ends))
    trust[3] = 0.0
    found = jitter_by_date.adjusted(spoilt, trust, ends)
    unknown = np.zeros(found.shape, dtype=bool)
    unknown[10:20, [0, 1, 2, 3]] = True
    np.testing.assert_array_equal(np.isnan(found), unknown)
    np.testing.assert_allclose(found[~unknown], pairs[~unknown], atol=1e-12)
    # of noise a network of five dates leaves two fifths of the variance
    noise = generator.standard_normal((4000, 10))
    left = jitter_by_date.adjusted(noise, np.ones(10), ends[:10])
    assert (left**2).mean() == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(left[:, 0] + left[:, 4], left[:, 1], atol=1e-12)


# --------------------------------------------------------------------------------------------------------------- twins


def small_track(**options):
    return track.Track((2000.0, 6000.0), 500.0, 4000.0, **options)


def test_places_along_and_across():
    here = small_track()
    u, v = np.array([0.0, 1.0, 0.0, 0.5]), np.array([0.0, 0.0, 1.0, -0.5])
    for heading in (180.0, 192.0, 77.0):
        angle = np.deg2rad(heading)
        found = (here.along(u, v, heading) - 0.5 * (here.shape[3] - 1)) * here.width
        np.testing.assert_allclose(found, 2000.0 * u * np.sin(angle) + 6000.0 * v * np.cos(angle), atol=1e-9)
        found = (here.across(u, v, heading) / 16.0 - 1.0) * np.hypot(2000.0, 6000.0)
        np.testing.assert_allclose(found, 2000.0 * u * np.cos(angle) - 6000.0 * v * np.sin(angle), atol=1e-9)


def test_posterior_is_that_of_a_dense_covariance():
    here = small_track()
    generator = np.random.default_rng(1)
    weight = np.where(generator.random((2, here.shape[3])) < 0.6, generator.gamma(2.0, 3.0, (2, here.shape[3])), 0.0)
    moment = weight * generator.standard_normal(weight.shape)
    prior = np.stack([0.5 * np.exp(-0.1 * np.arange(here.bands.size)), np.where(here.bands == 1, 2.0, 0.0)])
    found = jitter._waves(jitter._posterior(weight, moment, prior, here), np.True_, here)
    for k in range(2):
        np.testing.assert_allclose(
            found[k], reference_jitter.posterior(weight[k], moment[k], prior[k], here.size), atol=2e-3
        )


@pytest.mark.parametrize("is_wavelet", [False, True])
def test_tables_are_linear_in_between(is_wavelet):
    here = small_track(stripes=2, is_wavelet=is_wavelet)
    generator = np.random.default_rng(2)
    table = generator.standard_normal(here.shape)
    along_, across = generator.uniform(0.0, here.shape[3] - 1, 50), generator.uniform(0.0, 32.0, 50)
    stripe = generator.integers(-1, 2, 50)
    found = At(along_, across if is_wavelet else None, stripe).jitter(table)
    for k, number in enumerate(stripe):
        for component in range(2):
            wanted = np.nan
            if number >= 0:
                rows = [np.interp(along_[k], np.arange(here.shape[3]), row) for row in table[component, number]]
                wanted = np.interp(across[k], np.arange(33.0), rows) if is_wavelet else rows[0]
            assert found[component, k] == pytest.approx(wanted, nan_ok=True)


def test_wavelets_take_waves_of_the_band_that_go_across():
    place = np.arange(33)[:, np.newaxis], 62.5 * np.arange(256)
    inside, outside = (np.sin(2.0 * np.pi * place[1] / length) + 0.0 * place[0] for length in (1400.0, 12000.0))
    checks = np.sin(2.0 * np.pi * place[1] / 1400.0) * (-1.0) ** place[0]
    middle = slice(40, -40)
    band = (500.0, 4000.0)
    np.testing.assert_allclose(wavelets.common(inside, 62.5, band)[:, middle], inside[:, middle], atol=0.1)
    assert np.abs(wavelets.common(outside, 62.5, band)[:, middle]).max() < 0.05
    assert np.abs(wavelets.common(checks[:32], 62.5, band)).max() < 0.05
    holed = np.where(np.random.default_rng(0).random(inside.shape) < 0.3, np.nan, inside)
    np.testing.assert_allclose(wavelets.common(holed, 62.5, band)[:, middle], inside[:, middle], atol=0.1)


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "error", "advice"),
    [
        ({"jitter": True, "stable": None}, ValueError, r"jitter without stable\. Pass stable="),
        ({"jitter": True, "stripes": None}, ValueError, r"neither stripes nor a heading\. Pass stripes="),
        ({"jitter": "waves"}, ValueError, r"got 'waves'\. Choose one of these"),
        ({"jitter": 3.0}, TypeError, r"got float\. Pass xoffset\.Jitter\(heading=192\.0\)"),
        ({"jitter": xoffset.Jitter(longest=1000.0, shortest=400.0), "coarse": True}, ValueError, r"smaller step"),
        ({"jitter": True, "one": True}, ValueError, r"got no edge in the scene\. Pass it in degrees"),
    ],
    ids=["no stable ground", "no direction", "name", "type", "nodes far apart", "one stripe"],
)  # fmt: skip
def test_errors(options, error, advice):
    shifts, _, stripes = geometry.shifts((40, 40), jitter=1.0, stripes=1.0)
    stable = on_grid(np.ones((40, 40), dtype=bool), shifts)
    given = {"stable": stable, "stripes": stripes} | options
    if given.pop("coarse", False):
        given = {
            name: each.isel(x=slice(None, None, 4), y=slice(None, None, 4)) if name != "jitter" else each
            for name, each in given.items()
        }
        shifts = shifts.isel(x=slice(None, None, 4), y=slice(None, None, 4))
        given["min_nodes"] = 50
    if given.pop("one", False):
        given["stripes"] = xr.ones_like(stripes)
    with pytest.raises(error, match=advice):
        xoffset.correct(shifts, **given)


@pytest.mark.parametrize(
    "options", [{"method": "waves"}, {"heading": "north"}, {"shortest": 0.0}, {"longest": -1.0}, {"shortest": 3000.0}]
)
def test_errors_of_options(options):
    with pytest.raises(ValueError, match=r"Jitter\(\) needs .*; got .*\. \w+"):
        xoffset.Jitter(**options)


def test_wavelets_that_are_not_installed(monkeypatch):
    shifts, _, stripes = geometry.shifts((40, 40), jitter=1.0, stripes=1.0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'xoffset\[wavelets\]'"):
        corrected(shifts, stripes=stripes, jitter="wavelet")
