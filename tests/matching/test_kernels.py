"""Every kernel against its slow twin, over arrays that are hard on it."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_refine
import scipy.ndimage
import xarray as xr

import xoffset
from xoffset._arrays import lattice
from xoffset._arrays.filters.gaussian import gaussian_taps
from xoffset._arrays.matching.search import by_blocks, one_by_one
from xoffset._kernels.images import filters, warp, windows
from xoffset._kernels.maps import neighbours
from xoffset._kernels.matching import dense, refine, surface, templates, zncc
from xoffset.model import products

# Sums of some hundred terms in float64, relative to the largest of them.
EXACT = 1e-9
# float32 has 24 bits, 6e-8; sums of some hundred terms lose up to two decimals of it.
SINGLE = 1e-5
DTYPES = (np.float64, np.float32)


def tolerance(dtype) -> float:
    return EXACT if np.dtype(dtype) == np.float64 else SINGLE


def texture(shape, seed=0, sigma=1.3):
    """Smooth random image of standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    image = scipy.ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return image / image.std()


def random_holes(image):
    return np.where(np.random.default_rng(3).random(image.shape) < 0.03, np.nan, image)


def half_plane(image):
    rows, columns = np.indices(image.shape)
    return np.where(rows + 2 * columns < 0.6 * image.shape[0], np.nan, image)


def one_hole(image):
    out = image.copy()
    out[image.shape[0] // 2, image.shape[1] // 3] = np.nan
    return out


def one_valid(image):
    out = np.full_like(image, np.nan)
    out[image.shape[0] // 2, image.shape[1] // 3] = 7.0
    return out


def nothing(image):
    return np.full_like(image, np.nan)


def constant(image):
    return np.full_like(image, 4095.0)


def saturated(image):
    """A third of the image at the top of the range of the detector."""
    out = 100.0 * image
    out[:, : image.shape[1] // 3] = 4095.0
    return out


def offset(image):
    return image + 1e6


def elevated(image):
    """As much texture at level 1e6 as is not flat."""
    return 1e6 + 20.0 * image


def infinite(image):
    out = image.copy()
    out[3, 4:7] = np.inf
    out[5, 5] = -np.inf
    return out


def unchanged(image):
    return image


ADVERSE = (unchanged, random_holes, half_plane, one_hole, one_valid, nothing, constant, saturated, offset, infinite)


def name_of(function):
    return function.__name__


def strided(array):
    """Same values, not contiguous."""
    out = np.zeros([2 * size for size in array.shape], dtype=array.dtype)
    view = out[tuple(slice(None, None, 2) for _ in array.shape)]
    view[:] = array
    return view


def read_only(array):
    out = array.copy()
    out.setflags(write=False)
    return out


LAYOUTS = (strided, read_only, np.asfortranarray)


# ------------------------------------------------------------------------------------------------------------- filters


def smoothed(image, sigma, dtype=np.float64):
    out = np.empty(image.shape, dtype)
    taps = gaussian_taps(sigma, np.dtype(dtype))
    filters.smooth(image.astype(dtype), taps, taps, np.empty_like(out), out)
    return out


@pytest.mark.small
@pytest.mark.parametrize("sigma", [0.7, 3.0])
def test_gaussian(sigma):
    np.testing.assert_allclose(gaussian_taps(sigma, np.dtype(float)), reference.gaussian(sigma), atol=1e-15)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(27, 31), (5, 40), (1, 1), (2, 3), (30, 1)])
@pytest.mark.parametrize("sigma", [0.7, 3.0])
def test_smooth(shape, sigma, dtype):
    image = np.random.default_rng(1).standard_normal(shape)
    expected = reference.convolve(image, reference.gaussian(sigma))
    np.testing.assert_allclose(smoothed(image, sigma, dtype), expected, atol=tolerance(dtype))


@pytest.mark.small
def test_smooth_is_a_correlation_along_each_axis():
    image = np.random.default_rng(1).standard_normal((11, 14))
    along_y, along_x = np.random.default_rng(2).standard_normal((2, 7))
    out = np.empty_like(image)
    filters.smooth(image, along_y, along_x, np.empty_like(image), out)
    np.testing.assert_allclose(out, reference.convolve(image, along_y[::-1], along_x[::-1]), atol=EXACT)


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_smooth_any_layout(layout):
    image = texture((20, 33))
    taps = gaussian_taps(3.0, image.dtype)
    out = np.empty_like(image)
    filters.smooth(layout(image), layout(taps), layout(taps), np.empty_like(image), out)
    np.testing.assert_allclose(out, reference.convolve(image, reference.gaussian(3.0)), atol=EXACT)


def local_level(centred, mask, sigma, dtype):
    """Level of the local plane by the kernels, and the known weight with its moments; beyond the image is a hole."""
    taps = reference.gaussian(sigma)
    reach = taps.size // 2
    offsets = (np.arange(taps.size) - reach) / sigma
    powers = np.stack([taps * offsets**n for n in range(3)]).astype(dtype)
    image, mask = (np.pad(each, reach).astype(dtype) for each in (centred, mask))
    moments = np.zeros((3, *mask.shape), dtype)
    moments[0] = 1.0
    out = smoothed(image, sigma, dtype)
    filters.level_beside_holes(image, mask, powers, out, moments)
    inner = (slice(reach, -reach), slice(reach, -reach))
    return out[inner], moments[:, *inner]


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [0.7, 3.0])
@pytest.mark.parametrize("spoil", ADVERSE, ids=name_of)
def test_local_level(spoil, sigma, dtype):
    raw = spoil(texture((32, 41)))
    raw[~np.isfinite(raw)] = np.nan
    mask = np.isfinite(raw)
    # the tile's mean goes first, as in matching: what is left of 1e6 then fits float32
    centred = raw - (raw[mask].mean() if mask.any() else 0.0)
    expected, weight, _ = reference.local_plane(centred, sigma)
    out, moments = local_level(np.nan_to_num(centred), mask, sigma, dtype)
    np.testing.assert_allclose(moments[0], weight, atol=tolerance(dtype))
    # a determinant down to 1e-3 costs three decimals
    atol = max(np.nanmax(np.abs(centred), initial=0.0), 1e-3) * (1e-9 if dtype == np.float64 else 1e-3)
    clear = np.abs(out - expected) <= atol
    # near the limit of the determinant float32 may take the mean for the plane
    assert clear.all() if dtype == np.float64 else clear.mean() > 0.99


@pytest.mark.small
def test_local_level_of_a_plane_is_the_plane():
    rows, columns = np.indices((30, 33))
    plane = 3.0 * rows - 2.0 * columns
    mask = np.isfinite(half_plane(random_holes(plane)))
    out, _ = local_level(np.where(mask, plane, 0.0), mask, 3.0, np.float64)
    np.testing.assert_allclose(out[mask], plane[mask], atol=1e-6)


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(24, 25), (31, 60), (47, 24)])
def test_spline_coefficients(shape, dtype):
    image = np.random.default_rng(2).standard_normal(shape)
    out = np.empty(shape, dtype)
    filters.spline_coefficients(image.astype(dtype), out)
    # white noise is amplified up to 9 times
    np.testing.assert_allclose(out, reference.spline_coefficients(image), atol=10 * tolerance(dtype))


@pytest.mark.small
@pytest.mark.parametrize("shape", [(9, 11), (5, 30)])
def test_spline_coefficients_of_small_images(shape):
    # the kernel knows the first reflection only: an error of 0.27 to the power of the side, at the first edge
    image = np.random.default_rng(2).standard_normal(shape)
    out = np.empty(shape)
    filters.spline_coefficients(image, out)
    np.testing.assert_allclose(out, reference.spline_coefficients(image), atol=30 * 0.268 ** min(shape))


def test_twin_of_the_spline_is_that_of_scipy():
    image = np.random.default_rng(2).standard_normal((33, 29))
    expected = scipy.ndimage.spline_filter(image, mode="mirror")
    np.testing.assert_allclose(reference.spline_coefficients(image), expected, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_spline_coefficients_any_layout(layout):
    image = texture((30, 33))
    out = np.empty_like(image)
    filters.spline_coefficients(layout(image), out)
    np.testing.assert_allclose(out, reference.spline_coefficients(image), atol=EXACT)


# ------------------------------------------------------------------------------------------------------------- windows


def one_valued_patch(image):
    """Level 1e6 with a texture of 1e-3 in one corner, of 100 elsewhere."""
    out = 1e6 + 100.0 * image
    out[8:, 8:] = 1e6 + 1e-3 * image[8:, 8:]
    return out


@pytest.mark.small
@pytest.mark.parametrize("side", [5, 8, 11])
@pytest.mark.parametrize("spoil", [*ADVERSE, one_valued_patch], ids=name_of)
def test_flat_windows(spoil, side):
    raw = spoil(texture((27, 30)))
    raw[~np.isfinite(raw)] = np.nan
    valid = np.isfinite(raw)
    expected = reference.flat_windows(raw, side)
    out = np.empty(expected.shape, np.uint8)
    windows.flat_windows(np.where(valid, raw, 0.0), valid.astype(np.uint8), side, out)
    if spoil is offset:
        # texture 1 at level 1e6 is the limit itself
        near = np.abs(np.std(reference.windows(raw, side), (-2, -1)) / 1.000003 - 1.0) < 1e-5
        expected[near] = out[near]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.small
def test_flat_window_whose_middle_is_missing():
    raw = np.random.default_rng(0).uniform(0.0, 1000.0, (60, 60))
    raw[21:44, 21:44] = 7.0
    raw[25:40, 25:40] = np.nan
    out = np.empty((38, 38), np.uint8)
    windows.flat_windows(np.nan_to_num(raw), np.isfinite(raw).astype(np.uint8), 23, out)
    assert out[21, 21] == 1


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", [1, 5, 8, 12])
@pytest.mark.parametrize("spoil", [unchanged, constant, saturated, offset], ids=name_of)
def test_window_sums(spoil, side, dtype):
    image = spoil(texture((19, 26))).astype(dtype)
    expected_total, spread = reference.window_sums(image, side)
    total, inverse = (np.full(image.shape, np.nan) for _ in range(2))
    peak = np.abs(image).max()
    # running sums in double keep 16 decimals of the largest square they met, whatever the image
    lost = 1e-14 * side**2 * peak**2
    floor = 2.0 * lost / side**2
    windows.window_sums(image, side, floor, 0, 1, total, inverse)
    inner = tuple(slice(0, size) for size in spread.shape)
    np.testing.assert_allclose(total[inner], expected_total, rtol=1e-12, atol=1e-12 * peak)
    assert not inverse[inner][spread < floor * side**2 - lost].any()
    textured = spread > floor * side**2 + lost
    assert textured.any() == (side > 1 and spoil is not constant)
    np.testing.assert_allclose(1.0 / inverse[inner][textured] ** 2, spread[textured], rtol=1e-9, atol=lost)
    # nothing is written where no window starts
    for found in (total, inverse):
        found[inner] = np.nan
        assert np.isnan(found).all()


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("first", "step"), [(0, 1), (2, 3), (7, 4), (30, 64)])
def test_window_sums_of_some_rows_are_those_of_all(first, step, dtype):
    image = texture((19, 26)).astype(dtype)
    (every, some) = np.full((2, 2, *image.shape), np.nan, dtype=dtype)
    windows.window_sums(image, 5, 0.0, 0, 1, *every)
    windows.window_sums(image, 5, 0.0, first, step, *some)
    is_told = (np.arange(19) - first) % step == 0
    np.testing.assert_array_equal(some[:, is_told], every[:, is_told])
    assert np.isnan(some[:, ~is_told]).all()


@pytest.mark.small
@pytest.mark.parametrize("side", range(1, 20))
def test_sums_along_a_line(side):
    line = np.random.default_rng(0).standard_normal(40)
    out = np.full(40 - side + 1, np.nan)
    windows.sum_along(line, side, out)
    np.testing.assert_allclose(out, np.convolve(line, np.ones(side), "valid"), atol=EXACT)


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_window_sums_any_layout(layout):
    image = texture((19, 26))
    found = [np.empty(image.shape) for _ in range(2)]
    windows.window_sums(layout(image), 6, 0.0, 0, 1, *found)
    total, spread = reference.window_sums(image, 6)
    np.testing.assert_allclose(found[0][:14, :21], total, atol=EXACT)
    np.testing.assert_allclose(found[1][:14, :21] ** -2, spread, rtol=EXACT)


# ------------------------------------------------------------------------------------------------------ integer search


MARGIN = 16


def nodes_of(template, step, rows=2, columns=3, margin=MARGIN):
    return zncc.Nodes(rows, columns, margin, margin, step, template)


def search_of(nodes, half, templates=None, centre=(0, 0), wanted=None):
    """Request to search all nodes alike, or each with its own of arrays (rows, columns, 2)."""
    shape = (nodes.rows, nodes.columns)
    half, centre = (np.ascontiguousarray(np.broadcast_to(each, (*shape, 2)), dtype=np.int64) for each in (half, centre))
    wanted = np.ones(shape, np.uint8) if wanted is None else wanted.astype(np.uint8)
    first, last = (centre - half)[wanted != 0].min(axis=0), (centre + half)[wanted != 0].max(axis=0)
    box = tuple(map(int, (*first, *(last - first + 1))))
    return zncc.Search(np.array(templates or [nodes.template]), centre, half, box, wanted)


def image_pair(nodes, spoil=unchanged, noise=0.1, seed=0):
    """Two raw images around the nodes, the second moved by (0.7, -0.4) px along x and y."""
    reach = 2 * nodes.left + nodes.template
    shape = (reach + (nodes.rows - 1) * nodes.step, reach + (nodes.columns - 1) * nodes.step)
    ground = texture(shape, seed)
    moved = scipy.ndimage.shift(ground, (-0.4, 0.7), order=5, mode="grid-wrap")
    generator = np.random.default_rng(seed + 1)
    pair = [image + noise * generator.standard_normal(shape) for image in (ground, moved)]
    return [reference.prepare(spoil(image)) for image in pair]


def factors(image, is_masked):
    """Image, mask, squared image and known pixels, zero where nothing may be matched."""
    if not is_masked:
        return (image.filtered,)
    filtered = np.where(image.valid, image.filtered, 0.0)
    return filtered, image.valid, filtered**2, np.isfinite(image.raw)


def statistics_of(image, side, floor):
    """Sum, inverse root spread (zero if flat) and flatness of every window, at its first pixel."""
    out = np.zeros((3, *image.raw.shape))
    total, spread = reference.window_sums(image.filtered, side)
    flat = reference.flat_windows(image.raw, side)
    has_texture = ~flat & (spread > floor * side**2)
    inner = tuple(slice(0, size) for size in flat.shape)
    out[0][inner], out[2][inner] = total, flat
    out[1][inner][has_texture] = spread[has_texture] ** -0.5
    return out


def images_of(first, second, templates, least, dtype, is_masked):
    """What the kernels ask for of a pair that the twin prepared."""
    stacks = [np.stack(factors(image, is_masked)).astype(dtype) for image in (first, second)]
    if is_masked:
        # image·image, mask·mask, image·mask, mask·image, square·mask, mask·square, known·known
        stacks = [stacks[0][[0, 1, 0, 1, 2, 1, 3]], stacks[1][[0, 1, 1, 0, 1, 2, 3]]]
    peak = max(np.abs(image.filtered).max() for image in (first, second))
    floor = (4 * np.finfo(dtype).eps * peak) ** 2
    found = [[statistics_of(image, side, floor) for image in (first, second)] for side in templates]
    return zncc.Images(
        *stacks,
        *(np.array([pair[k][:2] for pair in found], dtype) for k in range(2)),
        *(np.array([pair[k][2] for pair in found], np.uint8) for k in range(2)),
        np.array([floor, floor], dtype),
        np.array(least, dtype),
    )


def search_by_blocks(images, nodes, search, out, flags):
    largest = search.templates[-1]
    block = int(np.gcd.reduce([nodes.step, largest, *(largest - search.templates[:-1])]))
    by_blocks(images, nodes, search, block, out, flags)


KERNELS = {"blocks": search_by_blocks, "one by one": one_by_one, "dense": dense.search_densely}


def search_kernel(name, pair, nodes, search, least, dtype=np.float64, is_masked=False):
    """Peaks and flags by a kernel."""
    images = images_of(*pair, search.templates, least, dtype, is_masked)
    shape = (search.templates.size, nodes.rows, nodes.columns)
    out, flags = np.full((*shape, surface.PEAK_FIELDS), np.nan, dtype), np.zeros(shape, np.int32)
    # compiled code divides zero by zero without a word
    with np.errstate(invalid="ignore", divide="ignore"):
        KERNELS[name](images, nodes, search, out, flags)
    return out, flags


def search_twin(pair, nodes, search, least):
    """The same by the twin; NaN and 0 where nothing was wanted."""
    out, flags = reference.search(*pair, nodes, list(search.templates), search.centre, search.half, least)
    wanted = search.wanted != 0
    return np.where(wanted[None, ..., None], out, np.nan), np.where(wanted, flags, 0)


def assert_finds(name, pair, nodes, search, least, *, dtype=np.float64, is_masked=False, atol=None):
    """The kernel tells what the twin tells, which is returned."""
    found, flags = search_kernel(name, pair, nodes, search, least, dtype, is_masked)
    expected, expected_flags = search_twin(pair, nodes, search, least)
    np.testing.assert_array_equal(flags, expected_flags)
    np.testing.assert_array_equal(found[..., :2], expected[..., :2])
    # which of two other peaks that are as high is the best one is a matter of rounding
    count = surface.COMMON if dtype == np.float64 else surface.OTHER
    np.testing.assert_allclose(found[..., 2:count], expected[..., 2:count], atol=atol or tolerance(dtype))
    return expected, expected_flags


# step, template, search: blocks of 4, 1 and the whole template; step above the template; no multiple; least search;
# the window of dense searches
GRIDS = [(4, 8, 2), (3, 8, 3), (8, 8, 4), (12, 8, 1), (1, 6, 5), (6, 9, 2), (7, 5, 2), (2, 10, 4), (1, 7, 5)]


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(("step", "template", "search"), GRIDS)
def test_search(step, template, search, is_masked, dtype, name):
    nodes = nodes_of(template, step)
    pair = image_pair(nodes)
    least = [template**2 // 2]
    assert_finds(name, pair, nodes, search_of(nodes, search), least, dtype=dtype, is_masked=is_masked)


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(
    ("half", "centre"), [((2, 5), (0, 0)), ((5, 1), (-2, 4)), ((1, 4), (5, -6)), ((4, 3), (-7, -2)), ((5, 16), (0, 0))]
)
def test_search_of_a_rectangle_anywhere(half, centre, is_masked, name):
    # lanes are whole vectors, which reach beyond the widest search
    nodes = nodes_of(8, 4, margin=MARGIN + zncc.LANES)
    pair = image_pair(nodes)
    assert_finds(name, pair, nodes, search_of(nodes, half, centre=centre), [32], is_masked=is_masked)


@pytest.mark.small
@pytest.mark.parametrize("name", ["blocks", "one by one"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spoil", [unchanged, one_hole, saturated], ids=name_of)
def test_search_of_each_node_by_itself(spoil, dtype, name):
    nodes = nodes_of(10, 5, rows=3, columns=4)
    generator = np.random.default_rng(5)
    centre, half = generator.integers(-4, 5, (3, 4, 2)), generator.integers(1, 5, (3, 4, 2))
    wanted = generator.random((3, 4)) < 0.7
    assert wanted.any()
    assert not wanted.all()
    search = search_of(nodes, half, centre=centre, wanted=wanted)
    atol = 100 * SINGLE if spoil is saturated and dtype == np.float32 else None
    pair = image_pair(nodes, spoil)
    assert_finds(name, pair, nodes, search, [50], dtype=dtype, is_masked=spoil is not unchanged, atol=atol)


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_search_leaves_alone_what_is_not_wanted(is_masked, name):
    nodes = nodes_of(8, 4)
    wanted = np.array([[True, False, True], [False, False, True]])
    images = images_of(*image_pair(nodes), [8], [32], np.float64, is_masked)
    out, flags = np.full((1, 2, 3, surface.PEAK_FIELDS), 7.5), np.full((1, 2, 3), 1 << 20, np.int32)
    KERNELS[name](images, nodes, search_of(nodes, 3, wanted=wanted), out, flags)
    assert (out[0][~wanted] == 7.5).all()
    assert (out[0][wanted][:, :3] != 7.5).all()
    # and adds to the flags
    assert (flags >= 1 << 20).all()
    assert (flags[0][~wanted] == 1 << 20).all()


NESTS = [(4, (8, 16)), (2, (6, 10, 14)), (8, (8, 24)), (5, (5, 15, 25)), (1, (5, 7, 9)), (16, (8, 24))]


@pytest.mark.small
@pytest.mark.parametrize("name", ["blocks", "one by one"])
@pytest.mark.parametrize("spoil", [unchanged, one_hole, half_plane], ids=name_of)
@pytest.mark.parametrize(("step", "templates"), NESTS)
def test_search_with_nested_templates(step, templates, spoil, name):
    nodes = nodes_of(templates[-1], step)
    search = search_of(nodes, (3, 2), list(templates))
    least = [side**2 // 2 for side in templates]
    pair = image_pair(nodes, spoil)
    is_masked = spoil is not unchanged
    expected, flags = assert_finds(name, pair, nodes, search, least, is_masked=is_masked)
    # a size alone, about the same centres, tells the same
    for k, side in enumerate(templates):
        inset = (templates[-1] - side) // 2
        alone = nodes._replace(top=nodes.top + inset, left=nodes.left + inset, template=side)
        found = search_kernel(name, pair, alone, search_of(alone, (3, 2)), least[k : k + 1], is_masked=is_masked)
        np.testing.assert_array_equal(found[1][0], flags[k])
        np.testing.assert_allclose(found[0][0, ..., : surface.COMMON], expected[k], atol=EXACT)


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    "spoil", [random_holes, half_plane, one_hole, one_valid, nothing, constant, saturated, infinite], ids=name_of
)
def test_masked_search(spoil, share, dtype, name):
    nodes = nodes_of(8, 6)
    pair = image_pair(nodes, spoil)
    least = [int(np.ceil(share * 64))]
    # 4095 beside a texture of 100: float32 loses the digits of the contrast
    atol = 100 * SINGLE if spoil is saturated and dtype == np.float32 else None
    assert_finds(name, pair, nodes, search_of(nodes, 4), least, dtype=dtype, is_masked=True, atol=atol)


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
def test_search_of_a_hole_in_one_image_only(name):
    nodes = nodes_of(8, 4, rows=2, columns=4)
    first, second = image_pair(nodes)
    raw = second.raw.copy()
    raw[20:27, 22:31] = np.nan
    pair = first, reference.prepare(raw)
    _, flags = assert_finds(name, pair, nodes, search_of(nodes, 4), [32], is_masked=True)
    assert (flags & reference.FEW_VALID).any()


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("date", [0, 1])
def test_search_of_a_window_that_is_flat_and_has_holes(date, name):
    nodes = nodes_of(8, 4, rows=2, columns=4)
    raws = [image.raw.copy() for image in image_pair(nodes)]
    raws[date][16:24, 16:24] = 7.0
    raws[1 - date][:20] = np.nan
    pair = [reference.prepare(raw) for raw in raws]
    for least in (20, 60):
        _, flags = assert_finds(name, pair, nodes, search_of(nodes, 4), [least], is_masked=True)
    assert flags[0, 0, 0] == (reference.FLAT if date == 0 else reference.FEW_VALID)


@pytest.mark.small
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_equal_scores_the_first_by_rows_is_the_peak(dtype, name):
    # a chequerboard repeats itself every other pixel, and diagonally
    board = (np.indices((48, 48)).sum(axis=0) % 2).astype(float)
    image = reference.Image(board, board - 0.5, np.ones(board.shape, bool))
    nodes = nodes_of(8, 4)
    found, flags = search_kernel(name, (image, image), nodes, search_of(nodes, (3, 4)), [32], dtype)
    np.testing.assert_array_equal(found[..., :2], np.broadcast_to([-3, -3], (1, 2, 3, 2)))
    np.testing.assert_allclose(found[..., 2:4], np.broadcast_to([1.0, 0.0], (1, 2, 3, 2)), atol=tolerance(dtype))
    assert (flags == reference.BORDER).all()


def bright_above_dim(shape, height, level):
    """A dim texture below an object that is `level` times as bright."""
    image = texture(shape)
    image[:height] *= level
    return image


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_bright_ground_leaves_no_trace_in_running_sums(step, is_masked):
    # 60 rows below the object, in windows of 7
    nodes = nodes_of(7, step, rows=96 // step, columns=3)
    shape = [2 * MARGIN + nodes.template + (count - 1) * step for count in (nodes.rows, nodes.columns)]
    pair = []
    for k in range(2):
        noise = 0.1 * np.random.default_rng(k).standard_normal(shape)
        image = bright_above_dim(shape, MARGIN + 12, 1000.0) + noise
        pair.append(reference.Image(image, image, np.ones(shape, bool)))
    search = search_of(nodes, 2)
    found, _ = search_kernel("dense", pair, nodes, search, [24], np.float32, is_masked)
    exact, _ = search_kernel("one by one", pair, nodes, search, [24], np.float64, is_masked)
    # windows that begin a restart, 4 windows, below the last bright row
    is_below = np.arange(nodes.rows) * step > 12 + 4 * 7
    assert is_below.sum() * step > 40
    np.testing.assert_array_equal(found[0][is_below][..., :2], exact[0][is_below][..., :2])
    np.testing.assert_allclose(found[0][is_below], exact[0][is_below], atol=10 * SINGLE)


# ----------------------------------------------------------------------------------------------------------- sub-pixel


@pytest.mark.small
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 5), (12, 17), (3, 9)])
def test_slopes(shape, dtype):
    image = texture(shape)
    along_x, along_y = (np.empty(shape, dtype) for _ in range(2))
    refine.slopes(image.astype(dtype), along_x, along_y)
    np.testing.assert_allclose(along_x, reference.derivative(image, 1), atol=tolerance(dtype))
    np.testing.assert_allclose(along_y, reference.derivative(image, 0), atol=tolerance(dtype))


def coloured(image):
    """Slopes along x and y, each once more through the band-pass of an image without gaps."""
    slopes = [reference.derivative(image, axis) for axis in (1, 0)]
    return [
        reference.convolve(slope, reference.gaussian(0.7)) - reference.convolve(slope, reference.gaussian(3.0))
        for slope in slopes
    ]


NOISE_GAIN = 0.12


def refine_kernel(first, second, nodes, peaks, flags, dtype, is_masked):
    slopes = np.stack([*(reference.derivative(first.filtered, axis) for axis in (1, 0)), *coloured(first.filtered)])
    valid = np.empty((2, 0, 0), np.uint8)
    if is_masked:
        valid = np.stack([image.valid for image in (first, second)]).astype(np.uint8)
    coefficients = reference.spline_coefficients(second.filtered)
    out = np.empty((nodes.rows, nodes.columns, 6), dtype)
    peaks = np.concatenate([peaks, np.full((*flags.shape, surface.PEAK_FIELDS - peaks.shape[-1]), np.nan)], axis=-1)
    wanted, sums = np.ones(flags.shape, np.uint8), np.empty((0, 0), dtype)
    if not is_masked and nodes.step < nodes.template:
        sums = np.empty((nodes.rows, templates.SUMS * nodes.columns), dtype)
        templates.sum_templates(first.filtered.astype(dtype), slopes.astype(dtype), nodes, sums)
    refine.refine(
        first.filtered.astype(dtype), slopes.astype(dtype), dtype(NOISE_GAIN), coefficients.astype(dtype),
        valid, sums, nodes, peaks.astype(dtype), wanted, out, flags,
    )  # fmt: skip
    return out


def window_twin(first, second, nodes, row, column, peaks, is_masked):
    y, x = nodes.top + row * nodes.step, nodes.left + column * nodes.step
    side, (v, u) = nodes.template, peaks[row, column, :2].astype(int)
    weight = np.ones((side, side))
    if is_masked:
        weight = first.valid[y : y + side, x : x + side] & second.valid[y + v : y + v + side, x + u : x + u + side]
    return reference.Window(first.filtered, reference.spline_coefficients(second.filtered), weight, y, x, side)


def refined_pair(template=12, spoil=unchanged, noise=0.1, dtype=np.float64):
    """Nodes, images, integer peaks, refined shifts and flags."""
    nodes = nodes_of(template, 9)
    pair = image_pair(nodes, spoil, noise)
    (peaks,), (flags,) = search_twin(pair, nodes, search_of(nodes, 2), [template**2 // 2])
    is_masked = not all(image.valid.all() for image in pair)
    found = refine_kernel(*pair, nodes, peaks, flags, dtype, is_masked)
    twins = {
        node: window_twin(*pair, nodes, *node, peaks, is_masked)
        for node in np.ndindex(*flags.shape)
        if flags[node] == 0
    }
    return pair, peaks, found, flags, twins


SCENES = [(unchanged, 0.0), (unchanged, 0.3), (random_holes, 0.1), (half_plane, 0.1), (one_hole, 0.0), (elevated, 0.1)]


@pytest.mark.small
@pytest.mark.parametrize(("spoil", "noise"), SCENES)
def test_refinement_ends_where_no_slope_explains_the_residual(spoil, noise):
    _, peaks, found, _, twins = refined_pair(spoil=spoil, noise=noise)
    assert twins
    for node, twin in twins.items():
        v, u = peaks[node][:2]
        # the last step is below 1e-3 px, and the next one much shorter
        np.testing.assert_allclose(found[node][:2], twin.solve(u, v), atol=5e-4)


@pytest.mark.small
@pytest.mark.parametrize(("spoil", "noise"), SCENES)
def test_score_of_the_refinement(spoil, noise):
    _, _, found, _, twins = refined_pair(spoil=spoil, noise=noise)
    for node, twin in twins.items():
        u, v, score = found[node][:3]
        # the score is that before the last step, which changes it by the curvature times 5e-4 squared
        assert score == pytest.approx(twin.score(u, v), abs=5e-6)


@pytest.mark.small
@pytest.mark.parametrize(("spoil", "noise"), SCENES)
def test_covariance_of_the_refinement(spoil, noise):
    pair, _, found, _, twins = refined_pair(spoil=spoil, noise=noise)
    for node, twin in twins.items():
        expected = reference_refine.covariance(twin, found[node][:2], coloured(pair[0].filtered), NOISE_GAIN)
        xx, yy, xy = found[node][3:]
        # the residual is that before the last step: of a noise-free pair it is itself no larger than that step makes it
        np.testing.assert_allclose([[xx, xy], [xy, yy]], expected, rtol=2e-2, atol=2e-7)


@pytest.mark.small
@pytest.mark.parametrize(("spoil", "noise"), SCENES)
def test_refinement_in_single_precision(spoil, noise):
    _, _, found, flags, _ = refined_pair(spoil=spoil, noise=noise)
    _, _, single, single_flags, _ = refined_pair(spoil=spoil, noise=noise, dtype=np.float32)
    np.testing.assert_array_equal(single_flags, flags)
    # at most one step of 5e-4 px more or less
    np.testing.assert_allclose(single[..., :2], found[..., :2], atol=1e-3)
    np.testing.assert_allclose(single[..., 2], found[..., 2], atol=SINGLE)
    np.testing.assert_allclose(single[..., 3:5], found[..., 3:5], rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("template", [9, 16, 25])
def test_refinement_is_the_least_squares_match_of_a_noise_free_pair(template):
    _, peaks, found, _, twins = refined_pair(template, noise=0.0)
    for node, twin in twins.items():
        v, u = peaks[node][:2]
        # slopes of the template instead of those of the moved image: equal but for the interpolation
        np.testing.assert_allclose(found[node][:2], twin.best(u, v), atol=5e-3)


def test_refinement_is_close_to_the_least_squares_match_of_a_noisy_pair():
    _, peaks, found, _, twins = refined_pair(25, noise=0.3)
    for node, twin in twins.items():
        v, u = peaks[node][:2]
        sigma = np.sqrt(found[node][3:5])
        # noise in either set of slopes, well below the error of the match itself
        assert (np.abs(found[node][:2] - twin.best(u, v)) < sigma).all()


@pytest.mark.small
def test_refinement_passes_over_flagged_nodes():
    nodes = nodes_of(8, 4)
    pair = image_pair(nodes)
    (peaks,), (flags,) = search_twin(pair, nodes, search_of(nodes, 2), [32])
    flags[:] = reference.BORDER
    found = refine_kernel(*pair, nodes, peaks, flags, np.float64, is_masked=False)
    assert np.isnan(found[..., [0, 1, 3, 4, 5]]).all()
    np.testing.assert_array_equal(found[..., 2], peaks[..., 2])
    assert (flags == reference.BORDER).all()


@pytest.mark.small
def test_refinement_needs_slopes_in_both_directions():
    nodes = nodes_of(12, 9)
    stripes = np.tile(texture((1, 80))[0], (80, 1))
    image = reference.Image(stripes, stripes, np.ones(stripes.shape, bool))
    peaks, flags = np.zeros((2, 3, 4)), np.zeros((2, 3), np.int32)
    found = refine_kernel(image, image, nodes, peaks, flags, np.float64, is_masked=False)
    assert (flags == reference.ILL_CONDITIONED).all()
    assert np.isnan(found[..., 0]).all()


@pytest.mark.small
def test_refinement_gives_up_on_unrelated_images():
    nodes = nodes_of(8, 4)
    first, second = image_pair(nodes)[0], image_pair(nodes, seed=9)[0]
    peaks, flags = np.zeros((2, 3, 4)), np.zeros((2, 3), np.int32)
    peaks[..., 2] = 0.123
    found = refine_kernel(first, second, nodes, peaks, flags, np.float64, is_masked=False)
    lost = flags == reference.REFINE_FAILED
    assert lost.any()
    assert np.isnan(found[lost][:, [0, 1, 3, 4, 5]]).all()
    assert (found[lost][:, 2] == 0.123).all()


# ----------------------------------------------------------------------------------------------------- public correlate


def as_stack(images, dtype=np.float64):
    rows, columns = images[0].shape
    return products.stack(
        np.stack(images).astype(dtype),
        time=np.array(["2020-01-01", "2021-01-01"], dtype="M8[us]"),
        x=np.arange(columns) + 0.5,
        y=-np.arange(rows) - 0.5,
        crs=None,
        attrs={},
    )


def moving_pair(shape=(60, 67), noise=0.1, seed=0):
    ground = texture(shape, seed)
    moved = scipy.ndimage.shift(ground, (-0.4, 1.7), order=5, mode="grid-wrap")
    generator = np.random.default_rng(seed + 1)
    return [image + noise * generator.standard_normal(shape) for image in (ground, moved)]


def assert_equals_twin(images, *, template, search, step, prefilter="bandpass", min_valid=0.5):
    stack = as_stack(images)
    matcher = xoffset.NCC(min_valid=min_valid, flat_block=0)
    found = xoffset.correlate(
        stack, xoffset.pairs(stack), template=template, search=search, step=step, prefilter=prefilter, matcher=matcher
    ).isel(pair=0)
    images = [np.where(np.isfinite(image), image, np.nan) for image in images]
    expected = reference.correlate(
        *images, template=template, search=search, step=step, prefilter=prefilter, min_valid=min_valid
    )
    assert found.dx.dtype == np.float64
    np.testing.assert_array_equal(found["flags"], expected["flags"])
    # pixels of 1 m, y decreasing; the last step of the refinement is below 5e-4 px
    np.testing.assert_allclose(found["dx"], expected["dx"], atol=5e-4)
    np.testing.assert_allclose(-found["dy"], expected["dy"], atol=5e-4)
    # curvature of the score times the last step squared; largest at the steep edges of saturation
    np.testing.assert_allclose(found["score"], expected["score"], atol=2e-5)
    return found, expected


@pytest.mark.parametrize("spoil", ADVERSE, ids=name_of)
def test_correlate_equals_twin(spoil):
    found, expected = assert_equals_twin([spoil(image) for image in moving_pair()], template=12, search=4, step=7)
    np.testing.assert_allclose(found["peak_gap"], expected["peak_gap"], atol=EXACT)


@pytest.mark.parametrize(
    ("template", "search", "step"), [(8, 2, 3), (7, 3, 12), (16, 4, 16), (5, 2, 5), (9, 5, 6), (12, 1, 9)]
)
def test_correlate_equals_twin_on_any_grid(template, search, step):
    # little noise: the smallest windows may fail to converge in it
    assert_equals_twin(moving_pair(noise=0.01), template=template, search=search, step=step)


@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize(("template", "search", "step"), [(13, 4, 13), (14, 3, 7), (11, 5, 22), (7, 9, 3)])
def test_correlate_equals_twin_in_small_tiles(template, search, step, prefilter, monkeypatch):
    # tiles at every rim, blocks of odd and prime sides, nodes farther apart than templates are wide
    monkeypatch.setattr(lattice, "TILE", 16)
    images = moving_pair((44, 47), noise=0.01)
    assert_equals_twin(images, template=template, search=search, step=step, prefilter=prefilter)


@pytest.mark.small
@pytest.mark.parametrize("prefilter", ["bandpass", None])
@pytest.mark.parametrize("search", [1, 5])
def test_correlate_equals_twin_at_one_node(search, prefilter):
    side = 12 + 2 * search
    images = moving_pair((side, side), noise=0.01)
    found, _ = assert_equals_twin(images, template=12, search=search, step=search, prefilter=prefilter)
    assert ((found["flags"] & reference.OUTSIDE) == 0).sum() == 1


def test_correlate_equals_twin_with_a_range_of_each_node():
    images = moving_pair((40, 60), noise=0.01)
    stack = as_stack(images)
    halves = np.where(np.arange(60) < 30, 3, 5)
    search = xr.DataArray(np.tile(halves, (40, 1)), dims=("y", "x"), coords={"y": stack.y, "x": stack.x})
    matcher = xoffset.NCC(flat_block=0)
    found = xoffset.correlate(stack, xoffset.pairs(stack), template=9, search=search, step=7, matcher=matcher)[
        ["dx", "dy", "score", "flags"]
    ].isel(pair=0)
    here = halves[4 + 7 * np.arange(found.sizes["x"])]
    for half in (3, 5):
        expected = reference.correlate(*images, template=9, search=half, step=7)
        part = here == half
        np.testing.assert_array_equal(found["flags"][:, part], expected["flags"][:, part])
        np.testing.assert_allclose(found["dx"][:, part], expected["dx"][:, part], atol=5e-4)
        np.testing.assert_allclose(-found["dy"][:, part], expected["dy"][:, part], atol=5e-4)
        np.testing.assert_allclose(found["score"][:, part], expected["score"][:, part], atol=2e-5)


@pytest.mark.parametrize("spoil", [unchanged, one_hole, half_plane, offset], ids=name_of)
def test_correlate_equals_twin_without_prefilter(spoil):
    images = [spoil(image) for image in moving_pair()]
    assert_equals_twin(images, template=12, search=4, step=7, prefilter=None)


@pytest.mark.parametrize("min_valid", [0.2, 0.8, 1.0])
def test_correlate_equals_twin_for_any_share_of_valid_pixels(min_valid):
    pair = moving_pair(noise=0.01)
    images = [half_plane(pair[0]), random_holes(pair[1])]
    assert_equals_twin(images, template=12, search=4, step=7, min_valid=min_valid)


def test_correlate_dense():
    assert_equals_twin(moving_pair((26, 28), noise=0.01), template=9, search=3, step=1)


@pytest.mark.parametrize("template", [5, 6, 7])
def test_small_windows_of_a_noise_free_pair_converge(template):
    stack, _ = xoffset.synthetic.stack((128, 128), field="constant", velocity=13.3)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=template, search=4)
    assert not (shifts["flags"] & reference.REFINE_FAILED).any()


@pytest.mark.small
def test_correlate_equals_twin_on_a_tiny_image():
    assert_equals_twin(moving_pair((26, 27)), template=8, search=3, step=5)


@pytest.mark.parametrize("search", [1, 2, 3])
def test_gap_is_unknown_where_the_search_is_as_narrow_as_the_peak(search):
    stack = as_stack(moving_pair())
    assert np.isnan(xoffset.correlate(stack, xoffset.pairs(stack), template=12, search=search).peak_gap).all()


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_correlate_any_layout(layout):
    stack = as_stack([random_holes(image) for image in moving_pair()])
    network = xoffset.pairs(stack)
    other = stack.copy(data=layout(stack.values))
    found = xoffset.correlate(other, network, template=12, search=3)
    xr.testing.assert_identical(found, xoffset.correlate(stack, network, template=12, search=3))


@pytest.mark.parametrize("spoil", [unchanged, random_holes, half_plane, saturated, offset], ids=name_of)
@pytest.mark.parametrize("prefilter", ["bandpass", None])
def test_correlate_in_single_precision(spoil, prefilter):
    images = [spoil(image).astype(np.float32) for image in moving_pair()]
    found = [
        xoffset.correlate(stack, xoffset.pairs(stack), template=12, search=4, step=4, prefilter=prefilter)
        for stack in (as_stack(images, np.float32), as_stack(images))
    ]
    single, double = found
    assert single.dx.dtype == np.float32
    np.testing.assert_array_equal(single["flags"], double["flags"])
    for name in ("dx", "dy"):
        # float32 may stop one step of 5e-4 px earlier or later
        np.testing.assert_allclose(single[name], double[name], atol=1e-3)
    # without the pre-filter, a level 40 times the texture takes three bits more
    np.testing.assert_allclose(single["score"], double["score"], atol=2e-5 if prefilter else 3e-4)


# ----------------------------------------------------------------------------------------------------------- screening


def vectors(shape, seed=0):
    """A smooth field with noise, outliers and holes; its standard errors."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    dx, dy = (0.1 * part + 0.3 * generator.standard_normal(shape) for part in (rows, columns))
    dx[generator.random(shape) < 0.1] += 10.0
    dy[generator.random(shape) < 0.2] = np.nan
    # nodes that cannot have a vector
    dx[:, shape[1] - 1] = np.inf
    return dx, dy, generator.uniform(0.05, 0.5, shape)


@pytest.mark.small
@pytest.mark.parametrize("limit", [0.1, 1.0, 1e9])
@pytest.mark.parametrize("shape", [(9, 8), (3, 3), (1, 5), (6, 2)])
def test_disagrees(shape, limit):
    fields = vectors(shape)
    out = np.empty(shape, np.uint8)
    neighbours.disagrees(*fields, limit, out)
    np.testing.assert_array_equal(out, reference.disagrees(*fields, limit))


@pytest.mark.parametrize("seed", range(5))
def test_disagrees_on_larger_maps(seed):
    fields = vectors((25, 31), seed)
    out = np.empty((25, 31), np.uint8)
    neighbours.disagrees(*fields, 1.0, out)
    np.testing.assert_array_equal(out, reference.disagrees(*fields, 1.0))
    assert 0.05 < out.mean() < 0.5


@pytest.mark.parametrize("layout", LAYOUTS, ids=name_of)
def test_disagrees_any_layout(layout):
    fields = vectors((9, 8))
    out = np.empty((9, 8), np.uint8)
    neighbours.disagrees(*map(layout, fields), 1.0, out)
    np.testing.assert_array_equal(out, reference.disagrees(*fields, 1.0))


@pytest.mark.small
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(7, 8), (1, 5), (4, 1), (1, 1)])
def test_vector_median(shape, missing):
    generator = np.random.default_rng(2)
    field = generator.standard_normal((*shape, 2))
    field[generator.random(field.shape) < missing / 2] = np.nan
    field[generator.random(shape) < missing / 2] = np.inf
    if missing == 1.0:
        field[..., 0] = np.nan
    out = np.empty_like(field)
    neighbours.vector_median(field, out)
    np.testing.assert_array_equal(out, reference.vector_median(field))


@pytest.mark.small
def test_vector_median_of_whole_pixels():
    # many vectors are alike: the first of the best
    field = np.random.default_rng(2).integers(-1, 2, (9, 9, 2)).astype(float)
    out = np.empty_like(field)
    neighbours.vector_median(field, out)
    np.testing.assert_array_equal(out, reference.vector_median(field))


@pytest.mark.small
def test_vector_median_passes_over_an_outlier_and_fills_a_hole():
    field = np.broadcast_to([2.0, -3.0], (5, 6, 2)).copy()
    field[2, 2], field[3, 4] = [40.0, 7.0], np.nan
    out = np.empty_like(field)
    neighbours.vector_median(field, out)
    assert (out == [2.0, -3.0]).all()


def ways(shape=(8, 9), seed=0):
    """Displacements there and back, and their variances (2, rows, columns), with gaps, in px."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    shift = np.stack([6.0 + 0.5 * columns, -3.0 + 0.4 * rows * columns / shape[1]])
    shift += 0.05 * generator.standard_normal(shift.shape)
    back = -shift + generator.normal(0.0, 1.0, shift.shape)
    variance = generator.uniform(0.0, 0.1, shift.shape)
    for field in (*shift, *back):
        field[generator.random(shape) < 0.08] = np.nan
    shift[:, :, shape[1] - 1] = np.inf
    return shift, back, variance


@pytest.mark.small
@pytest.mark.parametrize("layout", [unchanged, *LAYOUTS], ids=name_of)
@pytest.mark.parametrize("step", [1, 4, 16])
@pytest.mark.parametrize("shape", [(8, 9), (1, 7), (6, 2)])
def test_fails_to_come_back(shape, step, layout):
    shift, back, variance = ways(shape)
    out = np.full(shape, 7, np.uint8)
    neighbours.fails_to_come_back(*map(layout, (*shift, *back, *variance)), step, out)
    expected = reference.fails_to_come_back(shift, back, variance, step)
    np.testing.assert_array_equal(out, expected)
    assert 0.0 < expected.mean() < 0.95 or shape != (8, 9)


@pytest.mark.small
def test_what_comes_back_over_strained_ground_is_kept():
    # ground that moves by 1.05 of its place: the way back from x starts at x/1.05
    x = np.broadcast_to(8.0 * np.arange(20), (5, 20))
    shift, back = 0.05 * (x + 400.0), -0.05 / 1.05 * (x + 400.0)
    zero, out = np.zeros(x.shape), np.empty(x.shape, np.uint8)
    assert np.abs(shift + back).min() > 0.9
    neighbours.fails_to_come_back(shift, zero, back, zero, zero, zero, 8, out)
    assert not out.any()
    # of ground that moves alike it is not
    neighbours.fails_to_come_back(0.0 * x + 20.0, zero, 0.0 * x - 19.0, zero, zero, zero, 8, out)
    assert out.all()


# --------------------------------------------------------------------------------------------------------------- scene

NO_GEOMETRY = np.empty((2, 0, 0))


@pytest.mark.small
@pytest.mark.parametrize(
    ("amplitude", "shift"), [((0.0, 0.0), (0.0, 0.0)), ((0.0, 0.0), (0.37, -2.6)), ((0.8, -0.5), (0.0, 0.3))]
)
def test_render(amplitude, shift):
    spline = texture((20, 24), sigma=2.0)
    shape = np.random.default_rng(6).random((5, 6))
    shape[:2] = 0.0
    out = np.empty((5, 6))
    warp.render(spline, 4, out[:0], shape, amplitude[1], amplitude[0], shift[1], shift[0], NO_GEOMETRY, out)
    # fixed-point iterations stop at 1e-6 px, a texture of slope about 1 per fine pixel
    np.testing.assert_allclose(out, reference.photograph(spline, 4, shape, amplitude, shift), atol=1e-5)


@pytest.mark.small
def test_render_with_a_shift_of_each_pixel():
    spline = texture((20, 24), sigma=2.0)
    generator = np.random.default_rng(6)
    shape, geometry, out = generator.random((5, 6)), generator.normal(size=(2, 5, 6)), np.empty((5, 6))
    warp.render(spline, 4, out[:0], shape, -0.5, 0.8, 0.3, -0.7, geometry, out)
    shift = geometry[::-1] + np.array([-0.7, 0.3])[:, None, None]
    np.testing.assert_allclose(out, reference.photograph(spline, 4, shape, (0.8, -0.5), shift), atol=1e-5)


@pytest.mark.small
def test_render_copies_what_does_not_move():
    still = np.arange(30.0).reshape(5, 6)
    out = np.empty((5, 6))
    warp.render(texture((20, 24)), 4, still, np.zeros((5, 6)), 3.0, 3.0, 0.0, 0.0, NO_GEOMETRY, out)
    np.testing.assert_array_equal(out, still)
