"""Slope, aspect and shadows against the plane, the cone and the ridge, whose formulas are known."""

import itertools

import numpy as np
import pyproj
import pytest
import reference_terrain
import xarray as xr
from scipy.ndimage import binary_dilation, gaussian_filter

from xoffset import masking
from xoffset.model import grids

SIDE = 10.0
AZIMUTHS = (0.0, 27.0, 45.0, 90.0, 118.0, 180.0, 201.0, 270.0, 333.0)


def dem(function, shape=(121, 121), side=SIDE, upwards=False, crs=None):
    """Heights by a function of x and y, which are 0 in the middle; rows run down unless told otherwise."""
    y, x = (side * (np.arange(size) - size // 2) for size in shape)
    y = y if upwards else -y
    heights = xr.DataArray(
        function(*np.meshgrid(x, y)).astype("float64"), dims=("y", "x"), coords={"y": y, "x": x}, name="dem"
    )
    return heights if crs is None else heights.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS.from_epsg(crs)))


def toward(azimuth):
    return np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))


def hills(shape=(90, 101), seed=0, height=70.0):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 6)
    return xr.DataArray(
        (height * noise / noise.std()).astype("float32"),
        dims=("y", "x"),
        coords={"y": -SIDE * np.arange(shape[0]), "x": SIDE * np.arange(shape[1])},
    )


def inner(data, margin=1):
    return data.values[..., margin:-margin, margin:-margin]


# ---------------------------------------------------------------------------------------------------- slope and aspect


@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_plane(azimuth, upwards):
    """It falls toward the azimuth by 35 degrees."""
    east, north = toward(azimuth)
    plane = dem(lambda x, y: 500.0 - np.tan(np.radians(35.0)) * (east * x + north * y), (9, 11), upwards=upwards)
    np.testing.assert_allclose(inner(masking.slope(plane)), 35.0, rtol=1e-12)
    off = (inner(masking.aspect(plane)) - azimuth + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(off, 0.0, atol=1e-9)
    for data in (masking.slope(plane), masking.aspect(plane)):
        assert data.dtype == "float64"
        assert np.isnan(data.values[[0, -1]]).all()
        assert np.isnan(data.values[:, [0, -1]]).all()


def test_cone():
    cone = dem(lambda x, y: 2000.0 - np.tan(np.radians(30.0)) * np.hypot(x, y))
    x, y = np.meshgrid(cone.x, cone.y)
    far = inner(xr.DataArray(np.hypot(x, y) > 80.0))
    assert np.abs(inner(masking.slope(cone)) - 30.0)[far].max() < 0.25
    direction = inner(xr.DataArray(np.degrees(np.arctan2(x, y))))
    off = (inner(masking.aspect(cone)) - direction + 180.0) % 360.0 - 180.0
    assert np.abs(off)[far].max() < 0.25
    # the top has no direction
    assert np.isnan(masking.aspect(cone).values[60, 60])


@pytest.mark.small
@pytest.mark.parametrize(("along_x", "along_y"), [(10.0, -10.0), (30.0, -20.0), (5.0, 8.0)])
def test_slope_and_aspect_are_those_of_the_twin(along_x, along_y):
    land = hills((23, 31)).astype("float64")
    land = land.assign_coords(x=along_x * np.arange(31), y=along_y * np.arange(23))
    land[4, 5], land[20, 30], land[10:12, 8] = np.nan, np.inf, -9999.0
    known = land.where(np.abs(land) < 9000.0)
    slope, aspect = reference_terrain.horn(known.values, along_x, along_y)
    np.testing.assert_allclose(masking.slope(land), slope, rtol=1e-12)
    np.testing.assert_allclose(masking.aspect(land), aspect, rtol=1e-12)


@pytest.mark.small
def test_level_ground_has_no_aspect():
    flat = dem(lambda x, y: 0.0 * x, (5, 5))
    np.testing.assert_array_equal(inner(masking.slope(flat)), 0.0)
    assert np.isnan(masking.aspect(flat)).all()


def test_types_units_and_holes_of_any_loader():
    land = hills((20, 24)).round()
    hole = land.copy()
    hole[7, 9] = np.nan
    wanted = masking.slope(hole)
    assert wanted.dtype == "float32"
    assert np.isnan(inner(wanted)).sum() == 9
    declared = land.astype("int16").copy()
    declared[7, 9] = 30_000
    in_feet = (hole / 0.3048).assign_attrs(units="ft")
    for given in (
        declared.assign_attrs(_FillValue=30_000),
        hole.expand_dims("band"),
        hole.transpose("x", "y"),
        hole.fillna(-32768.0).astype("int16"),
    ):
        xr.testing.assert_identical(masking.slope(given), wanted)
    np.testing.assert_allclose(masking.slope(in_feet), wanted, atol=1e-4)


@pytest.mark.small
@pytest.mark.parametrize(
    "fill", [-9999, -10_000, -32_767, -32_768, -99_999, -100_000, 9999, 32_767, 65_535, -3.4e38, 3.4e38, np.inf]
)
def test_numbers_that_no_ground_has_are_holes(fill, caplog):
    """Declared or not, in memory or not: as NaN is, and those that are no known fill are told of."""
    land = hills((40, 44)) + 1000.0
    hole = land.copy()
    hole[10:25, 10:25] = fill
    with caplog.at_level("WARNING"):
        found = masking.slope(hole)
    xr.testing.assert_identical(found, masking.slope(land.where(hole == land)))
    np.testing.assert_array_equal(masking.slope(hole.chunk(y=11)), found)
    assert np.isnan(found[9:26, 9:26]).all()
    shadow = masking.cast_shadow(hole, sun_azimuth=180.0, sun_elevation=40.0)
    assert shadow[10:25, 10:25].all()
    assert ("225 pixels have elevations that no ground has" in caplog.text) == (
        fill in (-100_000, 9999, 32_767, 65_535, -3.4e38, 3.4e38)
    )


@pytest.mark.small
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("dtype", "fill", "attrs"),
    [
        ("float32", -9999, {"units": "ft"}),
        ("float64", -32_768, {"units": "cm"}),
        ("int16", -32_768, {"scale_factor": 0.1}),
        ("int16", 32_767, {"scale_factor": 0.1}),
        ("uint16", 65_535, {"scale_factor": 0.1, "add_offset": -500.0}),
        ("int32", -9999, {"scale_factor": 0.5, "add_offset": 4500.0}),
        ("int16", -9999, {"scale_factor": 0.1, "_FillValue": -32_768}),
    ],
)
def test_holes_are_known_by_what_was_stored(lazy, dtype, fill, attrs):
    """No scale or unit makes ground of them."""
    stored = (hills((40, 44)) + 4000.0).astype(dtype)
    if "_FillValue" in attrs:
        stored[0, 0] = attrs["_FillValue"]
    stored[10:25, 10:25] = fill
    stored = stored.assign_attrs(attrs)
    slope = masking.slope(stored.chunk(y=11) if lazy else stored).values
    assert np.isnan(slope[9:26, 9:26]).all()
    assert np.isnan(slope[1:-1, 1:-1]).sum() <= 17 * 17 + 1


def test_zeros_in_lazy_elevations_are_refused_when_they_are_computed():
    land = hills((60, 64)) + 1000.0
    land[10:35, 10:35] = 0.0
    sun = {"sun_azimuth": 180.0, "sun_elevation": 40.0}
    for function in (masking.slope, masking.aspect, masking.slope_mask, lambda dem: masking.cast_shadow(dem, **sun)):
        for chunks in ({"y": 60, "x": 64}, {"y": 17, "x": 23}):
            lazy = function(land.chunk(chunks))
            with pytest.raises(ValueError, match=r"pixels of 0 m where no other is within.*dem\.where\(dem != 0\)"):
                lazy.compute()
        # the sea is no hole where there is a coast
        coast = land.where(land > 0, 0.0)
        coast[9:36, 9], coast[9:36, 35], coast[9, 9:36], coast[35, 9:36] = 20.0, 20.0, 20.0, 20.0
        for chunks in ({"y": 60, "x": 64}, {"y": 17, "x": 23}, {"y": 10, "x": 10}):
            np.testing.assert_array_equal(function(coast.chunk(chunks)), function(coast))


@pytest.mark.parametrize("number", [0.0, -1.0, -99.0, -999.0, 255.0])
@pytest.mark.parametrize("chunks", [None, {"y": 30, "x": 32}, {"y": 17, "x": 64}])
def test_a_tile_that_is_missing_is_no_level_ground(number, chunks):
    """Whether it fills a chunk or not."""
    land = hills((60, 64)) + 1000.0
    land[:30, :32] = number
    if number == 255.0:
        land = land.astype("int16")
    land = land if chunks is None else land.chunk(chunks)
    with pytest.raises(ValueError, match=rf"pixels of {number:g} m .*Say so: dem\.where\(dem != {number:g}\)"):
        masking.slope(land).compute()


def test_elevations_of_other_units_are_no_holes():
    with pytest.raises(ValueError, match=r"in metres, -12000 to 9000; got .*units='cm'"):
        masking.slope(100.0 * (hills() + 1000.0))


@pytest.mark.parametrize("chunks", [{"y": 60, "x": 64}, {"y": 17, "x": 23}])
def test_lazy_elevations_of_other_units_are_refused_when_they_are_computed(chunks):
    land = hills((60, 64)) + 3000.0
    land[:9] = -9999.0
    sun = {"sun_azimuth": 180.0, "sun_elevation": 40.0}
    for function in (masking.slope, masking.aspect, masking.slope_mask, lambda dem: masking.cast_shadow(dem, **sun)):
        for factor in (10.0, 100.0, 1000.0):
            lazy = function(land.where(land < 0, factor * land).chunk(chunks))
            with pytest.raises(ValueError, match=r"in metres, -12000 to 9000; got .*units='cm'"):
                lazy.compute()


@pytest.mark.parametrize("fill", [-9999.0, np.nan, -3.4028235e38, 1e20, 65535.0])
def test_blocks_of_fills_alone_are_holes(fill):
    """Whether anybody told of them or not; a block may hold two of them."""
    land = hills((60, 64)) + 1000.0
    land[:20], land[20:40, :20], land[30, 5] = fill, fill, -32768.0
    expected = masking.slope(land)
    assert expected[:19].isnull().all()
    assert expected[41:-1, 1:-1].notnull().all()
    np.testing.assert_array_equal(masking.slope(land.chunk(y=10, x=20)), expected)


def test_the_date_of_a_model_is_not_that_of_the_sun():
    angles = xr.DataArray([20.0, 40.0], dims="time")
    dated = hills().assign_coords(time=np.datetime64("2015-01-01", "us"))
    for given in (dated, dated.expand_dims("time"), hills()):
        found = masking.cast_shadow(given, sun_azimuth=160.0, sun_elevation=angles)
        assert found.dims == ("time", "y", "x")
        assert "time" not in found.coords
    assert "time" not in masking.cast_shadow(dated, sun_azimuth=160.0, sun_elevation=30.0).coords


def test_slope_mask():
    walls = dem(lambda x, y: np.where(x > 0, 8.0 * x, 0.2 * x), (9, 21))
    walls[2, 3] = np.nan
    usable = masking.slope_mask(walls)
    slope = masking.slope(walls)
    np.testing.assert_array_equal(usable, slope < 80.0)
    assert 0.2 < usable.mean() < 0.8
    np.testing.assert_array_equal(masking.slope_mask(walls, removed=(0, 20)), slope > 20.0)
    assert usable.dtype == bool
    assert usable.name == "usable"


# ------------------------------------------------------------------------------------------------------------- shadows


def near_edges(shadow, pixels=2):
    """Pixels that are next to the edge of a shadow."""
    cross = np.ones((2 * pixels + 1, 2 * pixels + 1), bool)
    return binary_dilation(shadow, cross) & binary_dilation(~shadow, cross)


@pytest.mark.parametrize("azimuth", AZIMUTHS)
@pytest.mark.parametrize("upwards", [False, True])
def test_cone_in_the_sun(azimuth, upwards):
    """Its back is dark where it is steeper than the light; its shadow is the wedge from its foot to that of its top."""
    height, elevation, steepness = 200.0, 25.0, 40.0
    foot = height / np.tan(np.radians(steepness))
    cone = dem(lambda x, y: np.maximum(height - np.tan(np.radians(steepness)) * np.hypot(x, y), 0.0), upwards=upwards)
    x, y = np.meshgrid(cone.x, cone.y)
    east, north = toward(azimuth)
    radius, ahead = np.hypot(x, y), -(east * x + north * y)
    ratio = np.tan(np.radians(elevation)) / np.tan(np.radians(steepness))
    on_cone = (radius < foot) & (ahead > ratio * radius)
    # tangents from the shadow of the top to the foot
    tip = height / np.tan(np.radians(elevation))
    across = np.abs(east * y - north * x)
    wedge = (ahead > foot * ratio) & (across < (tip - ahead) * np.tan(np.arcsin(foot / tip))) & (radius >= foot)
    truth = on_cone | wedge
    found = masking.cast_shadow(cone, sun_azimuth=azimuth, sun_elevation=elevation)
    assert found.dtype == bool
    wrong = found.values != truth
    assert not (wrong & ~near_edges(truth)).any()
    assert wrong.sum() < 0.05 * truth.sum()
    # next to the shadow, not in it: the error has no side
    assert abs(int(found.sum()) - int(truth.sum())) < 0.04 * truth.sum()


@pytest.mark.parametrize("strike", [0.0, 25.0, 70.0, 90.0])
@pytest.mark.parametrize("off", [0.0, 40.0])
def test_ridge(strike, off):
    """A ridge as long as the grid; its shadow is as wide as the light that passes its crest lets it be."""
    height, elevation = 150.0, 20.0
    normal = strike + 90.0
    across = toward(normal)
    ridge = dem(
        lambda x, y: np.maximum(height - np.tan(np.radians(50.0)) * np.abs(across[0] * x + across[1] * y), 0.0),
        (161, 161),
    )
    shadow = masking.cast_shadow(ridge, sun_azimuth=normal + off, sun_elevation=elevation)
    x, y = np.meshgrid(ridge.x, ridge.y)
    behind = -(across[0] * x + across[1] * y)
    width = height / np.tan(np.radians(elevation)) * np.cos(np.radians(off))
    # what casts it is on the grid
    there = np.hypot(x, y) < 350.0
    off_edge = np.minimum(np.abs(behind), np.abs(behind - width))
    truth = (behind > 0) & (behind < width)
    assert not ((shadow.values != truth) & there & (off_edge > SIDE)).any()
    assert (truth & there).sum() > 500


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_a_plane_that_faces_away_is_dark(azimuth):
    """What no sun can reach is dark however long its shadow is; a plane flatter than the light is not."""
    east, north = toward(azimuth + 180.0)
    for angle, is_dark in ((29.0, False), (31.0, True)):
        plane = dem(lambda x, y, a=angle: -np.tan(np.radians(a)) * (east * x + north * y), (31, 31))
        shadow = masking.cast_shadow(plane, sun_azimuth=azimuth, sun_elevation=30.0)
        assert (inner(shadow) == is_dark).all()


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_shadows_are_those_of_rays(azimuth):
    land = hills()
    found = masking.cast_shadow(land, sun_azimuth=azimuth, sun_elevation=22.0)
    step = SIDE / max(map(abs, toward(azimuth)))
    truth = reference_terrain.shadows(land.values, azimuth, 22.0, SIDE, -SIDE, step)
    assert 0.2 < truth.mean() < 0.7
    assert (found.values != truth).mean() < 0.01
    assert not ((found.values != truth) & ~near_edges(truth)).any()


@pytest.mark.small
def test_holes_are_dark_and_hide_nothing():
    wall = dem(lambda x, y: 95.0 * (x == 0), (9, 41))
    wall[3] = wall[3].where(np.abs(wall.x) != 0)
    wall[6, 30:33] = np.nan
    shadow = masking.cast_shadow(wall, sun_azimuth=270.0, sun_elevation=45.0)
    expected = np.zeros((9, 41), bool)
    expected[:, 21:30] = True
    expected[3] = wall.x == 0
    expected[6, 30:33] = True
    np.testing.assert_array_equal(shadow, expected)


def test_each_date_has_its_sun():
    times = np.array(["2020-01-01", "2020-06-01", "2020-08-01"], "M8[us]")
    azimuth = xr.DataArray([160.0, 80.0, 260.0], dims="time", coords={"time": times})
    elevation = xr.DataArray([15.0, 60.0, 30.0], dims="time", coords={"time": times})
    shadows = masking.cast_shadow(hills(), sun_azimuth=azimuth, sun_elevation=elevation)
    assert shadows.dims == ("time", "y", "x")
    np.testing.assert_array_equal(shadows.time, times)
    for k, time in enumerate(times):
        one = masking.cast_shadow(hills(), sun_azimuth=float(azimuth[k]), sun_elevation=float(elevation[k]))
        np.testing.assert_array_equal(shadows.sel(time=time), one)
    turned = [np.deg2rad(each).assign_attrs(units="radian") for each in (azimuth, elevation)]
    in_radians = masking.cast_shadow(hills(), sun_azimuth=turned[0], sun_elevation=turned[1])
    np.testing.assert_array_equal(in_radians, shadows)
    fixed = masking.cast_shadow(hills(), sun_azimuth=200.0, sun_elevation=elevation)
    assert fixed.sizes["time"] == 3


@pytest.mark.parametrize(
    ("code", "x", "y"), [(32632, 150_000.0, 7_500_000.0), (32733, 800_000.0, 5_200_000.0), (3413, 9e5, -2e6)]
)
def test_azimuths_count_from_true_north(code, x, y):
    """Grid north is east of true north where the meridian of the zone lies in the west, north of the equator."""
    land = hills().assign_coords(x=x + SIDE * np.arange(101), y=y - SIDE * np.arange(90))
    on_grid = land.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS.from_epsg(code)))
    projection = pyproj.Proj(code)
    place = projection(x + 50 * SIDE, y - 44.5 * SIDE, inverse=True)
    convergence = projection.get_factors(*place).meridian_convergence
    assert abs(convergence) > 1.5
    turned = masking.cast_shadow(on_grid, sun_azimuth=140.0, sun_elevation=25.0)
    np.testing.assert_array_equal(
        turned, masking.cast_shadow(land, sun_azimuth=140.0 - convergence, sun_elevation=25.0)
    )
    assert (turned != masking.cast_shadow(land, sun_azimuth=140.0, sun_elevation=25.0)).any()


# --------------------------------------------------------------------------------------------------------------- chunks


@pytest.mark.parametrize("chunks", [(90, 101), (17, 40), (1, 101), (90, 1), (64, 64)])
def test_bits_do_not_depend_on_chunks(chunks):
    land = hills()
    land[40:44, 50:60] = np.nan
    lazy = land.chunk(dict(zip("yx", chunks, strict=True)))
    for function in (masking.slope, masking.aspect, masking.slope_mask):
        found = function(lazy)
        assert found.chunks == lazy.chunks
        xr.testing.assert_identical(found.compute(), function(land))
    for azimuth, elevation in itertools.product((0.0, 75.0, 200.0), (12.0, 40.0)):
        found = masking.cast_shadow(lazy, sun_azimuth=azimuth, sun_elevation=elevation)
        assert found.chunks == lazy.chunks
        xr.testing.assert_identical(
            found.compute(), masking.cast_shadow(land, sun_azimuth=azimuth, sun_elevation=elevation)
        )


# ----------------------------------------------------------------------------------------------------------------- real


@pytest.mark.data
def test_mount_baker(data_folder):
    """A volcano: it falls to all sides, at the angle of repose and less, and winter light leaves its north dark."""
    land = xr.open_dataarray(data_folder / "dem_and_masks" / "cop30_mt_baker.tif", engine="rasterio")
    slope, aspect = masking.slope(land), masking.aspect(land)
    shadow = masking.cast_shadow(land, sun_azimuth=165.0, sun_elevation=18.0)
    assert 20.0 < float(slope.mean()) < 35.0
    assert float(slope.max()) < 80.0
    north, south = (np.cos(np.radians(aspect)) * sign > 0.7 for sign in (1, -1))
    steep = slope > 25.0
    assert shadow.values[(north & steep).values].mean() > 0.9
    assert shadow.values[(south & steep).values].mean() < 0.4
    turned = 165.0 - pyproj.Proj(32610).get_factors(-121.82, 48.78).meridian_convergence
    truth = reference_terrain.shadows(
        land.squeeze().values[:200, :200], turned, 18.0, SIDE, -SIDE, SIDE / np.cos(np.radians(180.0 - turned))
    )
    part = masking.cast_shadow(land[..., :200, :200], sun_azimuth=165.0, sun_elevation=18.0)
    assert (truth != part.values).mean() < 0.015
    # what lies toward the sun from there is not in the part
    assert (part.values & ~shadow.values[:200, :200]).mean() < 0.01
