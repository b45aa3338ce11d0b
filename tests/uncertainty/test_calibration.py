"""calibrate(): known wrong standard errors are set right, on the same ground, on other ground and on other dates."""

import itertools

import dask
import numpy as np
import pyproj
import pytest
import reference_calibration as reference
import xarray as xr

import xoffset
from xoffset import synthetic
from xoffset._arrays import neighbours
from xoffset.model import grids, products
from xoffset.model import stable as stable_ground
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.uncertainty import calibrate

DATES = np.array(["2020-01-01", "2020-02-01", "2020-08-01", "2022-01-01"], "M8[us]")
PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def nmad(values):
    return 1.4826 * float(np.nanmedian(np.abs(values)))


def true_factor(score, years):
    """Factor of the made-up shifts: poor scores and long baselines have too small standard errors."""
    return (1.0 + 2.0 * (1.0 - score)) * np.where(years > 1.0, 2.0, 1.0)


def made_up(shape=(60, 80), *, pairs=PAIRS, seed=0, dtype="float32", step=80.0):
    """Shifts of ground that stays, with independent errors `true_factor` times as large as their sigma says."""
    generator = np.random.default_rng(seed)
    ends = np.array(pairs)
    years = np.abs(in_years(DATES[ends[:, 1]] - DATES[ends[:, 0]]))[:, None, None]
    size = (len(pairs), *shape)
    score = generator.uniform(0.3, 1.0, size)
    sigma = {name: generator.uniform(0.2, 2.0, size) for name in ("dx", "dy")}
    error = {name: sigma[name] * true_factor(score, years) * generator.standard_normal(size) for name in sigma}
    shift = generator.uniform(-20.0, 20.0, (2, len(pairs), 1, 1))
    fields = {
        "dx": error["dx"] + shift[0],
        "dy": 0.5 * error["dy"] + shift[1],
        "score": score,
        "sigma_dx": sigma["dx"],
        "sigma_dy": sigma["dy"],
        "cov_dxdy": 0.1 * sigma["dx"] * sigma["dy"],
        "flags": np.zeros(size, "int64"),
    }
    for name in ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy"):
        fields[name][:, :2] = np.nan
    network = products.network(DATES[ends[:, 0]], DATES[ends[:, 1]])
    variables = {name: (("pair", "y", "x"), v if name == "flags" else v.astype(dtype)) for name, v in fields.items()}
    coords = {"y": 5e6 - step * np.arange(shape[0]), "x": 5e5 + step * np.arange(shape[1])}
    return xr.Dataset(variables, coords=network.coords | coords)


def everywhere(shifts):
    return xr.DataArray(np.ones(shifts.dx.shape[1:], bool), coords=shifts[["y", "x"]].coords, dims=("y", "x"))


def left(shifts):
    return everywhere(shifts) & (shifts.x < shifts.x.values[shifts.sizes["x"] // 2])


def in_chunks(shifts, chunks):
    """Lazy shifts; their dates are always there."""
    return shifts.chunk(chunks).assign_coords({name: shifts[name] for name in ("reference", "secondary")})


def told(shifts, where, name):
    """Spread over standard error of each pair: 1 where the sigma is true."""
    d = shifts[name].where(where)
    return np.array([nmad(each) for each in ((d - d.median(("y", "x"))) / shifts[f"sigma_{name}"]).values])


# ------------------------------------------------------------------------------------------------------ known answers


@pytest.fixture(scope="module")
def shifts():
    return made_up()


@pytest.fixture(scope="module")
def calibrated(shifts):
    return xoffset.calibrate(shifts, left(shifts))


@pytest.mark.parametrize(("name", "scale"), [("dx", 1.0), ("dy", 0.5)])
def test_known_factors_are_found_in_every_stratum(shifts, calibrated, name, scale):
    held_out = ~left(shifts)
    assert (np.abs(told(shifts, held_out, name) - 1.0) > 0.05).all()
    years = np.abs(in_years((shifts.secondary - shifts.reference).values))
    ratio = ((shifts[name] - shifts[name].median(("y", "x"))) / calibrated[f"sigma_{name}"]).where(held_out)
    for low, high in ((0.3, 0.45), (0.45, 0.6), (0.6, 0.75), (0.75, 0.9), (0.9, 1.0)):
        for is_long in (True, False):
            here = ratio.values[years > 1.0] if is_long else ratio.values[years <= 1.0]
            scores = shifts.score.values[years > 1.0] if is_long else shifts.score.values[years <= 1.0]
            assert nmad(here[(scores > low) & (scores <= high)]) == pytest.approx(1.0, abs=0.12)
    found = calibrated[f"sigma_factor_{name}"].values / scale
    truth = true_factor(shifts.score.values, years[:, None, None])
    assert np.nanmedian(np.abs(found / truth - 1.0)) < 0.08


@pytest.mark.parametrize("name", ["dx", "dy"])
def test_factors_equal_the_slow_twin(shifts, calibrated, name):
    """In each stratum, which shows in the result as one factor."""
    stable = left(shifts).values
    found = calibrated[f"sigma_factor_{name}"].values
    windows = (stable & np.isfinite(shifts.dx.values[0])).sum()
    values, raw, number, baselines = np.unique(found[np.isfinite(found)]), [], [], []
    for value in values:
        held = found == value
        pairs = held.any(axis=(1, 2))
        scores = shifts.score.values[held].astype(float)
        expected = reference.factor(shifts, stable, pairs, (scores.min() - 1e-9, scores.max()), name)
        # white errors: every window is one of its own, and the median took one away
        raw.append(expected * np.sqrt(windows / (windows - 1.0)))
        number.append(0.5 * (held & stable & np.isfinite(shifts.dx.values)).sum())
        baselines.append(pairs)
    shrunk, error = reference.towards_one(raw, number)
    np.testing.assert_allclose(values, shrunk, rtol=1e-4)
    assert len(values) >= 8
    for pair, told_error in enumerate(calibrated.sigma_factor_error.values):
        mine = max(each for each, pairs in zip(error, baselines, strict=True) if pairs[pair])
        assert told_error == pytest.approx(mine, rel=0.05)


def test_one_stratum_covers_a_band_of_scores_and_of_baselines(shifts, calibrated):
    years = np.abs(in_years((shifts.secondary - shifts.reference).values))
    found = calibrated.sigma_factor_dx.values
    for pair, scores in enumerate(shifts.score.values):
        along = found[pair].ravel()[np.argsort(scores.ravel())]
        assert 1 < len(np.unique(along)) == 1 + (np.diff(along) != 0.0).sum() <= 5
    order = np.argsort(years)
    tables = [tuple(np.unique(found[pair])) for pair in order]
    changes = sum(a != b for a, b in itertools.pairwise(tables))
    assert 1 < len(set(tables)) == changes + 1 <= 4


def test_stable_ground_has_its_dims_in_any_order_or_lacks_one(shifts):
    line = shifts.x > shifts.x[5]
    whole = line.broadcast_like(shifts.dx[0].drop_vars(["reference", "secondary"])).transpose("y", "x")
    expected = xoffset.calibrate(shifts, whole)
    for mask in (whole.transpose("x", "y"), line):
        xr.testing.assert_identical(xoffset.calibrate(shifts, mask), expected)


def test_only_the_standard_errors_change(shifts, calibrated):
    for name in ("dx", "dy", "score"):
        np.testing.assert_array_equal(calibrated[name], shifts[name])
    # what is unknown has a flag now
    is_silent = np.isnan(shifts.dx) & (shifts.flags == 0)
    np.testing.assert_array_equal(calibrated.flags, shifts.flags.where(~is_silent, FLAGS["nodata"]))
    for name in ("dx", "dy"):
        np.testing.assert_array_equal(
            calibrated[f"sigma_{name}"], shifts[f"sigma_{name}"] * calibrated[f"sigma_factor_{name}"]
        )
    np.testing.assert_allclose(
        calibrated.cov_dxdy / (calibrated.sigma_dx * calibrated.sigma_dy),
        shifts.cov_dxdy / (shifts.sigma_dx * shifts.sigma_dy),
        rtol=1e-5,
    )
    assert set(calibrated.data_vars) - set(shifts.data_vars) == {
        "sigma_factor_dx", "sigma_factor_dy", "sigma_factor_error",
    }  # fmt: skip
    assert {each.dtype for each in calibrated.data_vars.values()} == {np.dtype("float32"), np.dtype("int64")}
    assert (calibrated.sigma_dx.attrs["units"], calibrated.cov_dxdy.attrs["units"]) == ("m", "m2")
    assert '"function": "calibrate", "apply_to": false' in calibrated.attrs["processing"]


def test_the_input_is_left_alone():
    shifts = made_up((30, 40))
    before = shifts.copy(deep=True)
    xoffset.calibrate(shifts, everywhere(shifts))
    xr.testing.assert_identical(shifts, before)


def test_double_precision_stays(shifts):
    found = xoffset.calibrate(made_up(dtype="float64"), left(shifts))
    assert {found[name].dtype for name in ("sigma_dx", "cov_dxdy", "sigma_factor_dy")} == {np.dtype("float64")}


# --------------------------------------------------------------------------------------------------------- properties


def test_the_scale_of_a_wrong_sigma_does_not_matter(shifts, calibrated):
    doubled = shifts.assign(sigma_dx=2.0 * shifts.sigma_dx)
    found = xoffset.calibrate(doubled, left(shifts))
    np.testing.assert_array_equal(found.sigma_dx, calibrated.sigma_dx)
    np.testing.assert_array_equal(2.0 * found.sigma_factor_dx, calibrated.sigma_factor_dx)


def test_a_second_calibration_finds_nothing_left(shifts, calibrated):
    again = xoffset.calibrate(calibrated, left(shifts))
    np.testing.assert_allclose(again.sigma_dx, calibrated.sigma_dx, rtol=1e-4)
    np.testing.assert_allclose(again.sigma_factor_dx, calibrated.sigma_factor_dx, rtol=1e-4)


def test_the_shift_of_a_pair_as_a_whole_is_not_its_spread(shifts, calibrated):
    moved = shifts.assign(dx=shifts.dx + xr.DataArray(np.arange(6.0, dtype="float32") * 64.0, dims="pair"))
    found = xoffset.calibrate(moved, left(shifts))
    np.testing.assert_allclose(found.sigma_dx, calibrated.sigma_dx, rtol=1e-3)


def test_the_order_and_direction_of_pairs_do_not_matter(shifts, calibrated):
    turned = shifts.isel(pair=slice(None, None, -1))
    backward = turned.assign_coords(reference=turned.secondary, secondary=turned.reference)
    for name in ("dx", "dy"):
        backward[name] = -backward[name]
    found = xoffset.calibrate(backward, left(shifts)).isel(pair=slice(None, None, -1))
    np.testing.assert_allclose(found.sigma_dx, calibrated.sigma_dx, rtol=1e-6)


def test_moving_ground_has_no_say(shifts, calibrated):
    landslide = shifts.assign(dx=shifts.dx + 1000.0 * ~left(shifts))
    np.testing.assert_array_equal(xoffset.calibrate(landslide, left(shifts)).sigma_dx, calibrated.sigma_dx)


def test_a_tenth_of_wild_vectors_has_little_say(shifts, calibrated):
    wild = np.random.default_rng(5).random(shifts.dx.shape) < 0.1
    found = xoffset.calibrate(shifts.assign(dx=shifts.dx + np.float32(500.0) * wild), left(shifts))
    assert float((found.sigma_dx / calibrated.sigma_dx).median()) == pytest.approx(1.1, abs=0.12)


def test_few_vectors_share_their_strata():
    """The fewer there are, the fewer strata; each keeps its fifty."""
    numbers = []
    for side in (20, 30, 60):
        shifts = made_up((side, side), pairs=PAIRS[:1])
        found = xoffset.calibrate(shifts, everywhere(shifts)).sigma_factor_dx.values
        values, counts = np.unique(found[np.isfinite(shifts.dx.values)], return_counts=True)
        assert counts.min() >= 50
        numbers.append(values.size)
    assert numbers[0] <= numbers[1] <= numbers[2] == 5
    small = made_up((9, 9), pairs=PAIRS[:1])
    assert np.unique(xoffset.calibrate(small, everywhere(small)).sigma_factor_dx.values).size == 1


def test_pairs_of_the_same_dates_are_not_more_ground(shifts):
    """Errors belong to dates: ten dates of all pairs hold nine independent ones."""
    assert calibrate._independent(shifts) == 0.5
    assert calibrate._independent(shifts.isel(pair=[0, 3, 5])) == 1.0
    assert calibrate._independent(shifts.isel(pair=[0, 5])) == 1.0


@pytest.mark.parametrize("windows", [1, 2, 4])
def test_overlapping_windows_count_by_their_own_ground(windows):
    """A mean over n x n white values has the correlation of windows that overlap by 1 - 1/n: one in n² is new."""
    white = np.random.default_rng(1).standard_normal((2, 1, 200 + windows - 1, 240 + windows - 1))
    view = np.lib.stride_tricks.sliding_window_view(white, (windows, windows), axis=(2, 3))
    assert neighbours.alike(view.mean(axis=(4, 5))) == pytest.approx(windows**2, rel=0.15)


@pytest.mark.small
def test_correlation_equals_the_slow_twin():
    white = np.random.default_rng(2).standard_normal((2, 2, 14, 12))
    ratio = white[..., 1:, 1:] + white[..., :-1, 1:] + white[..., 1:, :-1] + white[..., :-1, :-1]
    ratio[0, 0, 3, 4] = 300.0
    ratio[:, 1, 5:8, 2] = np.nan
    np.testing.assert_allclose(
        neighbours.alike(ratio), reference.correlated_nodes(ratio, neighbours.LEAST_CORRELATION), rtol=1e-10
    )


def test_strata_of_one_truth_get_one_factor():
    """The errors are three times what sigma says whatever the score: what strata differ by is chance."""
    factors = []
    for seed in range(8):
        shifts = made_up((30, 30), seed=seed)
        one = 3.0 * np.random.default_rng(seed).standard_normal(shifts.dx.shape) * shifts.sigma_dx
        found = xoffset.calibrate(shifts.assign(dx=one), everywhere(shifts))
        factors.append(np.unique(found.sigma_factor_dx.values[np.isfinite(found.sigma_factor_dx.values)]))
    # there are vectors for six strata
    assert np.mean([each.size for each in factors]) < 2.0
    np.testing.assert_allclose(np.concatenate(factors), 3.0, rtol=0.1)


@pytest.mark.parametrize("windows", [9, 4])
def test_the_error_of_the_factor_is_that_seen_on_other_ground(windows):
    """Errors that neighbours share, far fewer than the nodes: the factor is off by as much as it says."""
    found, told_errors = [], []
    for seed in range(16):
        shifts = made_up((44, 44), pairs=PAIRS[:1], seed=seed)
        coarse = np.random.default_rng(100 + seed).standard_normal((1, windows, windows))
        error = np.kron(coarse, np.ones((1, 44 // windows + 1, 44 // windows + 1)))[:, :44, :44]
        shifts = shifts.assign(dx=shifts.sigma_dx * error, dy=shifts.sigma_dy * error[:, ::-1])
        try:
            calibrated = xoffset.calibrate(shifts, everywhere(shifts))
        except ValueError:  # fewer than five independent windows
            continue
        found.append(np.log(float(calibrated.sigma_factor_dx.median())))
        told_errors.append(float(calibrated.sigma_factor_error.max()))
    assert len(found) > 5
    assert 0.5 < np.std(found) / np.mean(told_errors) < 1.6


def test_too_few_windows_are_told(shifts, caplog):
    few = everywhere(shifts) & (shifts.x < shifts.x.values[4]) & (shifts.y > shifts.y.values[9])
    found = xoffset.calibrate(shifts.isel(pair=[0, 1, 2]), few)
    assert "too few to tell strata of score and baseline apart" in caplog.text
    assert np.unique(found.sigma_factor_dx.values[np.isfinite(found.sigma_factor_dx.values)]).size == 1
    assert (found.sigma_factor_error > 0.1).all()
    caplog.clear()
    again = xoffset.calibrate(shifts, everywhere(shifts))
    assert caplog.text == ""
    assert (again.sigma_factor_error < 0.1).all()
    twice = xoffset.calibrate(again, everywhere(shifts))
    assert (twice.sigma_factor_error > again.sigma_factor_error).all()


# --------------------------------------------------------------------------------------------------------- apply to


def test_factors_apply_to_other_dates_and_other_ground(shifts):
    other = made_up((25, 31), seed=9, pairs=[(1, 3), (3, 2)])
    found = xoffset.calibrate(shifts, everywhere(shifts), apply_to=other)
    assert found.sizes == other.sizes
    for name in ("dx", "dy"):
        assert (np.abs(told(other, everywhere(other), name) - 1.0) > 0.05).all()
        np.testing.assert_allclose(told(found, everywhere(found), name), 1.0, atol=0.12)
    assert '"apply_to": true' in found.attrs["processing"]


def test_beyond_what_was_seen_the_nearest_stratum_counts(shifts, calibrated):
    other = shifts.copy()
    other["score"] = xr.where(shifts.x < shifts.x.values[40], 0.05, 1.0).broadcast_like(shifts.dx).astype("float32")
    late = np.array(["2020-01-02"] * 3 + ["2040-01-01"] * 3, "M8[us]")
    other = other.assign_coords(reference=("pair", np.full(6, DATES[0])), secondary=("pair", late))
    found = xoffset.calibrate(shifts, left(shifts), apply_to=other).sigma_factor_dx.values
    by_length = np.argsort(np.abs((shifts.secondary - shifts.reference).values))
    for part, pair in ((slice(0, 3), by_length[0]), (slice(3, 6), by_length[-1])):
        for columns, extreme in ((slice(0, 40), "argmin"), (slice(40, None), "argmax")):
            where = getattr(shifts.score.values[pair], extreme)()
            assert np.unique(found[part, :, columns]) == calibrated.sigma_factor_dx.values[pair].flat[where]


def test_without_a_score_there_is_no_factor(shifts):
    other = shifts.assign(score=shifts.score.where(shifts.y < shifts.y.values[10]))
    found = xoffset.calibrate(shifts, left(shifts), apply_to=other)
    np.testing.assert_array_equal(np.isnan(found.sigma_factor_dx), np.isnan(other.score))
    np.testing.assert_array_equal(np.isnan(found.sigma_dx), np.isnan(other.score) | np.isnan(other.dx))


# ---------------------------------------------------------------------------------------------------------- the mask


@pytest.mark.small
@pytest.mark.parametrize(("step", "template"), [(4, 8), (4, 7), (1, 8), (1, 7), (3, 12), (8, 8)])
@pytest.mark.parametrize("rising", [True, False])
def test_a_mask_on_the_pixels_equals_the_slow_twin(step, template, rising):
    generator = np.random.default_rng(step)
    pixels = np.kron(generator.random((9, 8)) < 0.7, np.ones((5, 6), bool))
    sign = 1.0 if rising else -1.0
    y, x = sign * 10.0 * np.arange(45) + 7.0, 15.0 * np.arange(48) + 3.0
    stable = xr.DataArray(pixels, coords={"y": y, "x": x}, dims=("y", "x"))
    starts = [np.arange(0, size - template + 1, step) for size in pixels.shape]
    centre = 0.5 * (template - 1)
    shifts = made_up(tuple(part.size for part in starts), pairs=PAIRS[:1])
    shifts = shifts.assign_coords(y=y[0] + sign * 10.0 * (starts[0] + centre), x=x[0] + 15.0 * (starts[1] + centre))
    found = stable_ground.on_nodes(stable, shifts, "calibrate")
    expected = [[reference.is_stable(pixels, a + centre, b + centre, step) for b in starts[1]] for a in starts[0]]
    np.testing.assert_array_equal(found, expected)
    assert 0 < found.sum() < found.size


@pytest.mark.small
def test_nodes_beyond_the_mask_are_not_stable():
    shifts = made_up((6, 7), pairs=PAIRS[:1])
    stable = everywhere(shifts).isel(x=slice(2, None), y=slice(None, 4))
    found = stable_ground.on_nodes(stable, shifts, "calibrate")
    np.testing.assert_array_equal(np.argwhere(found).min(axis=0), [0, 2])
    np.testing.assert_array_equal(np.argwhere(found).max(axis=0), [3, 6])
    assert found.sum() == 20


def test_masks_on_either_grid_give_the_same(shifts, calibrated):
    """Cells of 8 x 8 pixels, wholly stable or not at all."""
    on_nodes = left(shifts)
    pixels = np.kron(on_nodes.values, np.ones((8, 8), bool))
    y = shifts.y.values[0] + 35.0 - 10.0 * np.arange(pixels.shape[0])
    x = shifts.x.values[0] - 35.0 + 10.0 * np.arange(pixels.shape[1])
    found = xoffset.calibrate(shifts, xr.DataArray(pixels, coords={"y": y, "x": x}, dims=("y", "x")))
    xr.testing.assert_identical(found, calibrated)


# -------------------------------------------------------------------------------------------------------------- dask


@pytest.mark.parametrize("chunks", [{"pair": 1}, {"pair": 4, "y": 7, "x": 33}, {"y": 60, "x": 1}], ids=str)
def test_chunks_change_no_bit(shifts, calibrated, chunks):
    def refuse(dsk, keys, **kwargs):
        raise AssertionError("computed while building")

    stable = left(shifts)
    with dask.config.set(scheduler=refuse):
        lazy = xoffset.calibrate(in_chunks(shifts, chunks), stable)
        lazy_mask = xoffset.calibrate(shifts, stable.chunk(x=9))
        lazy_target = xoffset.calibrate(shifts, stable, apply_to=in_chunks(shifts, chunks))
    assert all(variable.chunks is not None for variable in lazy.data_vars.values())
    assert lazy.attrs == calibrated.attrs
    assert {name: each.attrs for name, each in lazy.items()} == {name: each.attrs for name, each in calibrated.items()}
    assert all(lazy[name].data._meta.dtype == calibrated[name].dtype for name in calibrated.data_vars)
    xr.testing.assert_identical(lazy.compute(), calibrated)
    xr.testing.assert_identical(lazy_mask.compute(), calibrated)
    xr.testing.assert_equal(lazy_target.compute(), calibrated)


def test_a_large_scene_is_sampled_evenly(shifts, monkeypatch):
    whole = xoffset.calibrate(shifts, everywhere(shifts))
    monkeypatch.setattr(calibrate, "SAMPLE", shifts.dx.size // 4)
    sampled = xoffset.calibrate(shifts, everywhere(shifts))
    lazily = xoffset.calibrate(in_chunks(shifts, {"y": 11, "x": 13}), everywhere(shifts)).compute()
    xr.testing.assert_identical(lazily, sampled)
    ratio = (sampled.sigma_dx / whole.sigma_dx).values
    assert 0.0 < nmad(ratio - 1.0) < 0.1


def test_a_lazy_scene_without_stable_ground_says_so_when_computed(shifts):
    lazy = xoffset.calibrate(in_chunks(shifts, {}), ~everywhere(shifts))
    with pytest.raises(ValueError, match="Enlarge stable"):
        lazy.compute()


# ------------------------------------------------------------------------------------------------------ matched images


@pytest.fixture(scope="module")
def matched():
    """Ground that stays, matched under changing light, with sigma made too small by a known mistake."""
    stack, _ = synthetic.stack(
        (320, 512), dates=["2020-01-01", "2020-04-01", "2021-01-01", "2021-05-01"], field="constant", velocity=0.0,
        snr=1.5, illumination=0.3, misregistration=4.0, seed=8,
    )  # fmt: skip
    shifts = stack.offset.correlate(stack.offset.pairs(), template=32, search=4, step=8).offset.screen()
    return shifts.assign(sigma_dx=0.4 * shifts.sigma_dx, sigma_dy=0.4 * shifts.sigma_dy)


@pytest.mark.parametrize("name", ["dx", "dy"])
def test_matches_of_other_ground_and_other_dates_are_told_their_spread(matched, name):
    held_out = ~left(matched)
    assert (told(matched, held_out, name) > 1.5).all()
    of_left = xoffset.calibrate(matched, left(matched))
    np.testing.assert_allclose(told(of_left, held_out, name), 1.0, atol=0.25)
    early, late = matched.isel(pair=[0]), matched.isel(pair=[-1])
    found = early.offset.calibrate(left(early), apply_to=late)
    np.testing.assert_allclose(told(found, ~left(late), name), 1.0, atol=0.25)


def test_a_calibrated_product_goes_on(matched):
    calibrated = xoffset.calibrate(matched, left(matched)).offset.screen()
    assert {"sigma_factor_dx", "sigma_factor_dy"} < set(calibrated.data_vars)
    wider = calibrated.offset.invert().sigma_dx / matched.offset.invert().sigma_dx
    assert 1.5 < float(wider.median()) < 4.0


# ---------------------------------------------------------------------------------------------------------- real images


@pytest.mark.data
class TestRealGround:
    """What stays on photographs of years apart: sigma is 1.3 to 6 times too small before."""

    @pytest.fixture(scope="class")
    @classmethod
    def farmland(cls, data_folder):
        stack = xoffset.open_stack(data_folder / "naip_stable", date="naip_%Y%m%d", align="cubic")
        stack = stack.isel(time=[2, 3, 5, 6, 8, 9])
        return stack.offset.correlate(stack.offset.pairs(), search=6, step=8).offset.screen(min_score=0.3)

    @pytest.mark.parametrize("part", ["left", "right", "upper", "lower"])
    @pytest.mark.parametrize("name", ["dx", "dy"])
    def test_other_farmland(self, farmland, part, name):
        upper = everywhere(farmland) & (farmland.y > float(farmland.y.mean()))
        stable = {"left": left(farmland), "right": ~left(farmland), "upper": upper, "lower": ~upper}[part]
        assert told(farmland, ~stable, name).min() > 1.25
        found = told(xoffset.calibrate(farmland, stable), ~stable, name)
        assert np.median(found) == pytest.approx(1.0, abs=0.25)
        assert np.mean(np.abs(found - 1.0) <= 0.25) >= 0.6

    @pytest.mark.parametrize("name", ["dx", "dy"])
    def test_other_dates(self, farmland, name):
        early = farmland.secondary.values < np.datetime64("2017-01-01")
        late = farmland.reference.values > np.datetime64("2017-01-01")
        assert (early.sum(), late.sum()) == (3, 3)
        first, last = farmland.isel(pair=early), farmland.isel(pair=late)
        found = xoffset.calibrate(first, left(first), apply_to=last)
        off = told(found, ~left(last), name) - 1.0
        # half of one field and two pairs of dates: the factor itself is known to 13 %, and says so
        error = found.sigma_factor_error.values
        assert (error < 0.14).all()
        assert (np.abs(off) <= np.maximum(0.25, 2.0 * error)).all()
        assert np.mean(np.abs(off)) < 0.25

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("name", ["dx", "dy"])
    def test_scree_beside_a_rock_glacier(self, data_folder, side, name):
        """Distortions of one photograph are not those of another: true of all pairs together, not of each."""
        stack = xoffset.open_stack(data_folder / "kaiserberg_rock_glacier" / "ortho_*.tif", date="ortho_%Y")
        stack = stack.isel(time=slice(2, None), x=slice(2 * stack.sizes["x"] // 3, None))
        shifts = stack.offset.correlate(stack.offset.pairs(), step=16).offset.screen(min_score=0.3)
        stable = left(shifts) if side == "left" else ~left(shifts)
        d = shifts[name].where(~stable)
        residual = d - d.median(("y", "x"))
        assert nmad(residual / shifts[f"sigma_{name}"]) > 2.0
        calibrated = xoffset.calibrate(shifts, stable)
        assert nmad(residual / calibrated[f"sigma_{name}"]) == pytest.approx(1.0, abs=0.25)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m.values, TypeError, r"boolean DataArray \(y, x\).*got ndarray. Compare: stable = slope < 20"),
        (lambda m: m.astype(float), TypeError, r"got dtype float64. Compare"),
        (lambda m: m.where(m), TypeError, r"got dtype float64"),
        (lambda m: m.astype(object), TypeError, r"got dtype object"),
        (lambda m: m.astype("uint8"), TypeError, r"got dtype uint8"),
        (lambda m: None, TypeError, r"got NoneType"),
        (lambda m: m.expand_dims("pair"), ValueError, r"got \('pair', 'y', 'x'\). Join them: stable.all"),
        (lambda m: m.drop_vars("x"), ValueError, r"needs coordinates x and y"),
        (lambda m: ~m, ValueError, r"at least one pair; got at most 0 vectors.*Enlarge stable"),
        (lambda m: m & (m.x < m.x.values[2]) & (m.y > m.y.values[3]), ValueError, r"at most 2 vectors.*Enlarge stable"),
        (lambda m: m.isel(x=[0, 2, 3]), ValueError, r"evenly spaced 'x'.*Resample to a regular grid"),
        (lambda m: m.assign_coords(x=m.x + 1e6), ValueError, r"stable to overlap the shifts.*Check its coordinates"),
    ],
)  # fmt: skip
def test_a_wrong_mask_is_refused(shifts, change, error, message):
    with pytest.raises(error, match=message):
        xoffset.calibrate(shifts, change(everywhere(shifts)))


@pytest.mark.parametrize("change", [lambda m: m[::-1], lambda m: m[1::3, 1::3], lambda m: m[1::3, ::-1]])
def test_a_mask_of_another_grid_is_laid_on_by_position(shifts, change):
    """Blocks of three by three nodes say the same as one pixel in the middle of each."""
    blocks = np.kron(np.random.default_rng(0).random((20, 27)) < 0.6, np.ones((3, 3), bool))[:, :80]
    stable = xr.DataArray(blocks, coords=shifts[["y", "x"]].coords, dims=("y", "x"))
    xr.testing.assert_identical(xoffset.calibrate(shifts, change(stable)), xoffset.calibrate(shifts, stable))


def test_a_mask_of_another_crs_is_brought_there(shifts):
    def in_crs(data, code):
        return data.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS.from_user_input(code)))

    with pytest.raises(ValueError, match=r"EPSG:32632; got one of .*EPSG:32633. Check its coordinates and its CRS"):
        xoffset.calibrate(in_crs(shifts, 32632), in_crs(everywhere(shifts), 32633))
    to_mask = pyproj.Transformer.from_crs(32632, 32633, always_xy=True)
    west, north = to_mask.transform(float(shifts.x.min()) - 2000.0, float(shifts.y.max()) + 2000.0)
    coords = {"y": north - 40.0 * np.arange(250), "x": west + 40.0 * np.arange(250)}
    away = xr.DataArray(np.ones((250, 250), bool), coords=coords, dims=("y", "x"))
    found = xoffset.calibrate(in_crs(shifts, 32632), in_crs(away, 32633))
    xr.testing.assert_equal(found, xoffset.calibrate(in_crs(shifts, 32632), everywhere(shifts)))
    assert xoffset.calibrate(in_crs(shifts, 32632), everywhere(shifts)).spatial_ref.size == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.drop_vars("sigma_dx"), ValueError, r"got none called sigma_dx. Use the result of correlate"),
        (lambda s: s.drop_vars("score"), ValueError, r"needs 'score'.*Use the result of correlate"),
        (lambda s: s.assign(score=s.score[0].drop_vars(("reference", "secondary"))), ValueError, r"needs 'score'"),
        (lambda s: s.isel(pair=0), ValueError, r"needs dim 'pair'"),
        (lambda s: s.dx, TypeError, r"needs a Dataset"),
        (lambda s: s.assign(sigma_dy=0.0 * s.sigma_dy), ValueError, r"got at most 0 vectors"),
        (lambda s: s.where(False), ValueError, r"got at most 0 vectors"),
        (lambda s: s.assign(dx=0.0 * s.dx), ValueError, r"got the same in most of its windows. Match two different"),
    ],
)
def test_wrong_shifts_are_refused(shifts, change, error, message):
    with pytest.raises(error, match=message):
        xoffset.calibrate(change(shifts), everywhere(shifts))
    if "vectors" not in message and "same" not in message:
        with pytest.raises(error, match=message):
            xoffset.calibrate(shifts, everywhere(shifts), apply_to=change(shifts))
