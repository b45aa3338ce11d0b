"""The image filters: against their slow twins, beside holes, for any chunks, and as pre-filters of a match."""

import dask
import dask.array
import numpy as np
import pytest
import reference
import reference_filters as twin
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset import filtering, synthetic
from xoffset._arrays.filters import apply, centre, colour, noise, smoothing
from xoffset._arrays.filters import options as prefilters
from xoffset._arrays.filters.options import Bandpass, Highpass, Laplacian, Orientation, as_prefilter, described
from xoffset._arrays.matching.images import margin
from xoffset._kernels.images import filters

PIXEL = 10.0
# name -> options, twin
CASES = {
    "highpass": ({"coarse": 2.0}, lambda raw: twin.bandpass(raw, 0.0, 2.0)),
    "bandpass": ({"fine": 0.8, "coarse": 2.5}, lambda raw: twin.bandpass(raw, 0.8, 2.5)),
    "wallis": ({"window": 5}, lambda raw: twin.wallis(raw, 5)),
    "laplacian": ({"fine": 0.7}, lambda raw: twin.laplacian(raw, 0.7)),
    "sobel": ({"fine": 0.0}, lambda raw: twin.sobel(raw, 0.0)),
    "orientation": ({"fine": 0.7}, lambda raw: twin.orientation(raw, 0.7)),
    "naof": ({"fine": 1.0}, lambda raw: twin.naof(raw, 1.0)),
    "rank": ({"radius": 2}, lambda raw: twin.rank(raw, 2)),
    "log": ({"level": 900.0}, lambda raw: twin.log(raw, 900.0)),
}
NAMES = sorted(prefilters.NAMES)


def image(shape=(44, 40), seed=0, holes=True, dtype=np.float64):
    """Texture on a slope, with a hole at a corner, a strip, single pixels and an infinite one."""
    generator = np.random.default_rng(seed)
    raw = 1000.0 + 30.0 * scipy.ndimage.gaussian_filter(generator.standard_normal(shape), 1.0)
    raw += 0.5 * np.arange(shape[1])
    if holes:
        raw[:9, :7] = np.nan
        raw[:, 30:33] = np.nan
        raw[generator.random(shape) < 0.02] = np.nan
        raw[20, 10] = np.inf
    return raw.astype(dtype)


def stacked(*images, **attrs):
    dates = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="datetime64[us]")[: len(images)]
    values = np.stack(images)
    rows, columns = values.shape[1:]
    coords = {"time": dates, "y": -PIXEL * np.arange(rows), "x": PIXEL * np.arange(columns)}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name="red", attrs=attrs)


def same_bits(first, second):
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()


def assert_twins(found, wanted, tolerance):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isfinite(wanted).any()
    scale = np.nanmax(np.abs(wanted))
    np.testing.assert_allclose(np.nan_to_num(found), np.nan_to_num(wanted), rtol=0, atol=tolerance * scale)


# --------------------------------------------------------------------------------------------------------------- twins


@pytest.mark.small
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_filters_equal_their_twins(name, holes):
    options, wanted = CASES[name]
    raw = image(holes=holes)
    found = getattr(filtering, name)(stacked(raw), **options)
    assert_twins(found.values[0], wanted(np.where(np.isfinite(raw), raw, np.nan)), 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_filters_in_single_precision(name):
    options, _ = CASES[name]
    # as integers, so that rounding to single precision makes no ties
    raw = np.round(image())
    double = getattr(filtering, name)(stacked(raw), **options)
    single = getattr(filtering, name)(stacked(raw.astype(np.float32)), **options)
    assert single.dtype == np.result_type(np.float32, np.complex64 if name == "orientation" else np.float32)
    np.testing.assert_array_equal(np.isnan(single), np.isnan(double))
    scale = np.nanmax(np.abs(double.values))
    error = np.abs(single.values - double.values) / scale
    # directions of a gradient near zero are sensitive to rounding
    assert np.nanquantile(error, 0.99) < 2e-5
    if name not in ("orientation", "naof"):
        assert np.nanmax(error) < 2e-5


@pytest.mark.small
@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (17, 33)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bandpass_of_thin_images_without_holes(shape, dtype):
    raw = image(shape, holes=False)
    found, valid = apply.apply(
        Bandpass(1.2, 4.0),
        (raw - raw.mean()).astype(dtype),
        np.ones(shape, np.uint8),
        (slice(0, shape[0]), slice(0, shape[1])),
    )
    assert valid.all()
    low, high = (
        reference.convolve(raw - raw.mean(), taps) / reference.convolve(np.ones(shape), taps)
        for taps in (reference.gaussian(1.2), reference.gaussian(4.0))
    )
    np.testing.assert_allclose(found, low - high, rtol=0, atol=(1e-5 if dtype == np.float32 else 1e-10) * np.ptp(raw))


@pytest.mark.small
@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_planes_are_fitted_beside_holes_only(sigma):
    raw = image((70, 60))
    raw[~np.isfinite(raw)] = np.nan
    raw -= np.nanmean(raw)
    known = np.isfinite(raw)
    level, moments = smoothing.local_level(np.nan_to_num(raw), known.astype(np.uint8), sigma)
    wanted, weight, centroid = reference.local_plane(raw, sigma)
    reach = int(4 * sigma + 0.5)
    inner = (slice(reach, -reach), slice(reach, -reach))
    np.testing.assert_allclose(level[inner], wanted[inner], rtol=0, atol=1e-9 * np.nanmax(np.abs(raw)))
    np.testing.assert_allclose(moments[0][inner], weight[inner], rtol=0, atol=1e-12)
    for along, wanted_along in ((moments[1], centroid[1]), (moments[2], centroid[0])):
        np.testing.assert_allclose(
            (along / np.maximum(moments[0], 1e-6))[inner], wanted_along[inner], rtol=0, atol=1e-9
        )


FRAMES = [
    (slice(20, 70), slice(0, 60)),
    (slice(0, 52), slice(0, 41)),
    (slice(15, 55), slice(12, 50)),
    (slice(0, 70), slice(17, 60)),
]


@pytest.mark.small
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("fine", "coarse"), [(0.7, 2.0), (0.0, 2.0)])
def test_planes_are_continued_beside_the_rim_of_an_image(fine, coarse, frame, dtype):
    raw = np.full((70, 60), np.nan)
    raw[frame] = image((70, 60), holes=False)[frame]
    raw -= np.nanmean(raw)
    known = np.isfinite(raw).astype(np.uint8)
    pixels = np.nan_to_num(raw).astype(dtype)
    found, valid = smoothing.bandpass(Bandpass(fine, coarse), pixels, known, frame)
    np.testing.assert_array_equal(valid, known)
    low = raw if fine == 0.0 else reference.local_plane(raw, fine)[0]
    expected = low - reference.local_plane(raw, coarse)[0]
    reach = int(4 * coarse + 0.5)
    # the edges of the array are none of the image: what lies beside them is not used
    used = [
        (part.start if part.start > 0 else 2 * reach, part.stop if part.stop < size else size - 2 * reach)
        for part, size in zip(frame, raw.shape, strict=True)
    ]
    is_used = np.zeros(raw.shape, bool)
    is_used[slice(*used[0]), slice(*used[1])] = True
    atol = (1e-9 if dtype == np.float64 else 1e-5) * np.nanmax(np.abs(raw))
    np.testing.assert_allclose(found[is_used], expected[is_used], rtol=0, atol=atol)
    rows, columns = np.indices(raw.shape)
    plane = np.where(known, 3.0 * rows - 2.0 * columns, 0.0).astype(dtype)
    found, _ = smoothing.bandpass(Bandpass(fine, coarse), plane, known, frame)
    np.testing.assert_allclose(found[is_used], 0.0, atol=1e-9 if dtype == np.float64 else 1e-3)


@pytest.mark.small
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [slice(0, 52), slice(18, 70)])
@pytest.mark.parametrize("columns", [slice(0, 41), slice(19, 60)])
@pytest.mark.parametrize(("fine", "coarse", "lost"), [(0.7, 2.0, 0), (1.2, 2.3, 1)])
def test_too_little_is_known_at_a_corner_for_a_wide_low_pass(fine, coarse, lost, rows, columns, dtype):
    raw = np.full((70, 60), np.nan)
    raw[rows, columns] = image(raw.shape, holes=False)[rows, columns] - 1000.0
    known = np.isfinite(raw)
    pixels = np.nan_to_num(raw).astype(dtype)
    found, valid = smoothing.bandpass(Bandpass(fine, coarse), pixels, known.astype(np.uint8), (rows, columns))
    low, weight, _ = reference.local_plane(raw, fine)
    expected = low - reference.local_plane(raw, coarse)[0]
    # rows and columns from the corner on, as far as the edges of the array are not seen: they are none of the image
    corner = tuple(
        slice(part.start, part.stop - 16) if part.start > 0 else slice(part.stop - 1, 16, -1)
        for part in (rows, columns)
    )
    np.testing.assert_array_equal(valid[corner], weight[corner] >= filters.LEAST_WEIGHT)
    assert np.count_nonzero(valid[corner] == 0) == lost
    atol = (1e-9 if dtype == np.float64 else 1e-5) * np.nanmax(np.abs(raw))
    np.testing.assert_allclose(found[corner], expected[corner], rtol=0, atol=atol)


@pytest.mark.small
@pytest.mark.parametrize("shape", [(24, 24), (25, 31), (26, 24), (31, 27)])
def test_spline_coefficients_of_any_number_of_rows(shape):
    raw = image(shape, holes=False)
    out = np.empty(shape)
    filters.spline_coefficients(raw, out)
    np.testing.assert_allclose(out, reference.spline_coefficients(raw), rtol=0, atol=1e-6 * np.abs(out).max())


@pytest.mark.small
def test_noise_equals_its_twin():
    raw = image()
    known = np.isfinite(raw)
    raw[~known] = np.nan
    found = noise.noise(np.where(known, raw, 0.0), known.astype(np.uint8))
    assert found == pytest.approx(twin.noise(raw))


def test_noise_of_a_noisy_slope():
    slope = np.add.outer(np.arange(200.0), 3.0 * np.arange(200.0))
    noisy = slope + 5.0 * np.random.default_rng(1).standard_normal(slope.shape)
    assert noise.noise(noisy, np.ones(slope.shape, np.uint8)) == pytest.approx(5.0, rel=0.03)


# -------------------------------------------------------------------------------------------------------- holes, blocks


@pytest.mark.parametrize("fill", [0.0, -9999.0, 65535.0, 1e30])
@pytest.mark.parametrize("name", CASES)
def test_nothing_leaks_from_a_hole(name, fill):
    raw = image(dtype=np.float32)
    options, _ = CASES[name]
    empty = getattr(filtering, name)(stacked(raw), **options)
    filled = getattr(filtering, name)(
        stacked(np.where(np.isfinite(raw), raw, np.float32(fill)), _FillValue=fill), **options
    )
    assert np.isnan(empty.values).any()
    assert same_bits(empty.values, filled.values)


@pytest.mark.parametrize("chunks", [(1, 64, 300), (2, 7, 131), (1, 290, 13)])
@pytest.mark.parametrize("name", CASES)
def test_lazy_has_the_bits_of_eager(name, chunks):
    stack = stacked(image((300, 290), dtype=np.float32), image((300, 290), seed=1, dtype=np.float32))
    options, _ = CASES[name]
    eager = getattr(filtering, name)(stack, **options)
    lazy = getattr(filtering, name)(stack.chunk(dict(zip(stack.dims, chunks, strict=True))), **options)
    assert isinstance(lazy.data, dask.array.Array)
    assert lazy.data._meta.dtype == eager.dtype
    assert isinstance(eager.data, np.ndarray)
    assert same_bits(lazy.compute(scheduler="threads").values, eager.values)


def test_noise_widens_the_low_pass_where_that_helps():
    def chosen(redness, snr):
        ground = synthetic.scene((256, 256), redness=redness)
        stack, _ = synthetic.stack((256, 256), snr=snr, ground=ground)
        pixels = centre.centre(stack.values[0], np.dtype(np.float32))
        return noise.settle(Bandpass("snr"), pixels.values, pixels.known, 32).fine

    # RMSE of 32 px windows at SNR 1: 0.107 px with 0.7, 0.098 with 1.2 on red ground; 0.074 and 0.091 on ground less so
    assert chosen(2.0, 0.7) > 0.7
    assert chosen(1.3, 20.0) == 0.7
    assert chosen(1.3, 1.0) == 0.7


def test_the_noise_chooses_the_same_low_pass_for_any_chunks():
    stack, _ = synthetic.stack((300, 280), snr=0.7, ground=synthetic.scene((300, 280), redness=2.0))
    eager = filtering.bandpass(stack, fine="snr")
    assert not same_bits(eager.values, filtering.bandpass(stack).values)
    assert same_bits(filtering.bandpass(stack.chunk(y=50, x=97), fine="snr").compute().values, eager.values)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_computed_before_it_is_asked_for(name):
    def refuse(*_, **__):
        raise AssertionError("computed")

    stack = stacked(image(), image(seed=1)).chunk(time=1, y=20)
    options, _ = CASES[name]
    with dask.config.set(scheduler=refuse):
        getattr(filtering, name)(stack, **options)


def test_an_image_is_filtered_alone():
    first, second = image(), image(seed=1)
    both = filtering.bandpass(stacked(first, second))
    assert same_bits(both.values[1], filtering.bandpass(stacked(second)).values[0])


# ---------------------------------------------------------------------------------------------------------- properties


@pytest.mark.parametrize("name", ["highpass", "bandpass", "laplacian"])
def test_a_slope_beside_a_hole_leaves_nothing(name):
    slope = np.add.outer(3.0 * np.arange(60.0), 100.0 - 2.0 * np.arange(50.0))
    slope[20:30, 15:40] = np.nan
    found = getattr(filtering, name)(stacked(slope)).values[0]
    assert np.isfinite(found).sum() > 1000
    assert np.nanmax(np.abs(found[1:-1, 1:-1])) < 1e-9


@pytest.mark.parametrize("name", ["wallis", "orientation", "naof", "rank"])
def test_filters_without_unit_ignore_gain_and_offset(name):
    raw = image()
    first = getattr(filtering, name)(stacked(raw)).values
    second = getattr(filtering, name)(stacked(raw * 8.0 + 512.0)).values
    np.testing.assert_array_equal(np.isnan(first), np.isnan(second))
    assert np.nanmax(np.abs(first - second)) < 1e-8


@pytest.mark.parametrize("name", ["highpass", "bandpass", "laplacian", "sobel"])
def test_filters_with_unit_scale_with_the_gain(name):
    raw = image()
    first = getattr(filtering, name)(stacked(raw)).values
    second = getattr(filtering, name)(stacked(-3.0 * raw + 100.0)).values
    expected = first * (3.0 if name == "sobel" else -3.0)
    np.testing.assert_allclose(second, expected, rtol=0, atol=1e-9 * np.nanmax(np.abs(expected)))


def test_ground_without_texture_stays_faint():
    generator = np.random.default_rng(2)
    raw = generator.standard_normal((80, 80))
    raw[:, 40:] += 20.0 * scipy.ndimage.gaussian_filter(generator.standard_normal((80, 80)), 1.0)[:, 40:]
    found = filtering.wallis(stacked(raw)).values[0]
    assert np.std(found[10:-10, 5:30]) < 0.7
    assert np.std(found[10:-10, 50:75]) > 0.7


def test_orientation_points_uphill_and_is_zero_where_flat():
    raw = np.zeros((30, 60))
    raw[:, 30:] = np.arange(30.0)
    found = filtering.orientation(stacked(raw), fine=0.0).values[0]
    assert (found[1:-1, 1:29] == 0).all()
    np.testing.assert_allclose(found[1:-1, 32:-1], 1.0)
    turned = filtering.orientation(stacked(raw.T.copy()), fine=0.0).values[0]
    np.testing.assert_allclose(turned[32:-1, 1:-1], 1j)


def test_log_knows_no_value_at_or_below_its_level():
    found = filtering.log(stacked(np.array([[1.0, 5.0, 5.5], [np.nan, 6.0, np.inf]])), level=5.0).values[0]
    np.testing.assert_allclose(found, [[np.nan, np.nan, np.log(0.5)], [np.nan, 0.0, np.nan]])


@pytest.mark.parametrize("name", CASES)
def test_labels(name):
    stack, _ = synthetic.stack((40, 48))
    stack.attrs.update(units="1", long_name="reflectance", _FillValue=0.0)
    before = stack.copy(deep=True)
    found = getattr(filtering, name)(stack)
    assert (found.dims, found.name) == (stack.dims, stack.name)
    xr.testing.assert_identical(found.coords.to_dataset(), stack.coords.to_dataset())
    xr.testing.assert_identical(stack, before)
    assert found.encoding == {"grid_mapping": "spatial_ref"}
    assert "_FillValue" not in found.attrs
    assert found.attrs["long_name"] != "reflectance"
    assert f'"function": "{name}"' in found.attrs["processing"]
    assert all(isinstance(value, str) for value in found.attrs.values())


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i2", "float64", ">f4"])
def test_any_real_numbers_are_taken(dtype):
    raw = np.round(100.0 + 50.0 * np.sin(np.add.outer(np.arange(40.0), 0.5 * np.arange(30.0))))
    wanted = filtering.bandpass(stacked(raw)).values
    for values in (raw.astype(dtype), np.asfortranarray(raw.astype(dtype))):
        values.flags.writeable = False
        found = filtering.bandpass(stacked(values)).values
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)


# ------------------------------------------------------------------------------------------------------------ matching


def moving(snr=np.inf, shape=(192, 192), seed=0, x=13.0, y=-6.0):
    speed, direction = np.hypot(x, y), np.rad2deg(np.arctan2(x, y))
    dates = np.array(["2020-01-01T00", "2020-12-31T06"], dtype="datetime64[us]")  # 365.25 days
    stack, _ = synthetic.stack(
        shape, dates=dates, field="constant", velocity=speed, direction=direction, snr=snr, seed=seed
    )
    return stack


def match(stack, prefilter, **grid):
    return xoffset.correlate(stack, xoffset.pairs(stack), prefilter=prefilter, **({"search": 4, "step": 16} | grid))


@pytest.mark.parametrize("prefilter", [*NAMES, Bandpass("snr", "template"), Highpass("template")])
def test_motion_is_found_with_every_filter(prefilter):
    shifts = match(moving(), prefilter)
    is_inner = (shifts.flags & 1) == 0
    error = np.hypot(shifts.dx - 13.0, shifts.dy + 6.0) / PIXEL
    assert float(np.isfinite(error).where(is_inner).mean()) > 0.95
    # sharp folds of a magnitude or a rank are no band-limited texture
    assert float(error.median()) < (0.03 if prefilter in ("sobel", "naof", "rank") else 0.01)


@pytest.mark.parametrize("name", NAMES)
def test_gain_and_offset_of_an_image_change_no_match(name):
    stack = moving().astype(np.float64)
    changed = stack.copy()
    # a logarithm is spared the offset
    changed[1] = 3.0 * changed[1] + (0.0 if name == "log" else 500.0)
    first, second = match(stack, name), match(changed, name)
    for field in ("dx", "dy", "score", "sigma_dx"):
        np.testing.assert_allclose(second[field], first[field], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_matches_with_a_filter_have_the_same_bits_for_any_chunks(name):
    stack = moving(snr=5.0, shape=(150, 160))
    stack[0, :40, 100:] = np.nan
    eager = match(stack, name)
    lazy = match(stack.chunk(time=1, y=37, x=61), name).compute()
    for field in eager.data_vars:
        assert same_bits(lazy[field].values, eager[field].values)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_in_a_hole_changes_no_match(name):
    stack = moving(snr=5.0, shape=(128, 128))
    stack[1, 50:60, 30:90] = np.nan
    filled = stack.fillna(-5.0).assign_attrs(_FillValue=-5.0)
    first, second = match(stack, name), match(filled, name)
    assert float(np.isfinite(first.dx).mean()) > 0.2
    for field in first.data_vars:
        assert same_bits(first[field].values, second[field].values)


def nmad(values):
    return 1.4826 * np.nanmedian(np.abs(values))


@pytest.mark.parametrize("snr", [4.0, 10.0])
@pytest.mark.parametrize("name", NAMES)
def test_sigma_knows_the_colour_of_the_filter(name, snr):
    # over whole pixels, where what the interpolation makes of aliased texture does not swell the residual
    ratios = []
    for seed in range(2):
        shifts = match(moving(snr, (256, 256), seed, x=20.0, y=-10.0), name, template=24, step=20)
        ratios += [(shifts.dx - 20.0) / shifts.sigma_dx, (shifts.dy + 10.0) / shifts.sigma_dy]
    assert 0.72 < nmad(np.concatenate([ratio.values.ravel() for ratio in ratios])) < 1.25


def test_colour_of_noise_of_a_linear_filter_is_its_own_kernel():
    pixels = centre.centre(moving(4.0).values[0], np.dtype(np.float64))
    frame = (slice(0, 192), slice(0, 192))
    prefilter = Laplacian()
    done = apply.apply(prefilter, pixels.values, pixels.known, frame)
    exact = colour.colour(prefilter, pixels.values, pixels.known, frame, done)
    change = colour._change_by_noise(prefilter, pixels.values, pixels.known, frame, done)
    guessed = colour._kernel_of_noise(change)
    assert colour._hold_of_noise(change, guessed, done) == pytest.approx(1.0, abs=0.1)
    impulse = np.zeros((31, 31))
    impulse[15, 15] = 1.0
    kernel = exact.spread(impulse) / np.sqrt(exact.gain)
    reach = colour.COLOUR_RADIUS
    # of the two roots of its spectrum the positive one is found
    found = -guessed if guessed[reach, reach] * kernel[15, 15] < 0 else guessed
    assert np.abs(found - kernel[15 - reach : 16 + reach, 15 - reach : 16 + reach]).max() < 0.03


def test_a_high_pass_may_follow_the_template():
    assert Bandpass(coarse="template").reach(64) == 26
    assert Bandpass(coarse="template").reach(16) == Bandpass().reach(16) == 12
    assert margin(as_prefilter("bandpass"), 64) == 18


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.small
@pytest.mark.parametrize(
    ("name", "options", "advice"),
    [
        ("bandpass", {"fine": -1.0}, "Pass a number such as fine"),
        ("bandpass", {"fine": "noise"}, "or 'snr'"),
        ("bandpass", {"fine": 3.0, "coarse": 2.0}, "Exchange them"),
        ("bandpass", {"coarse": "template"}, "Pass a number such as coarse"),
        ("highpass", {"coarse": np.nan}, "Pass a number such as coarse"),
        ("highpass", {"coarse": 1e3}, "Pass a number such as coarse"),
        ("highpass", {"coarse": True}, "Pass a number such as coarse"),
        ("wallis", {"window": 4}, "Pass 5"),
        ("wallis", {"window": 2.5}, "Pass a number such as window"),
        ("rank", {"radius": 0}, "Pass a number such as radius"),
        ("sobel", {"fine": None}, "Pass a number such as fine"),
        ("log", {"level": "black"}, "Pass the value of black"),
        ("log", {"level": np.inf}, "Pass the value of black"),
    ],
)
def test_options_out_of_range_are_refused(name, options, advice):
    with pytest.raises(ValueError, match=advice):
        getattr(filtering, name)(stacked(image()), **options)


@pytest.mark.small
@pytest.mark.parametrize("name", CASES)
def test_what_is_no_stack_is_refused(name):
    with pytest.raises(TypeError, match="Pick one variable"):
        getattr(filtering, name)(image())
    with pytest.raises(ValueError, match="Reorder"):
        getattr(filtering, name)(stacked(image()).transpose("y", "x", "time"))
    with pytest.raises(TypeError, match=r"abs\(stack\)"):
        getattr(filtering, name)(stacked(image()).astype(complex))


@pytest.mark.small
@pytest.mark.parametrize("value", ["gauss", "orientation", 3, Bandpass, Orientation()])
def test_unknown_prefilters_are_refused(value):
    with pytest.raises(ValueError, match="Pass one of the names"):
        as_prefilter(value)


@pytest.mark.small
@pytest.mark.parametrize("name", [*NAMES, None])
def test_names_of_prefilters(name):
    prefilter = as_prefilter(name)
    assert described(prefilter) == name
    assert as_prefilter(prefilter) is prefilter


@pytest.mark.parametrize("level", [0.0, 7.0])
@pytest.mark.parametrize("name", [*CASES])
def test_images_without_texture_or_pixels(name, level):
    empty = np.full((40, 40), np.nan)
    found = getattr(filtering, name)(stacked(np.full((40, 40), level), empty)).values
    assert np.isnan(found[1]).all()
    inner = found[0, 5:-5, 5:-5]
    wanted = {"naof": 2.0, "rank": 0.5, "log": np.log(7.0) if level else np.nan}.get(name, 0.0)
    np.testing.assert_allclose(inner, wanted, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_constant_images_match_nowhere(name):
    shifts = match(xr.full_like(moving(shape=(96, 96)), 7.0), name)
    assert np.isnan(shifts.dx).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_pure_slope_matches_nowhere(name):
    slope = np.add.outer(np.arange(128.0), 2.0 * np.arange(128.0)) + 100.0
    if name == "log":
        slope = 1e4 * np.exp(slope / 1000.0)
    shifts = match(stacked(slope.astype(np.float32), slope.astype(np.float32)), name)
    assert np.isnan(shifts.dx).all()
