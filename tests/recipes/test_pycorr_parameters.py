"""The recipe `pycorr`: every option has its effect."""

import dataclasses
import logging
import sys

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from pycorr_scenes import DATES, DAYS, FAST, STEM, scene_in, write
from tile_indexes import shapefile
from unreliable_server import serving

import xoffset
from xoffset.cli import main
from xoffset.pipeline.planning import make_plan
from xoffset.recipes import Pycorr
from xoffset.recipes.base import read_toml
from xoffset.recipes.known import RECIPES, as_recipe

NAMES = {"img1_name": "S2_20200512_B08.tif", "img2_name": "S2_20200527_B08.tif"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return scene_in(tmp_path_factory.mktemp("options"))


@pytest.fixture(scope="module")
def small(scene):
    """A corner of the scene that moves."""
    return scene.stack.isel(y=slice(40, 136), x=slice(60, 156))


def results(scenes, **changes):
    """Results of the recipe, lazy, and nothing is written."""
    return make_plan(Pycorr(**FAST | changes), scenes, {}).results


def screened(scenes, **changes):
    return results(scenes, **changes)["shifts"].dx.compute()


# ------------------------------------------------------------------------------------------------------- the two images


def dates_of(stack):
    return [str(date)[:10] for date in stack.time.values.astype("M8[D]")]


def test_images_are_named(scene, tmp_path):
    """img1_name, img2_name: two of three images in the folder of the scenes."""
    folder = tmp_path / "three"
    folder.mkdir()
    for path in scene.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    write(folder / "S2_20200601_B08.tif", scene.stack.values[1].astype("float32"), scene.stack)
    assert results(folder)["stack"].sizes["time"] == 3
    assert dates_of(results(folder, **NAMES)["stack"]) == list(DATES)
    with pytest.raises(ValueError, match=r"needs img2_name for img1_name"):
        Pycorr(img1_name="a.tif")
    with pytest.raises(ValueError, match=r"a folder as scenes, in which to look for img1_name.*Pass the folder"):
        results(scene.stack, **NAMES)


def test_folders_are_those_of_the_program(scene, tmp_path):
    """imgdir, img1dir, img2dir, in place of the scenes."""
    assert dates_of(results(tmp_path, imgdir=str(scene.folder), **NAMES)["stack"]) == list(DATES)
    for k, name in enumerate(NAMES.values(), start=1):
        (tmp_path / f"{k}").mkdir()
        (tmp_path / f"{k}" / name).write_bytes((scene.folder / name).read_bytes())
    both = {"img1dir": str(tmp_path / "1"), "img2dir": str(tmp_path / "2")}
    assert dates_of(results("nothing", **both, **NAMES)["stack"]) == list(DATES)
    with pytest.raises(FileNotFoundError):
        results(tmp_path, imgdir=str(tmp_path), **NAMES)
    with pytest.raises(ValueError, match=r"needs imgdir or img1dir; got both"):
        Pycorr(imgdir="a", img1dir="b", **NAMES)
    with pytest.raises(ValueError, match=r"needs img1_name for imgdir.*would have no effect"):
        Pycorr(imgdir="a")


def test_dates_are_told(scene, tmp_path):
    """img1datestr, img2datestr, datestrfmt: of files whose names tell none, or in their names."""
    for name, source in (("first.tif", NAMES["img1_name"]), ("then.tif", NAMES["img2_name"])):
        (tmp_path / name).write_bytes((scene.folder / source).read_bytes())
    told = {"img1datestr": "05/12/2020", "img2datestr": "05/27/2020", "datestrfmt": "%m/%d/%Y"}
    assert dates_of(results(tmp_path, **told)["stack"]) == list(DATES)
    iso = {"img1datestr": "20200512T2059", "img2datestr": "2020-05-27"}
    assert str(results(tmp_path, **iso)["stack"].time.values[0])[:16] == "2020-05-12T20:59"
    found = results(scene.folder, datestrfmt="S2_%Y%m%d")["stack"]
    assert dates_of(found) == list(DATES)
    with pytest.raises(ValueError, match=r"a date in ISO 8601 as img1datestr; got '05/12/2020'.*datestrfmt="):
        Pycorr(**told | {"datestrfmt": None})
    with pytest.raises(ValueError, match=r"image 1 before image 2; got .*Exchange them"):
        Pycorr(img1datestr="20200527", img2datestr="20200512")
    with pytest.raises(ValueError, match=r"needs img2datestr for img1datestr"):
        Pycorr(img1datestr="20200512")
    with pytest.raises(ValueError, match=r"two files as scenes for img1datestr"):
        results(scene.stack, **iso)


def test_bbox_is_cut_out(scene):
    box = (float(scene.stack.x[20]), float(scene.stack.y[119]), float(scene.stack.x[139]), float(scene.stack.y[10]))
    assert results(scene.folder, bbox=box)["stack"].sizes == {"time": 2, "y": 110, "x": 120}
    assert results(scene.stack, bbox=box)["stack"].sizes == {"time": 2, "y": 110, "x": 120}


def test_more_images_run_pair_by_pair(scene):
    """Each with the next; with more of them, or only the shorter pairs, if it is told so."""
    three = xr.concat([scene.stack, scene.stack[1:].assign_coords(time=[np.datetime64("2020-06-30")])], "time")
    of = ends(results(three)["network"]).astype("M8[D]").astype(str).tolist()
    assert of == [list(DATES), [DATES[1], "2020-06-30"]]
    assert results(three, max_gap=2)["network"].sizes["pair"] == 3
    assert results(three, max_baseline="20D")["network"].sizes["pair"] == 1


def ends(network):
    return np.stack([network.reference.values, network.secondary.values], axis=1)


# ------------------------------------------------------------------------------------------------------------- matching


def test_chips_and_their_distance(small):
    """half_source_chip is the window, half_target_chip less it the search, inc the distance of chips."""
    found = results(small, half_source_chip=10, half_target_chip=17, inc=6)["matches"]
    assert float(found.window_size) == 200.0
    assert float(found.search_area) == (2 * 7 - 1) ** 2 * 100.0
    assert float(found.x[1] - found.x[0]) == 60.0


def test_half_target_chip_bounds_what_is_found(small):
    """Ice moves 2.5 px, and the images are a pixel off: more than three pixels are found by a wider search alone."""
    wide, narrow = (results(small, half_target_chip=k)["matches"].dx.compute() for k in (16, 12))
    assert float(abs(narrow).max()) < 40.0
    assert float(abs(wide).max()) >= float(abs(narrow).max())
    assert int(narrow.notnull().sum()) != int(wide.notnull().sum())


def test_high_pass(small):
    """gfilt_sigma, do_not_highpass_input_images."""
    plain, finer = (results(small, **each)["matches"].dx.compute() for each in ({}, {"gfilt_sigma": 1.5}))
    assert not np.array_equal(plain, finer, equal_nan=True)
    options = [next(step for step in Pycorr(**each).steps if step.name == "matches").options["prefilter"]
               for each in ({}, {"gfilt_sigma": 1.5}, {"do_not_highpass_input_images": True})]  # fmt: skip
    assert [getattr(each, "coarse", None) for each in options] == [3.0, 1.5, None]
    with pytest.raises(ValueError, match=r"needs do_not_highpass_input_images or gfilt_sigma; got both"):
        Pycorr(do_not_highpass_input_images=True, gfilt_sigma=2.0)


def test_masks_follow_the_rule(small):
    """dcam, cam, cam1: (del_corr < dcam and corr < cam) or corr < cam1."""
    plan = results(small)
    score, gap = (plan["matches"][name].compute() for name in ("score", "peak_gap"))
    known = plan["matches"].dx.compute().notnull()
    cases = [{"dcam": 0.3}, {"dcam": 0.3, "cam": 0.7}, {"cam1": 0.8}, {"dcam": 0.0}]
    for case in cases:
        dcam, cam, cam1 = ({"dcam": 0.05, "cam": 1.0, "cam1": 0.0} | case).values()
        wanted = known & ~(((gap < dcam) & (score < cam)) | (score < cam1))
        np.testing.assert_array_equal(screened(small, **case).notnull(), wanted)
        assert int(wanted.sum()) < int(known.sum()) or case == {"dcam": 0.0}


def test_trackvmax_enlarges_the_search(small):
    """30 m/d in 15 days of 10 m pixels are 45 px; what is slower leaves half_target_chip as it is."""
    assert "reach" not in results(small)
    assert int(results(small, trackvmax=10.0)["reach"].max()) == 16
    assert int(results(small, trackvmax=1.0)["reach"].max()) == 8


def test_a_speed_reference_shortens_it(scene, tmp_path):
    """1.5 v dt + 5 px, not more than without it; nodatavmax where it has none."""
    shape = scene.stack.shape[1:]
    vx = np.full(shape, 0.4, dtype="float32")
    vx[:, :60] = np.nan
    vx[:, 150:] = 8.0
    paths = [str(write(tmp_path / f"{name}.tif", each, scene.stack, nodata=np.nan))
             for name, each in (("vx", vx), ("vy", 0.0 * vx))]  # fmt: skip
    told = {"speed_ref": tuple(paths), "speed_ref_per": "day", "half_target_chip": 30}
    found = results(scene.stack, **told)["reach"]
    at = {name: int(found.sel(x=float(scene.stack.x[k]), method="nearest")[10]) for k, name in
          ((30, "none"), (100, "slow"), (180, "fast"))}  # fmt: skip
    assert at == {"none": int(np.ceil(1.5 * 0.333 * DAYS / 10.0)) + 5, "slow": int(np.ceil(0.9)) + 5, "fast": 22}
    more = results(scene.stack, **told, nodatavmax=2.0)["reach"]
    assert int(more.sel(x=float(scene.stack.x[30]), method="nearest")[10]) == int(np.ceil(4.5)) + 5
    shifts = results(scene.stack, **told)["matches"]
    assert shifts.sizes["y"] == found.sizes["y"]
    with pytest.raises(ValueError, match=r"needs speed_ref for nodatavmax; got nodatavmax=2.0 alone"):
        Pycorr(nodatavmax=2.0)


# ------------------------------------------------------------------------------------------------ land, glacier, ocean


def test_mask_file_and_folder(scene):
    """lgo_mask_filename, lgo_mask_file_dir."""
    whole = results(scene.stack, lgo_mask_filename=str(scene.mask))["land"]
    parted = results(scene.stack, lgo_mask_filename=scene.mask.name, lgo_mask_file_dir=str(scene.mask.parent))["land"]
    xr.testing.assert_equal(whole, parted)
    assert set(np.unique(whole)) == {0, 1, 2}
    with pytest.raises(
        FileNotFoundError, match=r"raster of land, glaciers and water; got .*none.tif, which is not there"
    ):
        results(scene.stack, lgo_mask_filename="none.tif")
    with pytest.raises(ValueError, match=r"needs lgo_mask_filename for lgo_mask_file_dir"):
        Pycorr(lgo_mask_file_dir="masks")


def test_land_is_searched_less(scene):
    """lgo_mask_limit_land_offset: 5 px on land and water."""
    found = results(scene.stack, lgo_mask_filename=str(scene.mask), lgo_mask_limit_land_offset=True)["reach"]
    assert set(np.unique(found)) == {5, 8}
    land = results(scene.stack, lgo_mask_filename=str(scene.mask))["land"].sel(x=found.x, y=found.y, method="nearest")
    np.testing.assert_array_equal(found == 5, land.isin([1, 2]))
    with pytest.raises(
        ValueError, match=r"needs lgo_mask_filename or use_itslive_land_mask_from_web for lgo_mask_limit"
    ):
        Pycorr(lgo_mask_limit_land_offset=True)


def test_the_offset_of_land_comes_off(scene):
    """offset_correction_lgo_mask."""
    found = results(scene.stack, lgo_mask_filename=str(scene.mask), offset_correction_lgo_mask=True)[
        "corrected"
    ].compute()
    assert float(found.removed_dx.max()) == pytest.approx(10.0, abs=0.2)
    assert float(found.removed_dy.max()) == pytest.approx(-10.0, abs=0.2)
    assert int(found.is_corrected[0]) == 1
    with pytest.raises(ValueError, match=r"needs lgo_mask_filename or use_itslive\w+ for offset_correction_lgo_mask"):
        Pycorr(offset_correction_lgo_mask=True)


def test_larger_offsets_are_not_applied_but_told(scene, tmp_path, caplog):
    """max_allowable_pixel_offset_correction: the images are 1.4 px off."""
    changes = FAST | {"lgo_mask_filename": str(scene.mask), "offset_correction_lgo_mask": True}
    with caplog.at_level(logging.WARNING):
        found = xoffset.run(
            "pycorr", scene.stack, tmp_path, max_allowable_pixel_offset_correction=1.2, **changes
        )["corrected"].compute()  # fmt: skip
    assert int(found.is_corrected[0]) == 0
    assert xoffset.flags.flagged(found, "not_corrected").all()
    assert float(abs(found.removed_dx).max()) == 0.0
    assert "1 of 1 pairs have too little stable ground or too large a shift" in caplog.text
    with h5py.File(tmp_path / f"{STEM}_hp.nc") as file:
        told = dict(file["offset_correction"].attrs)
    assert told["offset_correction_type_applied"] in ("None", b"None")
    assert int(np.ravel(told["is_corrected"])[0]) == 0
    with pytest.raises(ValueError, match=r"for max_allowable_pixel_offset_correction; got .*would have no effect"):
        Pycorr(max_allowable_pixel_offset_correction=1.0)


def test_tiles_of_its_live_are_fetched(scene, tmp_path):
    """use_itslive_land_mask_from_web, from a server of this computer."""
    tiles = scene.mask.parent
    with serving(tiles) as server:
        shapefile(
            tiles, [((8.0, 44.0, 8.5, 44.5), "none.tif"), ((8.5, 44.5, 9.5, 46.0), f"{server.address}/ok/lgo.tif")]
        )
        told = {"itslive_land_mask_index": f"{server.address}/ok/index.shp", "use_itslive_land_mask_from_web": True}
        found = results(scene.stack, **told)
        corrected = found["corrected"].compute()
        assert any(kind for method, place, kind in server.requests() if "lgo.tif" in place)  # parts of it alone
    xr.testing.assert_equal(found["land"], results(scene.stack, lgo_mask_filename=str(scene.mask))["land"])
    assert float(corrected.removed_dx.max()) == pytest.approx(10.0, abs=0.2)
    with pytest.raises(ValueError, match=r"use_itslive_land_mask_from_web or lgo_mask_filename; got both"):
        Pycorr(use_itslive_land_mask_from_web=True, lgo_mask_filename="a.tif")
    # the program takes both, of which the first brings the second
    assert Pycorr(use_itslive_land_mask_from_web=True, offset_correction_lgo_mask=True).is_corrected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('lgo_mask_filename = "lgo.tif"', "mine/lgo.tif"),
        ('lgo_mask_filename = "lgo.tif"\nlgo_mask_file_dir = "masks"', "mine/masks/lgo.tif"),
        ('lgo_mask_filename = "/data/lgo.tif"', "/data/lgo.tif"),
        ('lgo_mask_filename = "../lgo.tif"', None),
        ('lgo_mask_filename = "../lgo.tif"\nlgo_mask_file_dir = "masks"', None),
        ('img1_name = "../a.tif"\nimg2_name = "b.tif"', None),
        ('img1_name = "a.tif"\nimg2_name = "../b.tif"\nimgdir = "images"', None),
    ],
)
def test_names_of_recipe_files_count_from_their_folder(text, told, tmp_path):
    folder = tmp_path / "mine"
    if told is None:
        with pytest.raises(ValueError, match=r"paths within its folder, or whole ones, as .*name; got '\.\./"):
            read_toml(f'recipe = "pycorr"\n{text}\n', RECIPES, folder=folder)
    else:
        assert read_toml(f'recipe = "pycorr"\n{text}\n', RECIPES, folder=folder).lgo_mask == str(tmp_path / told)


def test_a_server_that_does_not_answer_is_told(scene, monkeypatch):
    monkeypatch.setattr("xoffset.readers.patience.PAUSE", 0.0)
    told = {"itslive_land_mask_index": "http://127.0.0.1:9/index.shp", "use_itslive_land_mask_from_web": True}
    with pytest.raises(
        OSError, match=r"land_classes\(\) needs answers of a server; got .*of http://127.0.0.1:9/index.shp"
    ):
        results(scene.stack, **told)


# ---------------------------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def plain(small, tmp_path_factory):
    """Names of the files of a run without further options, and the folder."""
    out = tmp_path_factory.mktemp("plain") / "out"
    xoffset.run("pycorr", small, out, **FAST)
    return out


def run(scenes, out, **changes):
    xoffset.run("pycorr", scenes, out, **FAST | changes)
    return out


def test_files_of_a_plain_run(plain):
    found = {path.name for path in plain.iterdir() if path.is_file()}
    assert {f"{STEM}_hp.nc", f"{STEM}.tif", f"{STEM}.kmz"} <= found
    assert not [name for name in found if "log10" in name]
    with h5py.File(plain / f"{STEM}_hp.nc") as file:
        assert "lgo_mask" not in file
        assert dict(file["offset_correction"].attrs)["offset_correction_type_applied"] in ("None", b"None")


def test_output_dir_and_names(small, tmp_path):
    """output_dir, out_name_base; log10 draws a second picture, nlf leaves out the log."""
    out = run(small, tmp_path / "out", output_dir="ice/may", out_name_base="S2", log10=True, nlf=True)
    found = {path.relative_to(out).as_posix() for path in (out / "ice").rglob("*.*")}
    names = ("S2_hp.nc", "S2.tif", "S2.kmz", "S2_log10.tif", "S2_log10.kmz")
    assert found == {f"ice/may/{name}" for name in names}
    with h5py.File(out / "ice/may/S2_hp.nc") as file:
        assert "processing_log" not in file
    for wrong in ("../ice", "/ice"):
        with pytest.raises(ValueError, match=r"a folder within that of the run as output_dir"):
            Pycorr(output_dir=wrong)
    with pytest.raises(ValueError, match=r"name without signs of folders as out_name_base"):
        Pycorr(out_name_base="a/b")


def test_meters_per_year_and_the_colours(small, plain, tmp_path):
    """mpy: 365.25 times as many; plotvmax counts in them."""
    out = run(small, tmp_path / "out", mpy=True, plotvmax=15.0 * 365.25)
    values = []
    for folder in (plain, out):
        with h5py.File(folder / f"{STEM}_hp.nc") as file:
            values.append(file["vx"][:])
    known = values[0] > -9999.0
    np.testing.assert_allclose(values[1][known], 365.25 * values[0][known], rtol=1e-5)
    pictures = []
    for folder in (plain, out):
        with rasterio.open(folder / f"{STEM}.tif") as file:
            pictures.append(file.read().astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2
    other = run(small, tmp_path / "other", plotvmax=1.0)
    with rasterio.open(other / f"{STEM}.tif") as file:
        assert np.abs(pictures[0] - file.read().astype(int)).max() > 50


def test_geotiffs_instead_of_netcdf(small, tmp_path):
    """output_geotiffs_instead_of_netCDF, also without a CRS."""
    local = small.drop_vars("spatial_ref").drop_encoding()
    out = run(local, tmp_path / "out", output_geotiffs_instead_of_netCDF=True)
    names = {path.name for path in out.iterdir()}
    layers = ("vx", "vx_masked", "vy", "vy_masked", "vv", "vv_masked", "corr", "del_corr")
    assert {f"{STEM}_{name}.tif" for name in layers} <= names
    assert not [name for name in names if name.endswith(".nc")]
    with pytest.raises(ValueError, match=r"images with a CRS for netCDF.*output_geotiffs_instead_of_netCDF=True"):
        run(local, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("option", [{"VRT_dir": "/tmp"}, {"v": True}, {"progupdates": True}])
def test_what_has_nothing_to_do_is_told_once(small, option, tmp_path, caplog):
    (name,) = option
    with caplog.at_level(logging.WARNING, logger="xoffset"):
        run(small, tmp_path / "out", **option)
    told = [each for each in caplog.messages if "nothing to do" in each]
    assert len(told) == 1
    assert f"for {name}:" in told[0]
    assert Pycorr().warnings == []


# --------------------------------------------------------------------------------------------------------- the recipe


def test_the_recipe_has_the_options_of_the_program():
    names = {field.name for field in dataclasses.fields(Pycorr)}
    assert names >= {
        "img1_name", "img2_name", "imgdir", "img1dir", "img2dir", "output_dir", "img1datestr", "img2datestr",
        "datestrfmt", "out_name_base", "bbox", "plotvmax", "trackvmax", "nodatavmax", "half_source_chip",
        "half_target_chip", "inc", "gfilt_sigma", "dcam", "cam", "cam1", "lgo_mask_filename", "lgo_mask_file_dir",
        "use_itslive_land_mask_from_web", "VRT_dir", "max_allowable_pixel_offset_correction",
        "do_not_highpass_input_images", "v", "mpy", "log10", "nlf", "progupdates",
        "output_geotiffs_instead_of_netCDF", "offset_correction_lgo_mask", "lgo_mask_limit_land_offset",
    }  # fmt: skip
    defaults = {field.name: field.default for field in dataclasses.fields(Pycorr)}
    wanted = {
        "plotvmax": 15.0, "trackvmax": None, "nodatavmax": 0.333, "half_source_chip": 10, "half_target_chip": 20,
        "inc": 20, "gfilt_sigma": 3.0, "dcam": 0.05, "cam": 1.0, "cam1": 0.0,
        "max_allowable_pixel_offset_correction": 3.0,
    }  # fmt: skip
    assert {name: defaults[name] for name in wanted} == wanted


def test_help_tells_every_option():
    """-h."""
    told = CliRunner().invoke(main, ["run", "pycorr", "--help"])
    assert told.exit_code == 0
    for field in dataclasses.fields(Pycorr):
        assert f"--{field.name.replace('_', '-')}" in told.output


def test_the_command_takes_the_options(scene, tmp_path):
    options = ["--inc", "8", "--output-geotiffs-instead-of-netCDF", "--VRT-dir", "/tmp", "--v", "--out-name-base", "S2"]
    told = CliRunner().invoke(main, ["run", "pycorr", str(scene.folder), "-o", str(tmp_path / "out"), *options])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "out" / "S2_vx.tif").exists()


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"inc": 5}, r"an even number as inc \[px\]; got 5. Pass inc=6"),
        ({"inc": 0}, r"from 2 to inf as inc"),
        ({"half_source_chip": 10, "half_target_chip": 12}, r"at least 4 px more than half_source_chip.*got 12 and 10"),
        ({"half_source_chip": 4.5}, r"a whole number from 3 to 1000 as half_source_chip \[px\]; got 4.5"),
        ({"gfilt_sigma": 0}, r"from 0.5 to 100 as gfilt_sigma"),
        ({"dcam": 2}, r"from 0 to 1 as dcam"),
        ({"plotvmax": 0.1, "log10": True}, r"plotvmax above 0.1 for log10"),
        ({"speed_ref_per": "month"}, r"speed_ref_per to be one of day, year; got 'month'"),
        ({"img1_name": 3, "img2_name": "a"}, r"needs a text as img1_name; got 3"),
    ],
)
def test_values_out_of_range_are_refused(values, advice):
    with pytest.raises(ValueError, match=advice):
        Pycorr(**values)


def test_unknown_options_are_refused_with_the_nearest_name(tmp_path):
    for wrong, near in (("vrt_dir", "VRT_dir"), ("half_source_chips", "half_source_chip"), ("log_10", "log10")):
        with pytest.raises(TypeError, match=rf"got '{wrong}'. Did you mean '{near}'"):
            Pycorr.of({wrong: 1})
    (tmp_path / "mine.toml").write_text('recipe = "pycorr"\nimgdir = "../images"\nimg1_name = "a"\nimg2_name = "b"\n')
    with pytest.raises(ValueError, match=r"paths within its folder, or whole ones, as imgdir"):
        as_recipe(tmp_path / "mine.toml")
    with pytest.raises(TypeError, match=r"mpy to be True or False; got 1"):
        Pycorr(mpy=1)


def test_runs_go_on_only_with_the_same_options(small, plain):
    for changes, named in (({"trackvmax": 1.0}, "search"), ({"dcam": 0.1}, "pycorr"), ({"inc": 8}, "step")):
        with pytest.raises(ValueError, match=rf"(?s){named}|other"):
            xoffset.run("pycorr", small, plain, **FAST | changes)
    assert set(xoffset.run("pycorr", small, plain, **FAST)) == {"matches", "shifts"}


def test_maps_of_the_search_tell_runs_apart(small, tmp_path):
    run(small, tmp_path / "out", trackvmax=6.5)
    with pytest.raises(ValueError, match=r"search_map: was"):
        run(small, tmp_path / "out", trackvmax=8.0)


def test_one_image_is_refused(small):
    with pytest.raises(ValueError, match=r"two dates"):
        results(small.isel(time=slice(1)))


def test_images_without_data_end_after_matching(small):
    matches = results(small)["matches"]
    Pycorr().check("matches", matches)
    with pytest.raises(ValueError, match=r"recipe pycorr needs a match in at least one pair; got none of 1, as.*bbox"):
        Pycorr().check("matches", matches.assign(dx=matches.dx * np.nan))


def test_the_script_makes_the_same(scene, tmp_path):
    recipe = Pycorr(lgo_mask_filename=str(scene.mask), offset_correction_lgo_mask=True, nlf=True, **FAST, **NAMES)
    text = recipe.script(scene.folder, str(tmp_path / "out"))
    assert "xoffset.masking.land_classes(" in text
    assert "xoffset.correct(shifts, stable=ground, order=0, max_shift='3 px')" in text
    assert "xoffset.formats.pycorr.write(corrected, " in text
    assert "xoffset.formats.pycorr.write_browse(corrected, " in text
    exec(compile(text, "script", "exec"), {})
    assert (tmp_path / "out" / f"{STEM}_hp.nc").exists()
    assert Pycorr.from_toml(recipe.to_toml()) == recipe
    assert sys.modules["xoffset"] is xoffset
