"""masking.classes(): six kinds of pixels, from whatever tells them."""

import numpy as np
import pyproj
import pytest
import rasterio
import reference_masking as reference
import safe_products
import spectra
import xarray as xr
from affine import Affine
from landsat_products import write_scene
from mask_images import CLEAR, CLOUD, DATES, NULL, SHADOW, SNOW, UTM, WATER, on_grid, stack

import xoffset
from xoffset import masking
from xoffset._arrays.scenes.laying import Axis, Laying
from xoffset._arrays.scenes.legends import MEANINGS
from xoffset.model import grids
from xoffset.readers import planetscope
from xoffset.readers.landsat.bands import BITS_OF_PIXELS
from xoffset.readers.sentinel2.class_masks import CLOUD_BITS, SCENE_CLASSES

NAMES = ("clear", "null", "cloud", "shadow", "snow", "water")
BANDS = ("blue", "green", "red", "nir", "swir16", "cirrus")


# ------------------------------------------------------------------------------------------------------------- legends

SCL = (NULL, NULL, SHADOW, SHADOW, CLEAR, CLEAR, WATER, CLEAR, CLOUD, CLOUD, CLOUD, SNOW)
CODES = {
    "scl": dict(enumerate(SCL)) | {255: NULL},
    "fmask_python": {0: NULL, 1: CLEAR, 2: CLOUD, 3: SHADOW, 4: SNOW, 5: WATER, 255: NULL},
    "fmask_matlab": {0: CLEAR, 1: WATER, 2: SHADOW, 3: SNOW, 4: CLOUD, 255: NULL},
    "gdm": {k: k for k in range(6)} | {255: NULL},
    # real values of Collection 2: clear land and water, clouds and their margins, shadows, snow, fill
    "qa_pixel": {
        1: NULL, 0: NULL, 21824: CLEAR, 21952: WATER, 22280: CLOUD, 22018: CLOUD, 55052: CLOUD, 23888: SHADOW,
        23952: SHADOW, 30048: SNOW, 24088: CLOUD, 54596: CLOUD,
    },
}  # fmt: skip


@pytest.mark.parametrize("legend", CODES)
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_numbers_of_each_legend(legend, dtype):
    numbers = np.array(list(CODES[legend]))
    source = on_grid(numbers.reshape(1, 1, -1).repeat(2, axis=1).astype(dtype))
    found = masking.classes(source, like=stack(source.shape), legend=legend)
    assert found.dtype == np.uint8
    assert found.dims == ("time", "y", "x")
    np.testing.assert_array_equal(found[0, 0], list(CODES[legend].values()))
    assert found.attrs["flag_meanings"] == " ".join(NAMES)
    assert found.attrs["flag_values"] == list(range(6))


def test_any_legend_and_missing_values():
    values = np.array([[[7, 9, 200], [7, 7, 9]]])
    own = {7: "clear", 9: "water", 200: "cloud"}
    like = stack(values.shape)
    np.testing.assert_array_equal(masking.classes(on_grid(values), like=like, legend=own)[0], [[0, 5, 2], [0, 0, 5]])
    holes = on_grid(np.where(values == 200, np.nan, values))
    np.testing.assert_array_equal(masking.classes(holes, like=like, legend=own)[0], [[0, 5, 1], [0, 0, 5]])
    # what the array declares to be no data is null, whatever the legend says
    declared = on_grid(values, nodata=7)
    np.testing.assert_array_equal(masking.classes(declared, like=like, legend=own)[0], [[1, 5, 2], [1, 1, 5]])
    negative = on_grid(np.where(values == 200, -9999, values), nodata=-9999)
    np.testing.assert_array_equal(masking.classes(negative, like=like, legend=own)[0], [[0, 5, 1], [0, 0, 5]])


def test_bits_with_a_sign_are_the_same_bits():
    source = on_grid(np.array([[[21824, 54596], [55052, 1]]], "uint16"), name="qa_pixel")
    like = stack(source.shape)
    signed = source.copy(data=source.values.view("int16"))
    xr.testing.assert_identical(masking.classes(source, like=like), masking.classes(signed, like=like))


@pytest.mark.parametrize("name", ["SCL", "scl", "SCL_20m", "QA_PIXEL", "qa_pixel"])
@pytest.mark.parametrize("told_by", ["name", "band"])
def test_a_layer_is_known_by_its_name(name, told_by):
    legend = "scl" if "scl" in name.lower() else "qa_pixel"
    numbers = np.array(list(CODES[legend]), "uint16").reshape(1, 1, -1).repeat(2, axis=1)
    source = on_grid(numbers, name=name) if told_by == "name" else on_grid(numbers).assign_coords(band=name)
    np.testing.assert_array_equal(masking.classes(source, like=stack(numbers.shape))[0, 0], [*CODES[legend].values()])


def test_attributes_tell_the_legend():
    like = stack((1, 1, 4))
    told = {"flag_values": [0, 1, 4], "flag_meanings": "clear cloud snow"}
    np.testing.assert_array_equal(
        masking.classes(on_grid([[[0, 1, 4, 1]]], **told), like=like)[0, 0], [CLEAR, CLOUD, SNOW, CLOUD]
    )
    told = {"flag_masks": [1, 2, 4], "flag_meanings": "water cloud_shadow no_data"}
    np.testing.assert_array_equal(
        masking.classes(on_grid([[[0, 1, 3, 7]]], **told), like=like)[0, 0], [CLEAR, WATER, SHADOW, NULL]
    )
    # two bits that are one number, as CF has them
    told = {"flag_masks": [3, 3, 4], "flag_values": [1, 3, 4], "flag_meanings": "snow cloud water"}
    np.testing.assert_array_equal(
        masking.classes(on_grid([[[0, 1, 3, 5]]], **told), like=like)[0, 0], [CLEAR, SNOW, CLOUD, SNOW]
    )
    again = masking.classes(on_grid([[[0, 8, 3, 11]]], name="scl"), like=like)
    np.testing.assert_array_equal(masking.classes(again, like=like), again)


@pytest.mark.parametrize("values", ["0 1", "0b, 1b", "0UB,1UB", np.array([0, 1], "int8"), [0.0, 1.0], ("0", "1")])
@pytest.mark.parametrize("names", ["clear cloud", "Clear, Cloud", ["clear", "cloud"]])
def test_attributes_as_files_have_them(values, names):
    found = masking.classes(on_grid([[[0, 1], [1, 0]]], flag_values=values, flag_meanings=names), like=stack((1, 2, 2)))
    np.testing.assert_array_equal(found[0], [[CLEAR, CLOUD], [CLOUD, CLEAR]])


def test_what_the_source_does_not_tell_is_said(caplog):
    like = stack((1, 2, 2))
    clouds = masking.classes(on_grid([[[0, 1], [1, 0]]]), like=like, legend={0: "clear", 1: "cloud"})
    assert clouds.attrs["classes_not_known"] == "shadow snow water"
    masking.usable(clouds, snow=False)
    assert "shadow, water" in caplog.text
    caplog.clear()
    masking.usable(clouds, shadow=False, snow=False, water=False)
    assert not caplog.text
    assert "classes_not_known" not in masking.classes(on_grid([[[4, 5], [6, 8]]]), like=like, legend="scl").attrs


# ------------------------------------------------------------------------------------------------------------ products


@pytest.mark.parametrize("chunks", [None, 50])
def test_scene_classification_of_a_product(tmp_path, chunks):
    known = safe_products.write(tmp_path, level="L2A")
    like = xoffset.open_stack(tmp_path, band="B04", chunks=chunks)
    found = masking.classes(tmp_path, like=like)
    assert (found.chunks is None) == (chunks is None)
    wanted = np.array(SCL)[known.classes["SCL_20m"]].repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(found[0], wanted)
    assert "classes_not_known" not in found.attrs
    assert found.coords["platform"].values == "S2A"


@pytest.mark.parametrize("kind", ["jp2", "gml"])
def test_masks_of_clouds_of_a_product(tmp_path, kind):
    baseline = "04.00" if kind == "jp2" else "02.09"
    known = safe_products.write(tmp_path, level="L1C", masks=kind, baseline=baseline)
    like = xoffset.open_stack(tmp_path, band="B04")
    found = masking.classes(tmp_path, like=like)
    fine = {name: values.repeat(6, axis=0).repeat(6, axis=1) for name, values in known.classes.items()}
    is_cloud = fine["opaque"] | fine["cirrus"]
    assert (found.values[0][is_cloud] == CLOUD).all()
    assert (found.values[0][fine["snow"] & ~is_cloud] == (SNOW if kind == "jp2" else CLEAR)).all()
    assert (found.values[0][~is_cloud & ~fine["snow"]] == CLEAR).all()
    assert found.attrs["classes_not_known"] == "shadow snow water"
    of_file = masking.classes(next(known.path.rglob(f"MSK_CL*_B00.{kind}")), like=like)
    xr.testing.assert_identical(of_file, found)


OF_LANDSAT = {
    "02": {0: NULL, 1: CLOUD, 2: CLOUD, 3: CLOUD, 4: SHADOW, 5: SNOW, 7: WATER},
    "01": {0: NULL, 1: NULL, 4: CLOUD, 12: CLOUD, 8: SHADOW, 10: SNOW},
    "pre": {0: NULL, 1: NULL, 2: NULL, 15: CLOUD, 13: CLOUD, 11: SNOW, 5: WATER},
}


@pytest.mark.parametrize("collection", OF_LANDSAT)
def test_bits_of_a_landsat_scene(tmp_path, collection):
    written = write_scene(tmp_path, collection=collection)
    like = xoffset.open_stack(tmp_path, band="red")
    found = masking.classes(tmp_path, like=like)
    wanted = np.zeros(written.quality.shape, int)
    for kind in (WATER, SNOW, SHADOW, CLOUD, NULL):
        for bit in (bit for bit, meant in OF_LANDSAT[collection].items() if meant == kind):
            wanted[(written.quality & (1 << bit)) > 0] = kind
    np.testing.assert_array_equal(found[0], wanted)
    not_told = {"02": "", "01": "water", "pre": "shadow"}[collection]
    assert found.attrs.get("classes_not_known", "") == not_told


def test_rasters_with_dates_in_their_names(tmp_path):
    values = np.random.default_rng(0).integers(0, 6, (2, 20, 25)).astype("uint8")
    for date, image in zip(DATES, values, strict=True):
        place = {"crs": UTM, "transform": Affine(20, 0, 5e5, 0, -20, 5e6), "height": 20, "width": 25, "count": 1}
        path = tmp_path / f"T32TMT_{str(date)[:19].replace('-', '').replace(':', '')}_fmask.tif"
        with rasterio.open(path, "w", driver="GTiff", dtype="uint8", **place) as file:
            file.write(image, 1)
    like = stack((2, 40, 50))
    found = masking.classes(tmp_path / "*_fmask.tif", like=like, legend="fmask_python")
    wanted = np.array([NULL, CLEAR, CLOUD, SHADOW, SNOW, WATER])[values].repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(found, wanted)
    lazy = masking.classes(tmp_path / "*_fmask.tif", like=like.chunk(y=16, x=16), legend="fmask_python")
    assert lazy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), found)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("fmask", "SCL_20m")))
    by_name = masking.classes(sorted(tmp_path.iterdir()), like=like)
    np.testing.assert_array_equal(by_name, np.array(SCL)[values].repeat(2, axis=1).repeat(2, axis=2))


# ----------------------------------------------------------------------------------------------------- grids and dates


@pytest.mark.parametrize(
    "place",
    [
        {"step": 20.0}, {"step": 60.0, "corner": (5e5 - 37.0, 5e6 + 57.0)},
        {"step": 4.0, "corner": (5e5 + 44, 5e6 - 60)}, {"step": 10.0, "corner": (5e5 + 3.0, 5e6 + 4.0)},
    ],
)  # fmt: skip
@pytest.mark.parametrize("upside_down", [False, True])
def test_another_grid_is_laid_on_by_position(place, upside_down, caplog):
    source = on_grid(np.random.default_rng(1).integers(0, 12, (2, 17, 13)).astype("uint8"), name="SCL", **place)
    source = source.isel(y=slice(None, None, -1)) if upside_down else source
    like = stack()
    with caplog.at_level("INFO"):
        found = masking.classes(source, like=like)
    assert "by position" in caplog.text
    assert found.attrs["laid"] == "by position"
    of, onto = ((data.y.values, data.x.values) for data in (source, like))
    for k in range(2):
        np.testing.assert_array_equal(found[k], reference.laid(np.array(SCL)[source.values[k]], of, onto, NULL))
    lazy = masking.classes(source.chunk(time=1, y=5, x=4), like=like.chunk(y=7, x=9))
    assert lazy.chunks[1:] == ((7, 7, 7, 3), (9, 9, 9, 3))
    xr.testing.assert_equal(lazy.compute(), found)


def test_another_crs_is_turned_to_the_nearest_pixel():
    like = stack((2, 40, 50))
    turn = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    longitude, latitude = turn.transform(*np.meshgrid(like.x.values, like.y.values))
    step = 1e-4
    x = np.arange(longitude.min() + 15 * step, longitude.max() + step, step)
    y = np.arange(latitude.max() + step, latitude.min() - step, -step)
    values = np.random.default_rng(2).integers(0, 12, (2, y.size, x.size)).astype("uint8")
    crs = grids.spatial_ref(pyproj.CRS.from_epsg(4326))
    coords = {"time": DATES, "y": y, "x": x, "spatial_ref": crs}
    source = xr.DataArray(values, dims=("time", "y", "x"), coords=coords, name="SCL")
    found = masking.classes(source, like=like)
    row, column = (
        np.rint((at - axis[0]) / (axis[1] - axis[0])).astype(int) for at, axis in ((latitude, y), (longitude, x))
    )
    is_inside = (row >= 0) & (row < y.size) & (column >= 0) & (column < x.size)
    wanted = np.where(is_inside, np.array(SCL)[values[:, row.clip(0, y.size - 1), column.clip(0, x.size - 1)]], NULL)
    assert 0.05 < (~is_inside).mean() < 0.95
    np.testing.assert_array_equal(found, wanted)
    xr.testing.assert_equal(masking.classes(source.chunk(y=20), like=like.chunk(y=11)).compute(), found)


def test_strips_of_a_large_grid_meet():
    generator = np.random.default_rng(3)
    layer = generator.integers(0, 250, (70, 40)).astype("uint8")
    laying = Laying((Axis(0.0, 3.0, 70), Axis(0.0, 3.0, 40)), (Axis(-20.1, 0.5, 600), Axis(1.1, 2.0, 50)))
    onto = (laying.onto[0].centres, laying.onto[1].centres)
    of = (laying.of[0].centres, laying.of[1].centres)
    np.testing.assert_array_equal(laying.lay(layer, 255), reference.laid(layer, of, onto, 255))


def test_layers_go_by_their_dates():
    values = np.stack([np.full((4, 5), k) for k in (4, 6, 8, 11)])
    dates = np.array(["2021-07-17T10:20:31", "2021-07-17T12:00:00", "2021-07-22T10:41:00", "2021-07-23"], "M8[us]")
    source = on_grid(values, dates=dates, name="SCL")
    like = stack((2, 4, 5))
    assert masking.classes(source, like=like).values[:, 0, 0].tolist() == [CLEAR, CLOUD]
    third = like.isel(time=[1]).assign_coords(time=np.array(["2021-07-23T10:20"], "M8[us]"))
    assert masking.classes(source, like=third).values[:, 0, 0].tolist() == [SNOW]
    with pytest.raises(ValueError, match=r"on every date of the stack; got none for 2021-07-22T11:30:00"):
        masking.classes(source, like=like.isel(time=[1]).assign_coords(time=np.array(["2021-07-22T11:30"], "M8[us]")))


def test_a_layer_of_a_day_is_of_no_other_day():
    """A pass shortly before midnight has the layer of its own day, one shortly after that of the day that begins."""
    days = np.arange("2021-06-21", "2021-06-25", dtype="M8[D]").astype("M8[us]")
    source = on_grid(np.arange(4).repeat(6).reshape(4, 2, 3), dates=days)
    dates = np.array(["2021-06-21T23:45", "2021-06-24T00:10"], "M8[us]")
    like = stack((2, 2, 3)).assign_coords(time=dates)
    assert masking.classes(source, like=like, legend="gdm").values[:, 0, 0].tolist() == [0, 3]
    with pytest.raises(ValueError, match=r"got none for 2021-06-21T23:45:00\."):
        masking.classes(source.isel(time=[1, 2, 3]), like=like, legend="gdm")
    # and the other way round: layers with a time, a stack of days
    timed = source.isel(time=[0, 1]).assign_coords(time=dates)
    of_days = like.assign_coords(time=days[[0, 3]])
    assert masking.classes(timed, like=of_days, legend="gdm").values[:, 0, 0].tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"got none for 2021-06-22T"):
        masking.classes(timed, like=like.assign_coords(time=days[[1, 3]]), legend="gdm")


def test_two_layers_of_a_day_are_not_chosen_from():
    like = stack((1, 2, 3)).assign_coords(time=np.array(["2021-06-21"], "M8[us]"))
    dates = np.array(["2021-06-21T10:10", "2021-06-21T11:50"], "M8[us]")
    source = on_grid(np.zeros((2, 2, 3), "uint8"), dates=dates)
    with pytest.raises(ValueError, match=r"one layer .*; got 2 of the day of .* at 10:10:00, 11:50:00\. Give"):
        masking.classes(source, like=like, legend="gdm")


@pytest.mark.parametrize("step", [20.0, 4.0])
def test_the_order_of_the_rows_decides_nothing(step):
    """Centres of the stack that lie on edges of the layer go to the south and the east."""
    values = np.random.default_rng(6).integers(0, 6, (1, 16, 16)).astype("uint8")
    corner = (5e5 - 15.0, 5e6 + 15.0) if step == 20.0 else (5e5 + 5.0, 5e6 - 5.0)
    source, like = on_grid(values, step=step, corner=corner), stack((1, 8, 8))
    assert np.isin(like.y.values, source.y.values + step / 2).any()
    expected = masking.classes(source, like=like, legend="gdm")
    for rows, columns in ((-1, 1), (1, -1), (-1, -1)):
        turned = source.isel(y=slice(None, None, rows), x=slice(None, None, columns))
        xr.testing.assert_equal(masking.classes(turned, like=like, legend="gdm"), expected)
        again = masking.classes(source, like=like.isel(y=slice(None, None, rows)), legend="gdm")
        xr.testing.assert_equal(again.sortby("y"), expected.sortby("y"))
    if step == 20.0:
        assert expected[0, 0, 0] == values[0, 1, 1]


# --------------------------------------------------------------------------------------------------------------- light


def bands_of(spectrum, **coords):
    """Bands by name, each (1, y, x), of spectra (band, pixel)."""
    return {
        name: on_grid(values.reshape(1, 20, -1).astype("float32")).assign_coords(coords)
        for name, values in zip(BANDS, spectrum, strict=False)
    }


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("has_cirrus", [True, False])
def test_light_of_each_class(kind, has_cirrus):
    """Ground, snow, water and clouds under air of any haze, whose light was made without a look at the classifier."""
    spectrum = spectra.of(kind, 4000, seed=NAMES.index(kind))
    if kind == "cloud" and not has_cirrus:
        spectrum = spectrum[:, spectrum[5] < 0.012]
        spectrum = spectrum[:, : spectrum.shape[1] // 20 * 20]
    bands = bands_of(spectrum if has_cirrus else spectrum[:5])
    found = masking.classes(bands, like=bands["red"])
    wanted = NAMES.index(kind)
    missing = 0 if has_cirrus or kind != "null" else np.isfinite(spectrum[:5]).all(axis=0).mean()
    assert (found == wanted).mean() >= 0.95 - missing


def test_light_against_twin():
    generator = np.random.default_rng(5)
    spectrum = np.concatenate([spectra.of(kind, 300, seed=9) for kind in NAMES], axis=1)
    spectrum = np.concatenate([spectrum, generator.uniform(0.0, 0.6, (6, 200))], axis=1)
    spectrum = spectrum[:, : spectrum.shape[1] // 20 * 20].astype("float32")
    for count in (5, 6):
        bands = bands_of(spectrum[:count])
        found = masking.classes(bands, like=bands["red"]).values.ravel()
        wanted = [reference.class_of_light(*map(float, pixel)) for pixel in spectrum[:count].T]
        # a threshold may fall between two roundings
        assert (found != wanted).sum() <= 1


def test_bands_of_several_sizes_and_counts():
    """Bands as products have them: counts with an offset, coarse in the infrared."""
    spectrum = np.stack([spectra.of(kind, 1, seed=3)[:, 0] for kind in ("clear", "cloud", "snow", "water")], axis=1)
    places = np.random.default_rng(4).integers(0, 4, (1, 4, 5))
    kinds = np.array([CLEAR, CLOUD, SNOW, WATER])[places].repeat(6, axis=1).repeat(6, axis=2)
    bands = {}
    for name, step, light in zip(("B02", "B03", "B04", "B08", "B11", "B10"), (1, 1, 1, 1, 2, 6), spectrum, strict=True):
        fine = np.rint(light[places] * 10000 + 1000).repeat(6 // step, axis=1).repeat(6 // step, axis=2)
        bands[name] = on_grid(fine.astype("float32"), step=10.0 * step).assign_coords(COUNTS)
    like = bands["B04"]
    found = masking.classes(bands, like=like)
    np.testing.assert_array_equal(found, kinds)
    lazy = masking.classes({name: band.chunk(y=5, x=7) for name, band in bands.items()}, like=like.chunk(y=9))
    xr.testing.assert_equal(lazy.compute(), found)
    assert lazy.chunks is not None


@pytest.mark.parametrize("chunks", [None, 1])
def test_small_counts_are_no_reflectances(chunks):
    """A cirrus band that sees next to nothing, resampled to parts of counts; not even in chunks of a pixel."""
    told = {"quantification": ("time", [1e4]), "radiometric_offset": ("time", [0.0])}
    light = (900.0, 800.0, 700.0, 2500.0, 1900.0, 2.5)
    bands = {
        name: on_grid(np.full((1, 2, 3), count, "float32")).assign_coords(told)
        for name, count in zip(BANDS, light, strict=True)
    }
    bands = bands if chunks is None else {name: band.chunk(y=chunks, x=chunks) for name, band in bands.items()}
    assert (masking.classes(bands, like=bands["red"]) == CLEAR).all()


def test_bands_by_all_their_names():
    spectrum = np.concatenate([spectra.of(kind, 20, seed=3) for kind in NAMES], axis=1)
    bands = bands_of(spectrum)
    like = bands["red"]
    wanted = masking.classes(bands, like=like)
    together = xr.Dataset(bands)
    xr.testing.assert_identical(masking.classes(together, like=like), wanted)
    xr.testing.assert_identical(masking.classes(together.to_array("band"), like=like), wanted)
    for names, platform in (
        (("B2", "B3", "B4", "B8A", "B11", "B10"), "S2B"),
        (("b02", "b03", "b04", "b08", "b11", "b10"), None),
        (("B2", "B3", "B4", "B5", "B6", "B9"), "LC09"),
        (("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "B9"), "LC08"),
        (("B2", "B3", "B4", "B5", "B6", "B9"), "landsat-8"),
        (("B2", "B3", "B4", "B5", "B6", "B9"), "LANDSAT_9"),
    ):
        told = {} if platform is None else {"platform": ("time", [platform])}
        renamed = {name: band.assign_coords(told) for name, band in zip(names, bands.values(), strict=True)}
        np.testing.assert_array_equal(masking.classes(renamed, like=like), wanted)


def test_pan_and_heat_of_landsat_are_not_those_of_sentinel2():
    spectrum = np.concatenate([spectra.of(kind, 20, seed=3) for kind in NAMES[2:]], axis=1)
    bands = bands_of(spectrum)
    like = bands["red"]
    names = dict(zip(("B2", "B3", "B4", "B5", "B6", "B9"), bands.values(), strict=True))
    extra = dict.fromkeys(("B1", "B7", "B8", "B10", "B11"), bands["blue"])
    told = {name: band.assign_coords(platform="landsat-8") for name, band in (names | extra).items()}
    np.testing.assert_array_equal(masking.classes(told, like=like), masking.classes(bands, like=like))
    # all of Sentinel-2 tell themselves by their names
    all_of_sentinel2 = {f"B{k}": bands["blue"] for k in (1, 5, 6, 7, 9, "8A", 12)} | dict(
        zip(("B2", "B3", "B4", "B8", "B11", "B10"), bands.values(), strict=True)
    )
    np.testing.assert_array_equal(masking.classes(all_of_sentinel2, like=like), masking.classes(bands, like=like))


@pytest.mark.parametrize(
    "changed",
    [
        {"B11": 290.0},  # K
        {"B11": 8.0},  # W m-2 sr-1 um-1
        {"B11": 2.5},
        {"B8": 2.0},
    ],
)
def test_heat_of_landsat_is_no_infrared_of_sentinel2(changed):
    bands = dict(
        zip(("B2", "B3", "B4", "B8", "B11"), bands_of(spectra.of("clear", 400, seed=1)).values(), strict=False)
    )
    like = bands["B4"]
    masking.classes(bands, like=like)
    for chunks in ({}, {"y": 7}):
        wrong = {name: (0.0 * band + changed[name] if name in changed else band) for name, band in bands.items()}
        wrong = {name: band.chunk(chunks) for name, band in wrong.items()} if chunks else wrong
        with pytest.raises(ValueError, match=r"needs reflectances, which end near 1; got"):
            masking.classes(wrong, like=like).compute()


def test_a_finer_band_8_is_the_panchromatic_one_of_landsat():
    bands = {f"B{k}": stack((1, 4, 4), step=30.0) for k in (2, 3, 4, 11)}
    like = bands["B4"]
    with pytest.raises(
        ValueError, match=r"got B2, B3, B4, B11, B8 without a coordinate 'platform'\. .*platform='LC08'"
    ):
        masking.classes(bands | {"B8": stack((1, 8, 8), step=15.0)}, like=like)
    # the red band of Sentinel-2 may come on coarser pixels, and is known by its name or its satellite
    renamed = {f"B0{name[1:]}" if len(name) == 2 else name: band for name, band in bands.items()}
    masking.classes(renamed | {"B08": stack((1, 8, 8), step=15.0)}, like=like)
    told = {name: band.assign_coords(platform="S2A") for name, band in bands.items()}
    masking.classes(told | {"B8": stack((1, 8, 8), step=15.0).assign_coords(platform="S2A")}, like=like)


# Blue, green, red, near and short-wave infrared.
SEA = {
    "surface": (2.0, 1.5, 0.5, 0.3, 0.1),
    "dark surface": (0.9, 0.7, 0.3, 0.15, 0.05),
    "top": (9.0, 6.0, 3.0, 1.5, 0.5),
}
BRIGHT = {
    "blue ice": (0.75, 0.70, 0.60, 0.30, 0.03), "melt pond": (0.60, 0.55, 0.30, 0.08, 0.01),
    "snow in a low sun": (1.2, 1.15, 1.1, 0.95, 0.1), "cloud": (1.3, 1.3, 1.3, 1.3, 0.8),
    "sea": (0.09, 0.06, 0.03, 0.015, 0.005),
}  # fmt: skip


@pytest.mark.parametrize("chunks", [None, 2])
def test_percent_over_the_sea_is_no_cloud(chunks):
    like = stack((1, 4, 5))

    def found(light):
        bands = {name: on_grid(np.full((1, 4, 5), value, "float32")) for name, value in zip(BANDS, light, strict=False)}
        bands = bands if chunks is None else {name: band.chunk(y=chunks) for name, band in bands.items()}
        return masking.classes(bands, like=like).compute()

    for light in SEA.values():
        with pytest.raises(ValueError, match=r"^classes\(\) needs reflectances, which end near 1; got"):
            found(light)
    assert (found(np.array(SEA["surface"]) / 100) == WATER).all()
    for light in BRIGHT.values():
        assert (found(light) != NULL).all()


def test_units_of_reflectances_are_converted_or_refused():
    bands = bands_of(np.concatenate([spectra.of(kind, 20, seed=3) for kind in NAMES], axis=1))
    like = bands["red"]
    wanted = masking.classes(bands, like=like)
    percent = {name: (100.0 * band).assign_attrs(units="%") for name, band in bands.items()}
    np.testing.assert_array_equal(masking.classes(percent, like=like), wanted)
    for unit in ("1", "TOA reflectance", "reflectance"):
        told = {name: band.assign_attrs(units=unit) for name, band in bands.items()}
        np.testing.assert_array_equal(masking.classes(told, like=like), wanted)
    for unit in ("K", "W m-2 sr-1 um-1", "reflectance in percent"):
        told = bands | {"swir16": bands["swir16"].assign_attrs(units=unit)}
        with pytest.raises(ValueError, match=rf"^classes\(\) needs swir16 in 1; got units '{unit}'\. Convert it"):
            masking.classes(told, like=like)


def test_single_glints_are_no_percent():
    bands = bands_of(spectra.of("clear", 400, seed=1))
    for band in bands.values():
        band[0, 3, 4] = 2.5
    found = masking.classes(bands, like=bands["red"])
    assert (found == CLEAR).mean() > 0.95


@pytest.mark.parametrize("platform", ["LC08", "LANDSAT_8"])
def test_landsat_of_a_low_sun_is_corrected(platform):
    spectrum = spectra.of("cloud", 400, seed=8)
    told = {"platform": ("time", [platform]), "level": ("time", ["L1TP"]), "sun_elevation": ("time", [30.0])}
    bright = bands_of(spectrum)
    dim = bands_of(spectrum * 0.5, **told)
    like = bright["red"]
    xr.testing.assert_equal(masking.classes(dim, like=like), masking.classes(bright, like=like))
    told["sun_elevation"] = ("time", np.deg2rad([30.0]), {"units": "rad"})
    xr.testing.assert_equal(
        masking.classes(bands_of(spectrum * 0.5, **told), like=like), masking.classes(dim, like=like)
    )


# ----------------------------------------------------------------------------------------------------------- bad input

COUNTS = {"quantification": ("time", [1e4]), "radiometric_offset": ("time", [-1e3])}
BOTH = {"flag_values": [0, 1], "flag_meanings": "clear cloud"}
ERRORS = {
    "no legend": (lambda: on_grid([[[0, 1], [1, 0]]]), {}, ValueError, r"Tell it: legend='scl'"),
    "unknown legend": (lambda: on_grid([[[0, 1], [1, 0]]]), {"legend": "fmask"}, ValueError, r"Choose one of these"),
    "unknown class": (lambda: on_grid([[[0, 1], [1, 7]]]), {"legend": "fmask_python"}, ValueError, r"got 7\. Look"),
    "class and a half": (lambda: on_grid([[[0, 1.5], [1, 0]]]), {"legend": "scl"}, ValueError, r"got 1\.5\. "),
    "negative": (lambda: on_grid([[[0, -3], [1, 0]]]), {"legend": "scl"}, ValueError, r"got -3\. "),
    "unknown name": (
        lambda: on_grid([[[0, 1], [1, 0]]], flag_values=[0, 1], flag_meanings="clear fog"), {}, ValueError, r"got fog",
    ),
    "fewer values": (
        lambda: on_grid([[[0, 1], [1, 0]]], flag_values=[0], flag_meanings="clear cloud"), {}, ValueError, r"Correct",
    ),
    **{
        f"{name} {told}": (
            lambda told=told, name=name: on_grid([[[0, 1], [1, 0]]], **BOTH | {name: told}), {}, ValueError, "Correct"
        )
        for name, told in (
            ("flag_values", [0.5, 1]), ("flag_values", "a b"), ("flag_values", "0 1.5"), ("flag_values", None),
            ("flag_values", [0, 65536]), ("flag_values", [False, True]), ("flag_values", [0, np.nan]),
            ("flag_meanings", 5), ("flag_meanings", None), ("flag_meanings", ""), ("flag_masks", [0, 1 << 16]),
        )
    },
    "own legend": (lambda: on_grid([[[0, 1]]]), {"legend": {0: "fog"}}, ValueError, r"Choose one of these"),
    "own number": (lambda: on_grid([[[0, 1]]]), {"legend": {-1: "null"}}, ValueError, r"whole numbers from 0"),
    "elsewhere": (
        lambda: on_grid([[[4, 5], [5, 4]]], corner=(6e5, 5e6)), {"legend": "scl"}, ValueError, r"Check the CRS of both",
    ),
    "no dates": (lambda: on_grid([[[4, 5], [5, 4]]])[0], {"legend": "scl"}, ValueError, r"expand_dims"),
    "few bands": (lambda: xr.Dataset({"blue": stack((1, 2, 2))}), {}, ValueError, r"without green, red, nir, swir16"),
    "counts": (
        lambda: dict.fromkeys(BANDS, on_grid(np.full((1, 2, 2), 2500.0))), {}, ValueError, r"scale them",
    ),
    "scaled twice": (
        lambda: dict.fromkeys(BANDS, stack((1, 2, 2)).assign_coords(COUNTS) + 0.3), {}, ValueError, r"Drop the two",
    ),
    "percent": (
        lambda: dict.fromkeys(BANDS, on_grid(np.full((1, 2, 2), 4.0))), {}, ValueError, r"Divide what is in percent",
    ),
    "satellites that share numbers": (
        lambda: {f"B{k}": stack((1, 2, 2)) for k in range(1, 12)}, {}, ValueError, r"platform='LC08'",
    ),
    "numbers of an unknown Landsat": (
        lambda: {f"SR_B{k}": stack((1, 2, 2)) for k in range(1, 8)}, {}, ValueError, r"platform='LC08'",
    ),
    "numbers of an unknown satellite": (
        lambda: {f"B{k}": stack((1, 2, 2)).assign_coords(platform="Terra") for k in range(1, 12)}, {}, ValueError,
        r"got Terra\. Rename",
    ),
    "numbers that mean two bands": (
        lambda: {
            f"B{k}": stack((2, 2, 2)).assign_coords(platform=("time", ["LC08", "LE07"])) for k in range(1, 9)
        },
        {}, ValueError, r"got LC08 and LE07\. Rename",
    ),
    "whole counts": (
        lambda: dict.fromkeys(BANDS, on_grid(np.full((1, 2, 2), 2500))), {}, ValueError, r"scale them",
    ),
    "legend of bands": (lambda: dict.fromkeys(BANDS, stack((1, 2, 2))), {"legend": "scl"}, ValueError, r"Leave it out"),
    "no array": (lambda: {"blue": 3}, {}, TypeError, r"Open it: open_stack"),
    "list of arrays": (lambda: [stack((1, 2, 2))], {}, TypeError, r"Pass what the stack was made of"),
    "a number": (lambda: 3, {}, TypeError, r"Pass what the stack was made of"),
    "nothing": (lambda: "no/*.tif", {}, FileNotFoundError, r"Check the pattern"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_a_source_that_is_none_is_refused_with_advice(case):
    make, options, error, advice = ERRORS[case]
    like = stack((1, 2, 2))
    with pytest.raises(error, match=r"^classes\(\) needs .*; (got|no file) .*\. \S") as caught:
        masking.classes(make(), like=like, **options)
    assert caught.match(advice)
    assert len(str(caught.value)) < 600


def test_a_lazy_source_is_refused_when_it_is_computed():
    like = stack((1, 2, 2))
    scaled = (stack((1, 2, 2)).assign_coords(COUNTS) + 0.3).chunk()
    with pytest.raises(ValueError, match=r"Drop the two"):
        masking.classes(dict.fromkeys(BANDS, scaled), like=like).compute()
    dark = masking.classes(dict.fromkeys(BANDS, on_grid(np.full((1, 2, 2), 4.0)).chunk()), like=like)
    with pytest.raises(ValueError, match=r"Divide what is in percent"):
        dark.compute()
    unknown = masking.classes(on_grid([[[0, 1], [1, 7]]]).chunk(), like=like, legend="fmask_python")
    with pytest.raises(ValueError, match=r"got 7\. Look whether"):
        unknown.compute()
    counts = masking.classes(dict.fromkeys(BANDS, on_grid(np.full((1, 2, 2), 2500.0)).chunk()), like=like)
    with pytest.raises(ValueError, match=r"needs reflectances"):
        counts.compute()


def test_all_classes_of_products_have_a_kind():
    of_planetscope = {*planetscope._CLASSES, "no_data"}
    assert {*SCENE_CLASSES, *CLOUD_BITS, *BITS_OF_PIXELS, *of_planetscope} <= MEANINGS.keys()
    assert len(SCENE_CLASSES) == len(SCL)
