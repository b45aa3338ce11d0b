"""Which of many scenes make one stack: duplicates, mixtures, tiles side by side."""

import dataclasses
import logging
import pickle

import landsat_products
import numpy as np
import pytest
import safe_products
from rasterio.crs import CRS
from test_readers import pixels, write

import xoffset
from xoffset.readers import bands, dates, mosaics, selection
from xoffset.readers.grids import Grid
from xoffset.readers.open_stack import open_stack
from xoffset.readers.scenes import Layer, Scene

UTM = {zone: CRS.from_epsg(32600 + zone) for zone in (31, 32)}
TIMES = {8: "2020-07-17T10:30:31", 51: "2020-07-20T10:40:31"}


@dataclasses.dataclass(frozen=True)
class Array:
    """Image in memory."""

    name: str
    grid: Grid
    values: np.ndarray
    strip: int = 0
    is_local: bool = False

    @property
    def result_dtype(self):
        return self.values.dtype

    def read(self, window):
        return self.values[window].copy()


def layer(day=0, *, place=(0, 0), zone=31, value=1.0, size=(4, 5), offset=0.0, strip=0, seconds=0, **facts):
    """Image of a scene, `place` (row, column) in tiles of 3 x 4 pixels, so that neighbours overlap by one."""
    facts = {"platform": "S2A", "relative_orbit": 8, "tile": "31TGK", "level": "L1C", "band": "B04"} | facts
    start = np.datetime64(TIMES.get(facts["relative_orbit"], "2020-07-18T10:00"), "us")
    when = start + np.timedelta64(day, "D") + np.timedelta64(seconds, "s")
    name = facts.pop("name", f"{facts['platform']}_{facts['tile']}_{facts['level']}_{day}")
    x, y = 5e5 + 10.0 * (4 * place[1] + offset), 4e6 - 10.0 * 3 * place[0]
    grid = Grid(x, y, 10.0, -10.0, size[1], size[0], UTM[zone])
    return Layer(Scene(name, when, **facts), Array(f"{name}.jp2", grid, np.full(size, value, np.float32), strip))


def chosen(layers, *, tile=None, orbit=None, files=()):
    return selection.choose(layers, files, tile, selection.as_orbits(orbit))


# ---------------------------------------------------------------------------------------------------------- duplicates


def test_the_newest_of_one_acquisition_counts(caplog):
    old = layer(processed=np.datetime64("2020-07-18"), name="old")
    new = layer(processed=np.datetime64("2023-01-01"), name="new", seconds=3)
    other = layer(5, processed=np.datetime64("2020-07-23"))
    for both in ([old, new], [new, old]):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "xoffset"):
            assert sorted(each.scene.name for each in chosen([*both, other])) == ["S2A_31TGK_L1C_5", "new"]
        assert len(caplog.records) == 1
        assert "new, not old" in caplog.text


@pytest.mark.parametrize("made", [np.datetime64("2020-07-18"), None])
def test_two_products_of_one_acquisition_made_at_one_time_are_refused(made):
    both = [layer(processed=made, name=name) for name in ("folder", "zip")]
    with pytest.raises(ValueError, match=r"folder\.jp2 and zip\.jp2 of folder and zip.*Leave one of them out"):
        chosen(both)


def test_a_product_without_processing_time_is_not_guessed_to_be_the_older():
    both = [layer(name="a"), layer(name="b", processed=np.datetime64("2020-07-18"), seconds=1)]
    with pytest.raises(ValueError, match="every acquisition once"):
        chosen(both)


def test_levels_of_landsat_are_corrections_of_one_acquisition():
    facts = {"platform": "LC08", "relative_orbit": 63, "tile": "063018", "band": "B8"}
    quick = layer(level="L1GT", processed=np.datetime64("2020-07-18"), name="RT", **facts)
    final = layer(level="L1TP", processed=np.datetime64("2020-08-18"), name="T1", **facts)
    assert [each.scene.name for each in chosen([quick, final])] == ["T1"]


def test_two_files_of_one_date_stay_an_error():
    both = [layer(name="a", tile=None), layer(name="b", tile=None)]
    with pytest.raises(ValueError, match=r"every date once; got 2020-07-17T10:30:31.* from both a.jp2 and b.jp2"):
        chosen([], files=both)


# ------------------------------------------------------------------------------------------------------------ mixtures


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            {"relative_orbit": 51},
            r"of one relative orbit; got 51 \(1 scene\), 8 \(2 scenes\).*orbit=8 or orbit=\[8, 51\]",
        ),
        ({"level": "L2A"}, r"of one level; got L1C \(2 scenes\), L2A \(1 scene\)\. Say which: a pattern"),
        ({"band": "B08"}, r"of one band; got B04 of S2A \[red\] \(2 scenes\), B08 of S2A \[nir\] \(1 scene\)"),
    ],
)
def test_mixtures_are_refused_with_the_choice(others, message):
    with pytest.raises(ValueError, match=message):
        chosen([layer(), layer(5), layer(10, **others)])


def test_orbits_are_chosen():
    layers = [layer(), layer(5), layer(relative_orbit=51)]
    assert len(chosen(layers, orbit=8)) == 2
    assert len(chosen(layers, orbit=np.int64(51))) == 1
    assert len(chosen(layers, orbit=[8, 51])) == 3
    with pytest.raises(ValueError, match=r"of relative orbit 7; got 51 \(1 scene\), 8 \(2 scenes\)"):
        chosen(layers, orbit=[8, 7])
    with pytest.raises(ValueError, match="tell their orbit"):
        chosen([*layers, layer(6, relative_orbit=None)], orbit=8)


def test_orbits_of_each_kind_of_satellite_are_chosen():
    landsat = layer(3, platform="LC09", relative_orbit=195, tile="195028", level="L1TP", band="B4")
    layers = [layer(), layer(5, platform="S2B"), landsat]
    assert len(chosen(layers)) == 3
    assert len(chosen(layers, orbit=[8, 195])) == 3
    with pytest.raises(ValueError, match=r"none of Landsat, which has 195 \(1 scene\)"):
        chosen(layers, orbit=8)


@pytest.mark.parametrize("orbit", ["8", 8.0, True, 0, [], [8, "51"]])
def test_errors_of_orbit(orbit):
    with pytest.raises(ValueError, match=r"orbit=8, or orbit=\[8, 51\]"):
        selection.as_orbits(orbit)


def test_a_number_of_landsat_is_another_band_on_another_sensor():
    facts = {"relative_orbit": 63, "tile": "063018", "level": "L1TP"}
    new = layer(platform="LC08", band="B4", **facts)
    with pytest.raises(ValueError, match=r"B4 of LC08 \[red\] \(1 scene\), B4 of LE07 \[nir08\] \(1 scene\)"):
        chosen([new, layer(8, platform="LE07", band="B4", **facts)])
    assert len(chosen([new, layer(8, platform="LE07", band="B3", **facts)])) == 2
    # of other families too, in products and in files; infrared goes by two names
    own = {"tile": "32TMR", "band": "B04"}
    assert len(chosen([new, layer(8, **own)])) == 2
    other = layer(9, platform="LE07", band="B4", **facts)
    for products, files in (([other, layer(8, **own)], []), ([], [other, layer(8, **own)])):
        with pytest.raises(ValueError, match=r"B4 of LE07 \[nir08\].*B04 of S2A \[red\].*other light under one number"):
            chosen(products, files=files)
    old = layer(9, platform="LM03", band="B5", **facts)
    with pytest.raises(ValueError, match=r"B5 of LM03 \[red\] and B5 of LC08"):
        chosen([old, layer(platform="LC08", band="B5", **facts)])
    assert len(chosen([layer(8, tile="32TMR", band="B8A"), layer(platform="LC08", band="B5", **facts)])) == 2


@pytest.mark.parametrize(
    ("name", "band", "common"),
    [
        ("T07HFE_20190212T192651_B04_10m.jp2", "B04", "red"),
        ("T07HFE_20190212T192651_B8A.jp2", "B8A", "nir08"),
        ("S2B_MSIL2A_20220126T084129_N0400_R064_T36RUT_20220201T122115_B11.tif", "B11", "swir16"),
        ("LC08_L1TP_063018_20160718_20200906_02_T1_B8.TIF", "B8", "pan"),
        ("LE07_L2SP_021030_20100109_20200911_02_T1_SR_B3.TIF", "B3", "red"),
        ("LC08_L1TP_063018_20160718_20200906_02_T1_sr_band4.tif", "B4", "red"),
        ("LC80630182016200LGN00_B8_yahtse.tif", "B8", "pan"),
        ("T07HFE_20190212T192651_B04_B08.jp2", None, None),
        ("T07HFE_20190212T192651_TCI.jp2", None, None),
    ],
)
def test_bands_of_names(name, band, common):
    scene = dates.told(f"/data/{name}")
    assert (scene.band, bands.common_name(scene)) == (band, common)


def test_facts_of_names():
    scene = dates.told(
        "/data/S2A_MSIL1C_20200717T221941_N0209_R029_T01LAC_20200717T234135.SAFE/G/T01LAC_20200717T221941_B04.jp2"
    )
    assert (scene.tile, scene.level, scene.platform, scene.relative_orbit) == ("01LAC", "L1C", "S2A", 29)
    scene = dates.told("/data/LC08_L1TP_063018_20160718_20200906_02_T1_B8.TIF")
    assert (scene.tile, scene.level) == ("063018", "L1TP")
    assert dates.told("/data/LC80630182016200LGN00_B8.tif").tile == "063018"


def test_files_of_several_bands_are_refused_or_chosen_from(tmp_path):
    for day in (1, 6):
        for seed, band in enumerate(("B03", "B04")):
            write(tmp_path / f"T32TLR_202007{day:02}T102021_{band}_10m.tif", pixels(seed=10 * day + seed))
    with pytest.raises(ValueError, match=r"B03 \[green\] \(2 scenes\), B04 \[red\] \(2 scenes\).*band='green'"):
        open_stack(tmp_path)
    # on different dates it was a mixture that nobody saw
    with pytest.raises(ValueError, match="images of one band"):
        open_stack([tmp_path / "T32TLR_20200701T102021_B03_10m.tif", tmp_path / "T32TLR_20200706T102021_B04_10m.tif"])
    for band in ("B04", "red"):
        stack = open_stack(tmp_path, band=band)
        np.testing.assert_array_equal(stack, [pixels(seed=11), pixels(seed=61)])
    dated = open_stack(tmp_path, band="B03", date=["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"])
    assert dated.time.dt.day.values.tolist() == [1, 3]


# --------------------------------------------------------------------------------------------------------------- tiles


def tiles_of_two_dates(**options):
    return [
        layer(day, place=place, tile=tile, value=value + day, seconds=second, **options)
        for day in (0, 5)
        for tile, place, value, second in (("31TGL", (0, 0), 1.0, 9), ("31TGK", (1, 0), 2.0, 2))
    ]


def test_tiles_of_a_pass_are_one_image():
    first, second = sorted(chosen(tiles_of_two_dates(strip=2)), key=lambda each: each.scene.date)
    assert first.image.grid.height == 7
    assert first.image.strip == 2
    # the tile that comes first by name counts where both have a value
    values = first.image.read(first.image.grid.whole)
    np.testing.assert_array_equal(values, np.repeat([[1.0], [2.0]], [3, 4], axis=0) * np.ones(5))
    np.testing.assert_array_equal(first.image.read((slice(2, 5), slice(1, 3))), values[2:5, 1:3])
    assert first.scene.tile == "31TGK + 31TGL"
    assert first.scene.name == "S2A_31TGK_L1C_0 + S2A_31TGL_L1C_0"
    assert first.scene.date == np.datetime64("2020-07-17T10:30:33")
    assert second.scene.date - first.scene.date == np.timedelta64(5, "D")
    assert pickle.loads(pickle.dumps(first)).image.grid == first.image.grid


def test_missing_pixels_are_filled_from_the_next_tile():
    upper, lower = tiles_of_two_dates()[:2]
    lower.image.values[0, 1] = np.nan
    upper.image.values[3, 2] = np.nan
    mosaic = chosen([upper, lower])[0].image
    row = mosaic.read((slice(3, 4), slice(0, 5)))[0]
    np.testing.assert_array_equal(row, [2, 1, 2, 2, 2])


def test_angles_of_a_mosaic_are_means_on_the_circle():
    a, b = tiles_of_two_dates()[:2]
    scenes = [
        dataclasses.replace(each.scene, sun_azimuth=azimuth, sun_elevation=40.0, view_azimuth=100.0, view_zenith=5.0)
        for each, azimuth in ((a, 359.0), (b, 3.0))
    ]
    joined = mosaics.join([Layer(scene, each.image) for scene, each in zip(scenes, (a, b), strict=True)]).scene
    assert joined.sun_azimuth == pytest.approx(1.0)
    assert joined.sun_elevation == pytest.approx(40.0, abs=0.02)
    assert (joined.view_azimuth, joined.view_zenith) == (100.0, 5.0)
    assert joined.processed is None
    # a class of geometry of its own, not the lack of one
    mixed = [dataclasses.replace(scene, geometry=text) for scene, text in zip(scenes, ("a", "b"), strict=True)]
    joined = mosaics.join([Layer(scene, each.image) for scene, each in zip(mixed, (a, b), strict=True)]).scene
    assert joined.geometry == "a + b"


def test_a_seam_of_other_values_is_refused():
    a, b = tiles_of_two_dates()[:2]
    a = Layer(dataclasses.replace(a.scene, radiometric_offset=0.0), a.image)
    b = Layer(dataclasses.replace(b.scene, radiometric_offset=-1000.0), b.image)
    with pytest.raises(ValueError, match=r"with one radiometric_offset.*-1000\.0 of .*or get both from one processing"):
        chosen([a, b])


def test_every_date_has_the_same_tiles_unless_they_are_named():
    layers = tiles_of_two_dates()[:3]
    with pytest.raises(
        ValueError,
        match=r'of 2 dates 31TGK \(1 date\), 31TGL \(2 dates\)\. Take one, tile="31TGL", or several, tile=\[',
    ):
        chosen(layers)
    first, second = sorted(chosen(layers, tile=["31TGK", "31TGL"]), key=lambda each: each.scene.date)
    assert (first.image.grid.height, second.image.grid.height) == (7, 4)
    assert [each.scene.tile for each in chosen(layers, tile=["31TGL"])] == ["31TGL", "31TGL"]
    with pytest.raises(ValueError, match=r"of tile 31TFK; got 31TGK \(1 scene\), 31TGL \(2 scenes\)"):
        chosen(layers, tile=["31TFK", "31TGL"])
    with pytest.raises(ValueError, match=r"tell their tile.*crop with bbox="):
        chosen([*layers, layer(7, tile=None)], tile=["31TGL"])


def test_different_tiles_on_different_dates_of_products_are_refused():
    with pytest.raises(ValueError, match="the same tiles on every date"):
        chosen([layer(), layer(5, tile="31TGL", place=(1, 0))])


@pytest.mark.parametrize("options", [{"zone": 32}, {"offset": 0.5}])
def test_tiles_of_other_grids_are_refused(options):
    with pytest.raises(ValueError, match=r"tiles of one grid.*tile='31TGK' or tile='32TLQ'"):
        chosen([layer(), layer(tile="32TLQ", place=(1, 0), seconds=5, **options)])


def test_rows_of_landsat_are_one_image():
    facts = {"platform": "LC08", "relative_orbit": 63, "level": "L1TP", "band": "B8"}
    layers = [
        layer(day, tile=f"06301{7 + k}", place=(k, 0), seconds=24 * k, **facts) for day in (0, 16) for k in range(2)
    ]
    assert [each.scene.tile for each in chosen(layers)] == ["063017 + 063018"] * 2


def test_the_order_of_the_files_makes_no_difference():
    layers = tiles_of_two_dates()
    for files in (layers, layers[::-1], [layers[k] for k in (2, 0, 3, 1)]):
        found = sorted(chosen([], files=files), key=lambda each: each.scene.date)
        assert [each.scene.tile for each in found] == ["31TGK + 31TGL"] * 2
        assert [each.scene for each in found] == [
            each.scene for each in sorted(chosen(layers), key=lambda each: each.scene.date)
        ]


def test_tiles_of_files_are_one_image(tmp_path):
    for day in (1, 6):
        for row, tile in enumerate(("32TLS", "32TLR")):
            write(
                tmp_path / f"T{tile}_202007{day:02}T102021_B04.tif",
                pixels((40, 50), seed=day + row),
                shift=(0, 30 * row),
            )
    stack = open_stack(tmp_path)
    assert stack.shape == (2, 70, 50)
    assert "undeclared_zeros" not in stack.attrs
    np.testing.assert_array_equal(stack[0, :30], pixels((40, 50), seed=1)[:30])
    np.testing.assert_array_equal(stack[0, 30:], pixels((40, 50), seed=2))
    assert stack.tile.values.tolist() == ["32TLR + 32TLS"] * 2
    np.testing.assert_array_equal(open_stack(tmp_path, chunks=16), stack)
    np.testing.assert_array_equal(open_stack(tmp_path, tile="32TLS")[1], pixels((40, 50), seed=6))


def test_zeros_of_one_tile_are_noticed(tmp_path):
    for row, tile in enumerate(("32TLS", "32TLR")):
        values = pixels((40, 50), seed=row)
        values[:12, :12] = 0
        write(tmp_path / f"T{tile}_20200701T102021_B04.tif", values, shift=(0, 40 * row))
    assert "undeclared_zeros" in open_stack(tmp_path).attrs
    assert "undeclared_zeros" not in open_stack(tmp_path, nodata=0).attrs


def test_lists_hold_patterns(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / f"ortho_2020010{1 + (folder == 'b')}.tif", pixels())
    stack = open_stack([f"{tmp_path}/b/*.tif", tmp_path / "a" / "ortho_20200101.tif"])
    assert stack.sizes["time"] == 2
    with pytest.raises(FileNotFoundError, match="no file matches"):
        open_stack([f"{tmp_path}/a/*.tif", f"{tmp_path}/c/*.tif"])


def test_files_that_tell_no_tile_are_not_chosen_from(tmp_path):
    write(tmp_path / "ortho_20200101.tif", pixels())
    with pytest.raises(ValueError, match="tell their tile"):
        open_stack(tmp_path, tile="32TLS")
    with pytest.raises(ValueError, match="tell their orbit"):
        open_stack(tmp_path, orbit=8)


# ------------------------------------------------------------------------------------------------------------ products


def test_the_newest_product_of_an_acquisition_is_opened(tmp_path, caplog):
    safe_products.write(tmp_path, seed=1, baseline="03.01", processed="2021-07-17T15:00:00")
    new = safe_products.write(tmp_path, seed=2, baseline="05.00", processed="2023-01-01T00:00:00", as_zip=True)
    other = safe_products.write(tmp_path, seed=3, date="2021-07-22T10:20:31.024")
    with caplog.at_level(logging.WARNING, "xoffset"):
        stack = open_stack(tmp_path, band="B04")
    assert stack.scene.values.tolist() == [new.name, other.name]
    assert f"{new.name}, not " in caplog.text
    np.testing.assert_array_equal(stack.fillna(0)[0], new.pixels["B04_10m"])


def test_a_tile_in_two_data_strips_is_one_image(tmp_path):
    """Each of two products holds the part of the tile that its data strip saw."""
    pixels = np.arange(1, 240 * 240 + 1).reshape(240, 240)
    row = np.arange(240)[:, np.newaxis]
    upper, lower = np.where(row < 130, pixels, 0), np.where(row >= 120, pixels, 0)
    first = safe_products.write(tmp_path, pixels={"B04": upper}, strip="2021-07-17T10:15:00")
    second = safe_products.write(
        tmp_path, pixels={"B04": lower}, date="2021-07-17T10:20:48.000", processed="2021-07-17T15:00:00"
    )
    stack = open_stack(tmp_path, band="B04")
    seen = [truth.pixels["B04_10m"] for truth in (first, second)]
    np.testing.assert_array_equal(stack.fillna(0)[0], np.where(seen[0], *seen))
    assert int(stack.notnull().sum()) > max(np.count_nonzero(each) for each in seen)
    assert (stack.tile.item(), stack.time.values[0]) == ("31TGK", first.date)
    detector = xoffset.detectors(tmp_path, like=stack, band="B04")
    np.testing.assert_array_equal(detector[0], first.detectors["10m"])
    # made anew from one strip, the newest is whole
    again = safe_products.write(tmp_path, pixels={"B04": pixels}, baseline="05.00", processed="2023-01-01T00:00:00")
    stack = open_stack(tmp_path, band="B04")
    assert stack.scene.item() == again.name
    assert second.name != again.name


def test_tiles_orbits_and_levels_of_products(tmp_path):
    for day in ("17", "22"):
        for tile, x in (("31TGK", 700000.0), ("31TGJ", 701800.0)):
            seen = f"2021-07-{day}T10:20:31.024"
            safe_products.write(tmp_path, date=seen, tile=tile, corner=(x, 5000040.0), seed=int(day) + int(x))
    stack = open_stack(tmp_path, band="B04")
    assert stack.shape == (2, 240, 420)
    assert stack.tile.values.tolist() == ["31TGJ + 31TGK"] * 2
    assert stack.relative_orbit.values.tolist() == [65, 65]
    np.testing.assert_array_equal(open_stack(tmp_path, band="B04", chunks=100), stack)
    one = open_stack(tmp_path, band="B04", tile="31TGK")
    assert one.shape == (2, 240, 240)
    assert one.tile.values.tolist() == ["31TGK"] * 2
    # to the west of where the other tile begins
    np.testing.assert_array_equal(stack[:, :, :180], one[:, :, :180])
    with pytest.raises(ValueError, match=r"tile 31TGL"):
        open_stack(tmp_path, band="B04", tile="31TGL")
    safe_products.write(tmp_path, date="2021-07-25T10:30:31.024", orbit=108, corner=(700000.0, 5000040.0))
    with pytest.raises(ValueError, match=r"of one relative orbit; got 108 \(1 scene\), 65 \(4 scenes\)"):
        open_stack(tmp_path, band="B04")
    assert open_stack(tmp_path, band="B04", orbit=108).sizes["time"] == 1
    with pytest.raises(ValueError, match=r'same tiles on every date.*tile="31TGK"'):
        open_stack(tmp_path, band="B04", orbit=[65, 108])
    assert open_stack(tmp_path, band="B04", orbit=[65, 108], tile="31TGK").sizes["time"] == 3
    safe_products.write(tmp_path, level="L2A", date="2021-07-27T10:20:31.024", corner=(700000.0, 5000040.0))
    with pytest.raises(ValueError, match=r"of one level; got L1C \(3 scenes\), L2A \(1 scene\)"):
        open_stack(tmp_path, band="B04", orbit=[65, 108], tile="31TGK")


def test_tiles_of_an_old_product_in_two_zones_are_refused(tmp_path):
    safe_products.write_old(tmp_path)
    with pytest.raises(ValueError, match=r"tiles of one grid.*tile='04MGV' or tile='05MKP'"):
        open_stack(tmp_path, band="B04")
    assert open_stack(tmp_path, band="B04", tile="04MGV").sizes["time"] == 1


def test_scenes_of_landsat(tmp_path, caplog):
    landsat_products.write_scene(tmp_path, processed="2016-07-18T23:59:57", seed=1)
    final = landsat_products.write_scene(tmp_path, processed="2016-09-06T10:00:00", seed=2, packed=".tar")
    with caplog.at_level(logging.WARNING, "xoffset"):
        stack = open_stack(tmp_path, band="red")
    assert stack.scene.values.tolist() == [final.name]
    assert f"{final.name}, not " in caplog.text
    older = landsat_products.write_scene(tmp_path, platform="LE07", time="2016-07-10T20:37:06.3391580", seed=3)
    with pytest.raises(
        ValueError, match=r"B4 of LC08 \[red\] \(2 scenes\), B4 of LE07 \[nir08\] \(1 scene\).*band='red'"
    ):
        open_stack(tmp_path, band="B4")
    assert open_stack(tmp_path, band="red").scene.values.tolist() == [older.name, final.name]
    landsat_products.write_scene(tmp_path, path=62, time="2016-07-27T20:37:06.3391580")
    with pytest.raises(ValueError, match=r"Landsat scenes of one relative orbit; got 62 \(1 scene\), 63 \(3 scenes\)"):
        open_stack(tmp_path, band="red")
    assert open_stack(tmp_path, band="red", orbit=63).sizes["time"] == 2


def test_sentinel2_and_landsat_in_one_stack(tmp_path):
    corner = landsat_products.CORNER
    for day in (17, 22):
        date = f"2016-07-{day}T20:50:31.024"
        safe_products.write(tmp_path, date=date, tile="07VEH", corner=corner, size=120, baseline="02.04", orbit=8)
    landsat_products.write_scene(tmp_path)
    with pytest.raises(ValueError, match="not on that of"):
        open_stack(tmp_path, band="red")
    stack = open_stack(tmp_path, band="red", align="cubic")
    assert stack.platform.values.tolist() == ["S2A", "LC08", "S2A"]
    assert stack.relative_orbit.values.tolist() == [8, 63, 8]
    assert stack.native_pixel_size.values.tolist() == [10.0, 30.0, 10.0]
    assert stack.attrs["align"] == "cubic"
    np.testing.assert_array_equal(open_stack(tmp_path, band="red", align="cubic", chunks=50), stack)
    only = open_stack(tmp_path, band="red", align="cubic", orbit=[8, 63], tile=["07VEH", "063018"])
    np.testing.assert_array_equal(only, stack)


def test_satellites_without_the_band_are_told(tmp_path, caplog):
    for name in ("T31TGK_20200717T103031_B08", "LC08_L1TP_196030_20200718_20200722_01_T1_B5"):
        write(tmp_path / f"{name}.tif", pixels())
    with caplog.at_level(logging.WARNING):
        assert open_stack(tmp_path, band="nir").sizes["time"] == 1
    assert "no file of Landsat shows band 'nir'; left out are those of nir08" in caplog.text
    caplog.clear()
    assert open_stack(tmp_path / "T31*", band="nir").sizes["time"] == 1
    assert not caplog.records
