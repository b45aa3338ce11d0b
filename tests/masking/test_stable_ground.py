"""Stable ground from polygons, rasters and the terrain: what each says, pixel by pixel, and all of them together."""

import json
import logging

import numpy as np
import pyproj
import pytest
import xarray as xr
from reference_polygons import inside as winds_round

import xoffset
from xoffset import masking
from xoffset.model import grids

UTM = pyproj.CRS.from_epsg(32632)
X, Y = 600_000.0, 5_200_000.0
RING = np.array([[151.3, 140.4], [422.1, 183.7], [380.6, 419.2], [257.9, 303.1], [122.4, 431.8]])


def grid(side=10.0, size=(60, 64), crs=UTM, dates=None):
    """Zeros whose first corner is at (X, Y), rows southwards."""
    rows, columns = size
    coords = {"y": Y - side * (np.arange(rows) + 0.5), "x": X + side * (np.arange(columns) + 0.5)}
    data = xr.DataArray(np.zeros(size, "float32"), dims=("y", "x"), coords=coords, name="image")
    data = data if dates is None else data.expand_dims(time=np.array(dates, "M8[us]"))
    return data if crs is None else data.assign_coords(spatial_ref=grids.spatial_ref(crs))


def places(like):
    return np.column_stack([each.ravel() for each in np.meshgrid(like.x - X, Y - like.y)])


def polygon(ring=RING, crs="EPSG:32632"):
    corners = np.column_stack([X + ring[:, 0], Y - ring[:, 1]])
    if crs is None:
        corners = np.column_stack(pyproj.Transformer.from_crs(UTM, 4326, always_xy=True).transform(*corners.T))
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    return {"type": "Polygon", "coordinates": [[*corners.tolist(), corners[0].tolist()]]} | named


def in_ring(like, ring=RING):
    return winds_round(ring, places(like)).reshape(like.shape[-2:])


def distance(like, ring=RING):
    """Distance [m] of pixel centres from an outline, 0 inside."""
    points = places(like)
    found = np.full(len(points), np.inf)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        way = end - start
        share = np.clip((points - start) @ way / (way @ way), 0.0, 1.0)
        found = np.minimum(found, np.hypot(*(points - start - share[:, None] * way).T))
    return np.where(winds_round(ring, points), 0.0, found).reshape(like.shape[-2:])


def raster(like, values):
    return like.copy(data=values)


# ------------------------------------------------------------------------------------------------------------- polygons


@pytest.mark.parametrize("crs", ["EPSG:32632", None])
def test_stable_polygons(crs, tmp_path):
    """Of any CRS: longitudes and latitudes are turned."""
    like = grid()
    (tmp_path / "stable.geojson").write_text(json.dumps(polygon(crs=crs)))
    stable = masking.stable_ground(like, polygons=tmp_path / "stable.geojson")
    np.testing.assert_array_equal(stable, in_ring(like))
    assert (stable.name, stable.dims, stable.dtype) == ("stable", ("y", "x"), bool)
    assert grids.agree(grids.crs_of(stable), UTM)


@pytest.mark.small
@pytest.mark.parametrize("buffer", [0.0, 5.0, 35.0, 120.0])
@pytest.mark.parametrize("turn", [0.0, 0.4, 1.9])
def test_moving_polygons_with_a_buffer(buffer, turn):
    """By the distance of each pixel from the outline."""
    like = grid()
    turned = 280.0 + (RING - 280.0) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    stable = masking.stable_ground(like, moving=polygon(turned), buffer=buffer)
    np.testing.assert_array_equal(stable, distance(like, turned) > buffer)


def test_a_buffer_of_a_kilometre_unless_told_otherwise(caplog):
    like = grid(40.0)
    stable = masking.stable_ground(like, moving=polygon(0.1 * RING))
    np.testing.assert_array_equal(stable, distance(like, 0.1 * RING) > 1000.0)
    assert 0.2 < stable.mean() < 0.9
    with caplog.at_level(logging.WARNING):
        assert not masking.stable_ground(grid(), moving=polygon(), polygons=polygon()).any()
    assert "no ground is stable by all that was given; each alone leaves: polygons 1" in caplog.text


def test_moving_ground_beside_the_grid_counts_with_its_buffer():
    like = grid()
    beside = RING - [500.0, 0.0]
    stable = masking.stable_ground(like, moving=polygon(beside), buffer=150.0)
    np.testing.assert_array_equal(stable, distance(like, beside) > 150.0)
    assert 0.0 < stable.mean() < 1.0
    with pytest.raises(ValueError, match=r"needs moving that reach the grid.*Check the CRS"):
        masking.stable_ground(like, moving=polygon(beside), buffer=10.0)


def test_several_sources():
    like = grid()
    other = RING * 0.3 + 400.0
    both = masking.stable_ground(like, moving=[polygon(), polygon(other, crs=None)], buffer=20.0)
    np.testing.assert_array_equal(both, np.minimum(distance(like), distance(like, other)) > 20.0)


# -------------------------------------------------------------------------------------------------------------- rasters


def test_masks_of_moving_ground():
    like = grid()
    moving = raster(like, in_ring(like))
    np.testing.assert_array_equal(masking.stable_ground(like, moving=moving, buffer=0.0), ~in_ring(like))
    # up to the sides of the pixels that move
    far = np.hypot(*(places(like)[:, None] - places(like)[in_ring(like).ravel()]).T).T.min(axis=1).reshape(like.shape)
    np.testing.assert_array_equal(masking.stable_ground(like, moving=moving, buffer=60.0), far > 65.0)
    np.testing.assert_array_equal(masking.stable_ground(like, polygons=moving), in_ring(like))


def test_masks_of_another_grid_are_laid_on_by_position(caplog):
    like, coarse = grid(), grid(40.0, (10, 16))
    moving = raster(coarse, in_ring(coarse))
    with caplog.at_level(logging.INFO):
        stable = masking.stable_ground(like, moving=moving, buffer=0.0)
    assert "moving lies on another grid" in caplog.text
    expected = np.zeros((60, 64), bool)
    expected[:40] = np.kron(~moving.values, np.ones((4, 4), bool))
    # the raster ends at row 40: what lies beyond is not known
    np.testing.assert_array_equal(stable, expected)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("crs", "step"), [(3857, 30.0), (4326, 0.0003), (32633, 30.0), (2062, 20.0), ("EPSG:2229", 60.0), (32632, 30.0)]
)
def test_buffers_are_metres_of_the_grid_whatever_the_raster_has(crs, step, lazy):
    """Of Mercator, degrees, feet; from each pixel that moves, up to a few pixels."""
    like, side = grid(size=(260, 260)), 10.0
    if crs == "EPSG:2229":
        los_angeles = pyproj.CRS.from_epsg(32611)
        like = grid(size=(260, 260), crs=los_angeles).assign_coords(
            x=380_000.0 + side * np.arange(260), y=3_770_000.0 - side * np.arange(260)
        )
    crs = pyproj.CRS.from_user_input(crs)
    turn = pyproj.Transformer.from_crs(grids.crs_of(like), crs, always_xy=True)
    places = np.stack(np.meshgrid(like.x, like.y))
    there = np.stack(turn.transform(*places))
    x, y = (np.arange(each.min() - 9 * step, each.max() + 9 * step, step) for each in there)
    moves = np.zeros((y.size, x.size), bool)
    moves[y.size // 3, x.size // 2] = moves[y.size // 2 + 3, x.size // 5] = True
    moving = xr.DataArray(moves, dims=("y", "x"), coords={"y": y, "x": x, "spatial_ref": grids.spatial_ref(crs)})
    found = masking.stable_ground(
        like.chunk(y=99) if lazy else like, moving=moving.chunk(x=77) if lazy else moving, buffer=400.0
    )
    rows, columns = np.nonzero(moves)
    centres = np.stack(turn.transform(x[columns], y[rows], direction="INVERSE"))
    away = np.hypot(*(places[:, None] - centres[:, :, None, None])).min(axis=0)
    assert not found.values[away <= 400.0].any()
    assert found.values[away > 400.0 + 45.0].all()


def test_buffers_of_coordinates_in_kilometres():
    like = grid()
    moving = raster(like, in_ring(like))
    kilometres = moving.assign_coords({name: (name, like[name].values / 1000.0, {"units": "km"}) for name in "yx"})
    np.testing.assert_array_equal(
        masking.stable_ground(like, moving=kilometres, buffer=60.0),
        masking.stable_ground(like, moving=moving, buffer=60.0),
    )


@pytest.mark.parametrize("buffer", [0.0, 0.05])
def test_outlines_between_the_pixels_are_refused_of_lazy_grids_too(buffer):
    between = polygon(np.array([[300.2, 300.2], [300.9, 300.2], [300.9, 300.9]]))
    for like in (grid(), grid().chunk(y=7)):
        with pytest.raises(ValueError, match=r"moving that hold the centre of a pixel.*Draw them wider"):
            masking.stable_ground(like, moving=between, buffer=buffer)
        assert not masking.stable_ground(like, moving=between, buffer=10.0).all()


@pytest.mark.parametrize("water", [0, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_land_glaciers_and_water_in_both_legends(water, dtype):
    like = grid()
    classes = raster(like, np.ones(like.shape, dtype))
    classes[:20] = 0
    classes[20:30] = water
    expected = np.ones(like.shape, bool)
    expected[:30] = False
    np.testing.assert_array_equal(masking.stable_ground(like, classes=classes), expected)
    # holes, declared or NaN, are not land
    expected[50] = False
    classes[50] = 99 if dtype != "float32" else np.nan
    holed = classes if dtype == "float32" else classes.assign_attrs(_FillValue=99)
    np.testing.assert_array_equal(masking.stable_ground(like, classes=holed.expand_dims("band")), expected)


def test_classes_that_bear_names():
    like = grid()
    numbers = np.arange(like.size, dtype="uint8").reshape(like.shape) % 4
    named = raster(like, numbers).assign_attrs(flag_values=[3, 1, 2], flag_meanings="land ocean ice")
    np.testing.assert_array_equal(masking.stable_ground(like, classes=named), numbers == 3)

    # as files have them
    told = {"flag_values": "3b, 1b, 2b", "flag_meanings": "Land Ocean Ice"}
    np.testing.assert_array_equal(masking.stable_ground(like, classes=named.assign_attrs(told)), numbers == 3)
    with pytest.raises(ValueError, match=r"got a\. Correct|whole numbers .*; got 'a'\. Correct"):
        masking.stable_ground(like, classes=named.assign_attrs(flag_values="a b c"))
    with pytest.raises(ValueError, match=r"one for each of the 3 flag_meanings; got 2\. Correct"):
        masking.stable_ground(like, classes=named.assign_attrs(flag_values=[1, 0]))
    with pytest.raises(ValueError, match=r"got bits, flag_masks\. Translate"):
        masking.stable_ground(like, classes=named.assign_attrs(flag_masks=[1, 2, 4]))


@pytest.mark.parametrize("name", ["SCL", "qa_pixel", "T32TMT_fmask"])
def test_layers_of_images_are_no_raster_of_land(name):
    """1 is a defective pixel of the scene classification, and fill of the bits of Landsat."""
    like = grid()
    with pytest.raises(ValueError, match=rf"got {name.lower()}, whose numbers mean something else\. Translate"):
        masking.stable_ground(like, classes=raster(like, np.ones(like.shape, "uint8")).rename(name))


OF_ICE = [
    ("glacierice", {}, {}), ("landice", {}, {}), ("N45_0240m_landice", {}, {}), ("GIMPIceMask", {}, {}),
    (None, {}, {"source": "/home/me/land/everest_glacierice_240m.tif"}), (None, {}, {"source": r"C:\land\rgi60.tif"}),
    ("band_data", {"long_name": "Glacier outlines of 2015"}, {}), ("ice", {}, {}), ("isMoving", {}, {}),
    (None, {"standard_name": "land_ice_area_fraction"}, {}), (None, {"long_name": ("Ocean",)}, {}),
    ("water_mask", {}, {}), ("GimpOceanMask_30m", {}, {}), ("rock-glaciers", {}, {}), ("landslides", {}, {}),
    ("lakes", {}, {}), ("snow_cover", {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attrs", "encoding"), OF_ICE)
def test_rasters_of_ice_or_water_by_name_are_no_land(name, attrs, encoding):
    """Of these 1 is what moves: taken for land it would make glaciers stable."""
    like = grid()
    classes = raster(like, np.ones(like.shape, "uint8")).rename(name).assign_attrs(attrs)
    classes.encoding |= encoding
    for layer in (classes, classes.chunk(y=20)):
        with pytest.raises(ValueError, match=r"needs classes with 1 on land; got a layer called .*moving=classes == 1"):
            masking.stable_ground(like, classes=layer)
    # whoever knows better says so
    told = classes.assign_attrs(flag_values=[0, 1], flag_meanings="water land")
    assert masking.stable_ground(like, classes=told).all()


@pytest.mark.parametrize(
    "name",
    [
        "land",
        "iceland_landmask",
        "land_glacier_ocean",
        "LandWater",
        "venice",
        "device_7",
        "icefree",
        "off-glacier",
        "watershed",
    ],
)
def test_rasters_of_land_by_name(name):
    like = grid()
    classes = raster(like, np.ones(like.shape, "uint8")).rename(name)
    assert masking.stable_ground(like, classes=classes).all()


def test_what_is_taken_for_land_is_told(caplog):
    like = grid()
    classes = raster(like, np.zeros(like.shape, "uint8")).rename("band_data")
    classes[:15] = 1
    with caplog.at_level(logging.INFO):
        masking.stable_ground(like, classes=classes)
    assert "stable_ground(): 1 of classes is taken for land, 25 % of the grid" in caplog.text
    assert [record.levelname for record in caplog.records if "taken for land" in record.message] == ["WARNING"]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        masking.stable_ground(like, classes=classes.rename("land"))
        masking.stable_ground(like.chunk(y=9), classes=classes.chunk(y=9))
    told = [(record.levelname, record.message) for record in caplog.records if "taken for land" in record.message]
    assert [level for level, _ in told] == ["INFO", "WARNING"]
    assert "%" not in told[1][1]


def test_unknown_classes_are_refused_lazy_or_not():
    like = grid()
    classes = raster(like, np.ones(like.shape, "uint8"))
    classes[3, 4] = 7
    with pytest.raises(ValueError, match=r"got 7\. Translate"):
        masking.stable_ground(like, classes=classes)
    lazy = masking.stable_ground(like, classes=classes.chunk(y=20))
    with pytest.raises(ValueError, match=r"got 7\. Translate"):
        lazy.compute()


def test_classes_of_single_images():
    """Snow that lies on most dates is a glacier, and water is no ground; clouds and shadows tell nothing."""
    like = grid(size=(6, 4))
    codes = {"clear": 0, "null": 1, "cloud": 2, "shadow": 3, "snow": 4, "water": 5}
    shown = [
        ("clear clear snow", True), ("snow snow clear", False), ("water clear water", False),
        ("cloud cloud clear", True), ("cloud null shadow", False), ("clear snow cloud", False),
    ]  # fmt: skip
    values = np.array([[codes[name] for name in names.split()] for names, _ in shown], "uint8").T
    classes = xr.DataArray(
        np.repeat(values[:, :, None], 4, axis=2), dims=("time", "y", "x"),
        coords=like.coords, attrs={"flag_values": list(codes.values()), "flag_meanings": " ".join(codes)},
    )  # fmt: skip
    expected = np.repeat(np.array([is_land for _, is_land in shown])[:, None], 4, axis=1)
    np.testing.assert_array_equal(masking.stable_ground(like, classes=classes), expected)


def test_classes_of_which_nothing_is_told(caplog):
    """Lakes and snow that no one looked for are stable, and it is said."""
    like = grid(size=(6, 4), dates=["2020-06-01"])
    layer = like.astype("uint8")
    classes = masking.classes(layer, like=like, legend={0: "clear", 1: "cloud", 2: "snow"})
    with caplog.at_level(logging.WARNING):
        assert masking.stable_ground(like, classes=classes).all()
    assert "takes out water, of which the source of the classes tells nothing" in caplog.text
    caplog.clear()
    classes = masking.classes(layer, like=like, legend={0: "clear", 2: "snow", 3: "water"})
    assert masking.stable_ground(like, classes=classes).all()
    assert not caplog.text


def test_slopes():
    like = grid()
    x = np.meshgrid(like.x - X, like.y)[0]
    dem = raster(like, np.where(x < 300.0, 0.3 * x, 90.0 + 2.0 * (x - 300.0)))
    dem[10, 10] = np.nan
    slope = masking.slope(dem)
    np.testing.assert_array_equal(masking.stable_ground(like, dem=dem), slope <= 40.0)
    np.testing.assert_array_equal(masking.stable_ground(like, dem=dem, max_slope=15.0), slope <= 15.0)
    assert not masking.stable_ground(like, dem=dem)[9:12, 9:12].any()


def test_a_coarse_model_is_told_of(caplog):
    like = grid(size=(45, 48))
    coarse = grid(30.0, (15, 16))
    dem = raster(coarse, 0.2 * np.meshgrid(coarse.x - X, coarse.y)[0])
    stable = masking.stable_ground(like, dem=dem)
    assert "coarser than the 10 m of the grid" in caplog.text
    np.testing.assert_array_equal(stable, np.kron(np.pad(np.ones((13, 14)), 1), np.ones((3, 3))) > 0)


def test_models_of_another_crs_are_laid_on():
    """Zone 33 over zone 32: what is in its middle is in the middle."""
    like = grid(30.0)
    there = pyproj.Transformer.from_crs(32632, 32633, always_xy=True).transform(X + 960.0, Y - 900.0)
    dem = grid(30.0, (140, 140), crs=pyproj.CRS.from_epsg(32633))
    dem = dem.assign_coords(x=there[0] + 30.0 * (np.arange(140) - 70), y=there[1] - 30.0 * (np.arange(140) - 70))
    steep = np.hypot(*np.meshgrid(dem.x - there[0], dem.y - there[1])) < 500.0
    dem = dem.copy(data=np.where(steep, 2.0 * np.hypot(*np.meshgrid(dem.x - there[0], dem.y - there[1])), 1000.0))
    stable = masking.stable_ground(like, dem=dem)
    away = np.hypot(*(places(like) - [960.0, 900.0]).T).reshape(like.shape)
    assert stable.values[away > 600.0].all()
    assert not stable.values[(away < 430.0) & (away > 60.0)].any()


# ------------------------------------------------------------------------------------------------------------- together


def everything(lazy=None):
    """Grid, and arguments that each take something away."""
    like = grid(dates=["2020-01-01", "2020-07-01"])
    coarse = grid(25.0, (24, 26))
    classes = raster(coarse, np.ones(coarse.shape, "uint8"))
    classes[:4] = 0
    dem = raster(coarse, (0.004 * (np.meshgrid(coarse.x - X, coarse.y)[0] - 100.0) ** 2).astype("float32"))
    speed = raster(grid(20.0, (30, 32)), in_ring(grid(20.0, (30, 32)), RING * 0.2 + 20.0))
    if lazy:
        like, classes, dem, speed = like.chunk(y=lazy, x=lazy + 3), classes.chunk(y=7), dem.chunk(x=9), speed.chunk(y=8)
    return like, {"moving": speed, "buffer": 45.0, "classes": classes, "dem": dem, "max_slope": 50.0}


def test_all_have_to_agree():
    like, given = everything()
    parts = [
        masking.stable_ground(like, moving=given["moving"], buffer=45.0),
        masking.stable_ground(like, classes=given["classes"]),
        masking.stable_ground(like, dem=given["dem"], max_slope=50.0),
        masking.stable_ground(like, polygons=polygon()),
    ]
    assert all(0.05 < part.mean() < 0.97 for part in parts)
    together = masking.stable_ground(like, polygons=polygon(), **given)
    np.testing.assert_array_equal(together, np.logical_and.reduce(parts))
    assert together.any()


@pytest.mark.parametrize("lazy", [9, 200])
def test_bits_do_not_depend_on_chunks(lazy):
    like, given = everything()
    lazy_like, lazy_given = everything(lazy)
    wanted = masking.stable_ground(like, polygons=polygon(), **given)
    found = masking.stable_ground(lazy_like, polygons=polygon(), **lazy_given)
    assert found.chunks == lazy_like.chunks[1:]
    xr.testing.assert_identical(found.compute(), wanted)
    around = masking.stable_ground(lazy_like, moving=polygon(RING * 0.3 + 90.0), buffer=77.0)
    xr.testing.assert_identical(
        around.compute(), masking.stable_ground(like, moving=polygon(RING * 0.3 + 90.0), buffer=77.0)
    )


def test_it_serves_as_stable_ground_of_shifts():
    stack, truth = xoffset.synthetic.stack((96, 112), dates=["2020-01-01", "2021-01-01"], velocity=40.0, seed=2)
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), template=16, search=5, step=8)
    moving = np.hypot(truth.vx, truth.vy) > 2.0
    for like in (stack, shifts):
        stable = masking.stable_ground(like, moving=moving, buffer=0.0)
        assert stable.shape == like["y"].shape + like["x"].shape
        assert 0.02 < stable.mean() < 0.95
        calibrated = xoffset.calibrate(shifts, stable)
        assert np.isfinite(calibrated.sigma_dx).any()


# ----------------------------------------------------------------------------------------------------------------- real


@pytest.mark.data
def test_khumbu(data_folder):
    """Three sources on three grids, 8, 30 and 240 m: what is stable is neither ice nor steep nor unknown."""
    folder = data_folder / "dem_and_masks"
    image, ice, dem = (
        xr.open_dataarray(folder / f"everest_{name}.tif", engine="rasterio", mask_and_scale=False)[0]
        for name in ("landsat7_B4_20001030", "glacierice_240m", "hma_dem_8m")
    )
    with pytest.raises(ValueError, match=r"of 0 m where no other is within.*dem.where\(dem != 0\)"):
        masking.stable_ground(image, dem=dem)
    stable = masking.stable_ground(image, moving=ice == 1, buffer=300.0, dem=dem.where(dem != 0), max_slope=35.0)
    assert 0.01 < stable.mean() < 0.1
    with pytest.raises(ValueError, match=r"1 on land; got a layer called everest_glacierice_240m\.tif"):
        masking.stable_ground(image, classes=ice)
    of_ice = ice.interp_like(image, method="nearest")
    assert (of_ice.values[stable.values] == 0).all()
    height = dem.interp_like(image, method="nearest")
    assert (height.values[stable.values] > 3000).all()


@pytest.mark.data
def test_kaiserberg(data_folder):
    folder = data_folder / "kaiserberg_rock_glacier"
    image = xr.open_dataarray(folder / "ortho_2020.tif", engine="rasterio")[0]
    stable = masking.stable_ground(
        image, polygons=folder / "stable_area.geojson", moving=folder / "moving_area.geojson", buffer=20.0
    )
    assert 0.2 < stable.mean() < 0.27
