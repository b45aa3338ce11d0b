"""Rasters in, a stack out: dates, bands, grids, crops, missing data, and the advice of every error."""

import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.enums import ColorInterp

from xoffset.model import checks, grids
from xoffset.readers import dates
from xoffset.readers.open_stack import open_stack
from xoffset.readers.pixels import Reader

UTM = "EPSG:32632"
ORIGIN = (500_000.0, 4_000_000.0)
SENTINEL = "S2A_MSIL1C_20200717T221941_N0209_R029_T01LAC_20200717T234135"


def pixels(shape=(40, 50), seed=0, low=1, high=250, dtype="uint8"):
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def write(path, values, *, shift=(0, 0), size=10.0, south_up=False, georeferenced=True, **profile):
    """Write bands (band, y, x) or (y, x); the shift (x, y) moves the first pixel from ORIGIN, in pixels."""
    values = np.atleast_3d(values.T).T if values.ndim == 2 else values
    extras = {name: profile.pop(name) for name in ("descriptions", "colorinterp", "mask") if name in profile}
    x, y = ORIGIN[0] + shift[0] * size, ORIGIN[1] - shift[1] * size
    if south_up:
        y, values = y - size * values.shape[1], values[:, ::-1]
    if georeferenced:
        place = {"crs": UTM, "transform": Affine(size, 0, x, 0, size if south_up else -size, y)}
        profile = place | profile
    profile = {"driver": "GTiff"} | profile | {"dtype": values.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", count=len(values), height=values.shape[1], width=values.shape[2], **profile
        ) as file:
            file.write(values)
            if "descriptions" in extras:
                file.descriptions = extras["descriptions"]
            if "colorinterp" in extras:
                file.colorinterp = extras["colorinterp"]
            if "mask" in extras:
                file.write_mask(extras["mask"])
    return str(path)


def series(folder, count=3, **options):
    """Files a_20200101.tif, a_20200102.tif ... with different pixels."""
    return [write(folder / f"a_2020010{k + 1}.tif", pixels(seed=k), **options) for k in range(count)]


# --------------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("name", "when", "platform", "orbit"),
    [
        (f"{SENTINEL}.jp2", "2020-07-17T22:19:41", "S2A", 29),
        ("S2A_MSIL1C_20200717T221941_R029_T01LAC_20200717T234135.tif", "2020-07-17T22:19:41", "S2A", 29),
        ("crop_S2B_MSIL2A_20220126T084129_N0400_R064_T36RUT_20220201T122115_B04.tif", "2022-01-26T08:41:29", "S2B", 64),
        ("T07HFE_20190212T192651_B04_10m.jp2", "2019-02-12T19:26:51", None, None),
        ("L2A_T32TMR_20170524T102031_B02_10m.jp2", "2017-05-24T10:20:31", None, None),
        (
            "S2A_OPER_PRD_MSIL1C_PDMC_20160910T174323_R071_V20160701T204642_20160701T204643.tif",
            "2016-07-01T20:46:42",
            "S2A",
            71,
        ),
        ("LC08_L1TP_063018_20160718_20200906_02_T1_B8.TIF", "2016-07-18", "LC08", None),
        ("LE07_L2SP_021030_20100109_20200911_02_T1_SR_B3.TIF", "2010-01-09", "LE07", None),
        ("LC80630182016200LGN00_B8_yahtse.tif", "2016-07-18", "LC08", None),
        ("LT50100671986114CUB00_B3.TIF", "1986-04-24", "LT05", None),
    ],
)
def test_dates_of_published_names(name, when, platform, orbit):
    scene = dates.scenes([f"/data/{name}"], None)[0]
    assert (scene.name, scene.date, scene.platform) == (Path(name).stem, np.datetime64(when, "us"), platform)
    assert scene.relative_orbit == orbit
    assert scene.date.dtype == "datetime64[us]"


@pytest.mark.parametrize(
    "name",
    [
        "1990.tif",
        "mosaic.tif",
        # the time in the name is that of the processing; only the product folder knows the acquisition
        "S2A_OPER_MSI_L1C_TL_SGS__20151218T001707_A002543_T59HNA_B04.jp2",
        "LC80630182016999LGN00_B8.tif",
        "tile_20201301.tif",  # no month 13
        "tile_12345678.tif",
        "tile_20200230.tif",
        "ortho20200717.tif",  # letters may make a number of it
        "20200717T103000.tif",
        "A2020153_ndvi.tif",
        "scene_20200717103000.tif",
        "ortho_17072020.tif",
        "ortho_07-17-2020.tif",
        "ortho_200717.tif",
        "ortho_2020-07.tif",
        "ortho_120200717.tif",
        "ortho_2020-07_17.tif",
        "T32TLR_031254_18200717.tif",  # before photography
    ],
)
def test_no_date_is_guessed(name):
    with pytest.raises(
        ValueError, match=rf"none in the name of {name}.*Pass date=: a strptime pattern.*or one date a file"
    ):
        dates.scenes([f"/data/{name}"], None)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("naip_20090818.tif", "2009-08-18"),
        ("20200101.jpg", "2020-01-01"),
        ("20200601_183015_1020_3B_AnalyticMS.tif", "2020-06-01"),
        ("T32TLR-B04 1956.07.01 19560701.tif", "1956-07-01"),
        ("ortho_2020-07-17_red.tif", "2020-07-17"),
        ("2020_07_17.ortho.tif", "2020-07-17"),
        ("2020-07-17_crop_2020-07-17.tif", "2020-07-17"),
        ("tile_12345678_20200717.tif", "2020-07-17"),
    ],
)
def test_one_date_in_any_other_name(name, when):
    assert dates.scenes([f"/20190101/{name}"], None) == [dates.Scene(Path(name).stem, np.datetime64(when, "us"))]


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("20180304-20180405_vx.tif", "2018-03-04 and 2018-04-05"),
        ("XLC08_L1TP_063018_20160718_20200906_02_T1_B8.TIF", "2016-07-18 and 2020-09-06"),
        ("ortho_20200717_2021-01-01.tif", "2020-07-17 and 2021-01-01"),
        # made on another day than it was taken
        ("ortho_20200717_made20210203.tif", "2020-07-17 and 2021-02-03"),
        ("20210203T101112_ortho_20200717.tif", "2020-07-17 and 2021-02-03"),
        ("20210203101112_ortho_20200717.tif", "2020-07-17 and 2021-02-03"),
        ("MOD13Q1.A2020153.20210203.tif", "2020-06-01 and 2021-02-03"),
    ],
)
def test_two_dates_in_a_name_are_ambiguous(name, both):
    with pytest.raises(ValueError, match=rf"needs one date in every name; got {both} in {name}\. Say which"):
        dates.scenes([name], None)


@pytest.mark.parametrize(
    ("first", "second", "rules"),
    [
        ("a_20200101.tif", "a_2020-01-02.tif", r"a_20200101.tif \(YYYYMMDD\) and a_2020-01-02.tif \(YYYY-MM-DD\)"),
        (f"{SENTINEL}.tif", "a_20200101.tif", r"S2A.*\(that of Sentinel-2 or Landsat\) and a_20200101.tif"),
    ],
)
def test_all_names_are_read_by_one_rule(first, second, rules):
    with pytest.raises(ValueError, match=rf"in one way; got {rules}.*one date a file"):
        dates.scenes([first, second], None)


def test_product_folder_adds_what_the_band_file_lacks():
    old = "S2A_OPER_PRD_MSIL1C_PDMC_20151218T020842_R115_V20151217T224602_20151217T224602.SAFE/GRANULE/x/IMG_DATA/"
    names = [
        f"/s/{SENTINEL}.SAFE/GRANULE/L1C_T01LAC_A026481_20200717T221944/IMG_DATA/T01LAC_20200717T221941_B04.jp2",
        f"/s/{old}S2A_OPER_MSI_L1C_TL_SGS__20151218T001707_A002543_T59HNA_B04.jp2",
        f"/s/{SENTINEL}.SAFE/T01LAC_20210101T221941_B04.jp2",
    ]
    first, second, stray = dates.scenes(names, None)
    assert (first.platform, first.relative_orbit, first.name) == ("S2A", 29, "T01LAC_20200717T221941_B04")
    assert (second.date, second.relative_orbit) == (np.datetime64("2015-12-17T22:46:02"), 115)
    assert (stray.date, stray.platform) == (np.datetime64("2021-01-01T22:19:41"), None)


def test_two_acquisitions_in_one_name_are_ambiguous():
    name = "LC08_L1TP_063018_20160718_20200906_02_T1_LC08_L1TP_063018_20160803_20200906_02_T1.tif"
    with pytest.raises(ValueError, match=r"got 2 in LC08.*strptime pattern with more of the name"):
        dates.scenes([name], None)


def test_what_programs_write_beside_images_is_passed_over(tmp_path):
    image = pixels()
    write(tmp_path / "a_20200101.tif", image)
    for end in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"a_20200101.tif{end}").write_bytes(b"no image")
    np.testing.assert_array_equal(open_stack(tmp_path / "a_*")[0], image)


@pytest.mark.parametrize(
    ("name", "pattern", "when"),
    [
        ("naip_20090818.tif", "%Y%m%d", "2009-08-18"),
        ("ortho_1953.tif", "ortho_%Y.tif", "1953-01-01"),
        ("x2020-200.tif", "x%Y-%j", "2020-07-18"),
        ("p_17Jul2020_1030.tif", "%d%b%Y_%H%M", "2020-07-17T10:30"),
        ("p_1DECEMBER-01-1956.tif", "%B-%d-%Y", "1956-12-01"),
        ("20201301_20200717.tif", "%Y%m%d", "2020-07-17"),  # month 13 is no date
        ("LC08_L1TP_063018_20160718_20200906_02_T1.tif", "063018_%Y%m%d", "2016-07-18"),
        ("a+b(1)_20200717T101112.5.tif", "a+b(1)_%Y%m%dT%H%M%S.%f", "2020-07-17T10:11:12.5"),
        ("100%_2020.tif", "100%%_%Y", "2020-01-01"),
    ],
)
def test_dates_by_pattern(name, pattern, when):
    assert dates.scenes([name], pattern)[0].date == np.datetime64(when)


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        ("ortho.tif", "ortho_%Y", r"finds none in ortho\.tif\. Write more or less of the name"),
        ("naip_20090818.tif", "%Y", "finds none in naip_20090818"),  # four of eight digits are no year
        ("20160718_20200906.tif", "%Y%m%d", "finds 2016-07-18 and 2020-09-06 in .*such as date='ortho_%Y%m%d'"),
        ("a_0717.tif", "a_%m%d", "needs a strptime pattern with a year; got no year"),
        ("a_2020.tif", "2020-01-01", "got no year.*one date a file in a list"),
        ("a_2020.tif", "%Y %q", "got the unknown %q.*Use %Y"),
        ("photo_560701.tif", "photo_%y%m%d", "years of four digits; got %y .*56 may be 1956 or 2056.*Use %Y .*a file"),
        ("17Jul20.tif", "%d%b%y", "years of four digits; got %y"),
        ("a_2020_17.tif", "a_%Y_%d", "got %d without what it is a part of"),
        ("a_20200717_30.tif", "a_%Y%m%d_%M", "got %M without what it is a part of"),
        ("a_2020_2021.tif", "a_%Y_%Y", "got a part of the date twice"),
        ("a_2020_07_Jul.tif", "a_%Y_%m_%b", "got a part of the date twice"),
        ("a_01lis2020.tif", "a_%d%b%Y", "finds none in"),  # October in Croatian, November in Czech
    ],
)
def test_errors_of_patterns(name, pattern, message):
    with pytest.raises(ValueError, match=message):
        dates.scenes([name], pattern)


def test_dates_by_list():
    given = [
        "2020-01-01",
        "2020-01-02T10:30",
        date(2020, 1, 3),
        datetime(2020, 1, 4, 12, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2020-01-05T01"),
    ]
    found = [scene.date for scene in dates.scenes(list("abcde"), given)]
    wanted = ["2020-01-01", "2020-01-02T10:30", "2020-01-03", "2020-01-04T10", "2020-01-05T01"]
    np.testing.assert_array_equal(found, np.array(wanted, dtype="M8[us]"))
    # names still tell the platform
    assert dates.scenes([f"{SENTINEL}.tif"], ["2020-01-01"])[0].relative_orbit == 29


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            ["2020-01-01"],
            ValueError,
            "got 1 dates for 2 files. Give them in the order of the files, from a.tif to b.tif",
        ),
        (["2020-01-01", "soon"], ValueError, "got 'soon'. Write it as '2020-06-01T10:30'"),
        (["2020-01-01", "03/04/2021"], ValueError, "Write '2021-04-03' or '2021-03-04', whichever is meant"),
        (["2020-01-01", 2020], ValueError, "got 2020. Write"),
        (["2020-01-01", np.datetime64("NaT")], ValueError, "NaT.*Write"),
        (date(2020, 1, 1), TypeError, "Put it in a list"),
    ],
)
def test_errors_of_lists(given, error, message):
    with pytest.raises(error, match=message):
        dates.scenes(["/x/a.tif", "/x/b.tif"], given)


# ------------------------------------------------------------------------------------------------------------- sources


def test_sources(tmp_path, monkeypatch):
    files = series(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "a_20200101.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "inner").mkdir()
    wanted = open_stack(files, date="%Y%m%d")
    for source in (
        tmp_path,
        str(tmp_path),
        str(tmp_path / "*.tif"),
        tmp_path / "a_*.tif",
        reversed(files),
        map(Path, files),
    ):
        xr.testing.assert_identical(open_stack(source, date="%Y%m%d"), wanted)
    monkeypatch.chdir(tmp_path)
    xr.testing.assert_identical(open_stack("*.tif", date="%Y%m%d"), wanted)
    xr.testing.assert_identical(open_stack(".", date="%Y%m%d"), wanted)
    one = open_stack(files[1], date="%Y%m%d")
    assert one.sizes == {"time": 1, "y": 40, "x": 50}
    xr.testing.assert_equal(one, wanted.isel(time=[1]))


def test_a_name_with_wildcards_is_a_file_first(tmp_path):
    path = write(tmp_path / "a[1].tif", pixels())
    assert open_stack(path, date=["2020-01-01"]).shape == (1, 40, 50)


def test_dates_follow_the_order_of_the_list(tmp_path):
    files = series(tmp_path)[::-1]
    stack = open_stack(files, date=["2021-01-03", "2021-01-02", "2021-01-01"])
    assert stack.scene.values.tolist() == ["a_20200101", "a_20200102", "a_20200103"]
    np.testing.assert_array_equal(stack[0], pixels(seed=0))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("{}/nothing*.tif", FileNotFoundError, r"no file matches .*nothing\*\.tif. Check the pattern"),
        ("{}/nothing.tif", FileNotFoundError, "there is no file .*nothing.tif. Check the name"),
        (["{}/a_20200101.tif", "{}/gone.tif"], FileNotFoundError, "there is no file .*gone.tif"),
        ("{}/empty", FileNotFoundError, r"found none in .*empty \(.tif.*give a pattern"),
        ("{}/*", ValueError, "got the folder .*empty among them. Give the files inside: a pattern"),
        ([], ValueError, "got an empty list"),
        (3, TypeError, "got int. Pass paths"),
        ("{}/notes.txt", OSError, "got .*notes.txt, which it cannot.*Fetch or make the file again, or leave it out"),
        ("{}/zero.tif", OSError, "got .*zero.tif, which it cannot"),
    ],
)
def test_errors_of_sources(tmp_path, source, error, message):
    series(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "zero.tif").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    if isinstance(source, str):
        source = source.format(tmp_path)
    elif isinstance(source, list):
        source = [path.format(tmp_path) for path in source]
    with pytest.raises(error, match=message):
        open_stack(source, date="%Y%m%d")


# ------------------------------------------------------------------------------------------------------------ contents


def test_labels(tmp_path):
    files = series(tmp_path)
    stack = checks.as_stack(open_stack(files, date="%Y%m%d"), "test")
    assert stack.dims == ("time", "y", "x")
    assert stack.dtype == np.float32
    assert isinstance(stack.data, np.ndarray)
    np.testing.assert_array_equal(stack, [pixels(seed=k) for k in range(3)])
    np.testing.assert_array_equal(stack.x, 500_005 + 10 * np.arange(50))
    np.testing.assert_array_equal(stack.y, 3_999_995 - 10 * np.arange(40))
    np.testing.assert_array_equal(stack.time, np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="M8[us]"))
    assert grids.crs_of(stack).to_epsg() == 32632
    assert stack.time.encoding["units"] == "microseconds since 1970-01-01"
    assert stack.encoding["grid_mapping"] == "spatial_ref"
    assert set(stack.coords) == {"time", "y", "x", "scene", "spatial_ref"}
    assert json.loads(stack.attrs["processing"])[-1]["function"] == "open_stack"
    assert "align" not in stack.attrs


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
def test_rioxarray_sees_the_crs_and_the_grid(tmp_path):
    import rioxarray  # noqa: F401

    stack = open_stack(series(tmp_path, shift=(3, 2)), date="%Y%m%d")
    assert stack.rio.crs.to_epsg() == 32632
    assert stack.rio.transform() == Affine(10, 0, ORIGIN[0] + 30, 0, -10, ORIGIN[1] - 20)


def test_platform_and_orbit_only_where_all_tell(tmp_path):
    names = ("20200717T221941_N0209_R029", "20200722T221941_N0209_R029", "20200719T221941_N0209_R072")
    files = [
        write(tmp_path / f"S2{'ABA'[k]}_MSIL1C_{name}_T01LAC_20200801T000000.tif", pixels(seed=k))
        for k, name in enumerate(names)
    ]
    stack = open_stack(files)
    assert stack.relative_orbit.dtype == np.int64
    assert stack.relative_orbit.values.tolist() == [29, 72, 29]
    assert stack.platform.values.tolist() == ["S2A", "S2A", "S2B"]
    assert stack.time.values[0] == np.datetime64("2020-07-17T22:19:41")
    other = write(tmp_path / "T01LAC_20200801T221941_B04.tif", pixels())
    assert not {"platform", "relative_orbit"} & set(open_stack([*files, other]).coords)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("uint8", "float32"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("int16", "float32"),
        ("float32", "float32"),
        ("uint32", "float64"),
        ("int32", "float64"),
        ("float64", "float64"),
    ],
)
def test_dtypes(tmp_path, dtype, result):
    path = write(tmp_path / "a.tif", pixels(dtype=dtype, high=120))
    for chunks in (None, 16):
        stack = open_stack(path, date=["2020-01-01"], chunks=chunks)
        assert stack.dtype == result
        assert stack.values.dtype == result
        np.testing.assert_array_equal(stack[0], pixels(high=120))


def test_mixed_dtypes_share_the_wider(tmp_path):
    files = [write(tmp_path / f"{name}.tif", pixels(dtype=name)) for name in ("uint8", "int32")]
    for chunks in (None, 16):
        stack = open_stack(files, date=["2020-01-01", "2020-01-02"], chunks=chunks)
        assert stack.dtype == stack.values.dtype == stack[0].values.dtype == np.float64


def test_complex_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((8, 8), dtype="complex64"))
    with pytest.raises(TypeError, match=r"got complex64 pixels in a.tif. Write the amplitude first"):
        open_stack(path, date=["2020-01-01"])


def test_raw_values_are_kept(tmp_path):
    path = write(tmp_path / "a.tif", pixels())
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1,), (-1000.0,)
    np.testing.assert_array_equal(open_stack(path, date=["2020-01-01"])[0], pixels())


# -------------------------------------------------------------------------------------------------------- missing data


@pytest.mark.parametrize(
    ("dtype", "declared", "given", "missing"),
    [
        ("uint8", None, None, None),
        ("uint8", 0, None, 0),
        ("uint8", 0, 7, 7),  # what is given replaces what is declared
        ("uint8", None, 7, 7),
        ("uint8", None, -9999, None),
        ("int16", -9999, None, -9999),
        ("float32", -3.4028234663852886e38, None, -3.4028234663852886e38),
        ("float32", np.nan, None, np.nan),
        ("float64", None, 0.1, 0.1),
    ],
)
def test_nodata(tmp_path, dtype, declared, given, missing):
    values = pixels(low=10, dtype=dtype)
    values[3, 4], values[5, 6] = (0, 7) if missing in (None, 0, 7) else (missing, 7)
    path = write(tmp_path / "a.tif", values, nodata=declared)
    stack = open_stack(path, date=["2020-01-01"], nodata=given)[0]
    wanted = values.astype(stack.dtype)
    wanted[values == missing] = np.nan
    np.testing.assert_array_equal(stack, wanted)


def test_float32_band_with_a_float64_nodata(tmp_path):
    path = write(tmp_path / "a.tif", pixels(dtype="float32"))
    assert not open_stack(path, date=["2020-01-01"], nodata=-1.7976931348623157e308).isnull().any()


def test_infinity_is_missing(tmp_path):
    values = pixels(dtype="float32")
    values[0, 0], values[1, 1] = np.inf, -np.inf
    stack = open_stack(write(tmp_path / "a.tif", values), date=["2020-01-01"])
    assert stack.isnull().sum() == 2


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_alpha_is_no_band_but_a_mask(tmp_path, driver):
    values = np.stack([pixels(), np.full((40, 50), 255, dtype="uint8")])
    values[1, :5], values[1, 6] = 0, 128
    kinds = (ColorInterp.gray, ColorInterp.alpha)
    options = {"alpha": "yes"} if driver == "GTiff" else {"georeferenced": False}
    path = write(tmp_path / "a.tif", values, driver=driver, colorinterp=kinds, **options)
    stack = open_stack(path, date=["2020-01-01"], pixel_size=None if driver == "GTiff" else 10)
    assert stack[0, :5].isnull().all()
    np.testing.assert_array_equal(stack[0, 5:], values[0, 5:])


def test_declared_nodata_and_alpha_both_count(tmp_path):
    values = np.stack([pixels(), np.full((40, 50), 255, dtype="uint8")])
    values[1, 0], values[0, 1] = 0, 0
    path = write(tmp_path / "a.tif", values, nodata=0, alpha="yes")
    assert open_stack(path, date=["2020-01-01"])[0].isnull().all("x").values.nonzero()[0].tolist() == [0, 1]


@pytest.mark.parametrize("options", [{}, {"compress": "jpeg"}])
def test_mask_band(tmp_path, options):
    mask = np.full((40, 50), 255, dtype="uint8")
    mask[:, :7] = 0
    path = write(tmp_path / "a.tif", pixels(), mask=mask, **options)
    for chunks in (None, 16):
        missing = open_stack(path, date=["2020-01-01"], chunks=chunks)[0].isnull()
        np.testing.assert_array_equal(missing, mask == 0)


# --------------------------------------------------------------------------------------------------------------- bands


def test_bands(tmp_path):
    values = np.stack([pixels(seed=k) for k in range(3)])
    files = [
        write(tmp_path / "a_20200101.tif", values, descriptions=("B02", "B03", "B04")),
        write(tmp_path / "a_20200102.tif", values[::-1], descriptions=("B04", "B03", "B02")),
    ]
    by_number = open_stack(files, date="%Y%m%d", band=3)
    np.testing.assert_array_equal(by_number, [values[2], values[0]])
    by_name = open_stack(files, date="%Y%m%d", band="B04")
    np.testing.assert_array_equal(by_name, [values[2], values[2]])


@pytest.mark.parametrize(
    ("band", "message"),
    [
        (None, r"needs one band; a.tif has bands 1 \(red\), 2 \(nir\), 3 \(blue\). Pass band="),
        (4, r"needs band 4; a.tif has bands 1 \(red\).*Pass the number of one of them"),
        (0, "needs band 0"),
        ("green", r"needs band 'green'; a.tif has bands 1 \(red\), 2 \(nir\)"),
    ],
)
def test_errors_of_bands(tmp_path, band, message):
    kinds = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    path = write(tmp_path / "a.tif", pixels((3, 8, 8)), colorinterp=kinds, descriptions=(None, "nir", None))
    with pytest.raises(ValueError, match=message):
        open_stack(path, date=["2020-01-01"], band=band)


def test_a_description_must_be_unique(tmp_path):
    path = write(tmp_path / "a.tif", pixels((2, 8, 8)), descriptions=("grey", "grey"))
    with pytest.raises(ValueError, match=r"needs band 'grey'; a.tif has bands 1 \(grey\), 2 \(grey\). Pass the number"):
        open_stack(path, date=["2020-01-01"], band="grey")


# --------------------------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize("south_up", [False, True])
def test_whole_pixels_are_aligned_by_index(tmp_path, south_up):
    big = pixels((70, 70), dtype="uint16", high=60_000)
    places = [(0, 0), (7, 3), (-4, 11)]
    files = [
        write(
            tmp_path / f"a_2020010{k + 1}.tif",
            big[10 + row : 50 + row, 10 + column : 60 + column],
            shift=(column, row),
            south_up=south_up,
        )
        for k, (column, row) in enumerate(places)
    ]
    stack = open_stack(files, date="%Y%m%d")
    assert stack.shape == (3, 51, 61)
    assert (stack.y[1] > stack.y[0]) == south_up
    upright = stack.sortby("y", ascending=False)
    for k, (column, row) in enumerate(places):
        wanted = np.full((51, 61), np.nan, dtype=np.float32)
        wanted[row : row + 40, column + 4 : column + 54] = big[10 + row : 50 + row, 10 + column : 60 + column]
        np.testing.assert_array_equal(upright[k], wanted)
    assert upright.x[0] == ORIGIN[0] - 35
    assert upright.y[0] == ORIGIN[1] - 5
    assert "resampled" not in stack.attrs


def test_rounding_of_a_geotransform_is_no_shift(tmp_path):
    files = [
        write(tmp_path / "a_20200101.tif", pixels()),
        write(tmp_path / "a_20200102.tif", pixels(), shift=(5e-4, -5e-4)),
    ]
    assert open_stack(files, date="%Y%m%d").shape == (2, 40, 50)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shift": (0.25, 0)}, r"shifted by \(0.25, 0\) px"),
        ({"shift": (3, 0.01)}, r"shifted by \(0, 0.01\) px"),
        ({"size": 20.0}, "pixels of 20 x -20 m, not 10 x -10 m"),
        ({"south_up": True}, "pixels of 10 x 10 m, not 10 x -10 m"),
        ({"crs": "EPSG:32633"}, "in WGS 84 / UTM zone 33N, not WGS 84 / UTM zone 32N"),
    ],
)
def test_unequal_grids_are_refused(tmp_path, options, reason):
    files = [*series(tmp_path), write(tmp_path / "b_20200201.tif", pixels(), **options)]
    advice = r"Pass align='cubic' to resample them once onto it, align='nearest' for classes\."
    message = rf"on one pixel grid; 1 of 4 are not on that of a_20200101.tif: b_20200201.tif \({reason}\)\. {advice}"
    with pytest.raises(ValueError, match=message):
        open_stack(files, date="%Y%m%d")


def test_the_list_of_unequal_files_is_short(tmp_path):
    odd = [write(tmp_path / f"b_2020020{k}.tif", pixels(), shift=(k / 10, 0)) for k in range(1, 7)]
    with pytest.raises(
        ValueError, match=r"6 of 9 are .*: b_20200201.tif .*b_20200203.tif \([^)]*\) px\) and 3 more\. Pass"
    ):
        open_stack([*series(tmp_path), *odd], date="%Y%m%d")


def smooth(shift=(0.0, 0.0), shape=(60, 70)):
    """Waves sampled at pixels moved by (x, y) px, long enough that cubic interpolation is nearly exact."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.0
    x, y = x + shift[0], y + shift[1]
    return (100 + 20 * np.sin(x / 6) + 20 * np.cos(y / 7 + 1)).astype("float32")


def test_cubic_alignment(tmp_path):
    files = [
        write(tmp_path / "a_20200101.tif", smooth()),
        write(tmp_path / "a_20200102.tif", smooth()),
        write(tmp_path / "a_20200103.tif", smooth((0.3, -0.4)), shift=(0.3, -0.4)),
    ]
    stack = open_stack(files, date="%Y%m%d", align="cubic")
    assert stack.attrs["align"] == "cubic"
    assert stack.attrs["resampled"] == "a_20200103.tif"
    assert json.loads(stack.attrs["processing"])[-1]["align"] == "cubic"
    np.testing.assert_array_equal(stack[:2, :60, :70], [smooth(), smooth()])
    inside = stack[2, 2:58, 2:68]
    assert np.abs(inside - smooth()[2:58, 2:68]).max() < 0.02


def test_files_on_the_target_grid_are_not_resampled(tmp_path):
    files = series(tmp_path)
    other = write(tmp_path / "b_20200201.tif", pixels(seed=9), shift=(0.5, 0.5))
    stack = open_stack([*files, other], date="%Y%m%d", align="cubic")
    np.testing.assert_array_equal(stack[:3], [pixels(seed=k) for k in range(3)])
    assert "align" not in open_stack(files, date="%Y%m%d", align="cubic").attrs


def test_the_grid_of_most_files_wins_and_then_the_earliest(tmp_path):
    first = write(tmp_path / "a_20200101.tif", pixels())
    others = [write(tmp_path / f"a_2020010{k}.tif", pixels(), shift=(0.5, 0)) for k in (2, 3)]
    most = open_stack([first, *others], date="%Y%m%d", align="nearest")
    assert most.x[0] % 10 == 0
    assert most.attrs["resampled"] == "a_20200101.tif"
    tie = open_stack([others[0], first], date="%Y%m%d", align="nearest")
    assert tie.x[0] % 10 == 5
    assert tie.attrs["resampled"] == "a_20200102.tif"


def test_nearest_alignment_makes_no_new_value(tmp_path):
    classes = pixels(high=12)
    files = [*series(tmp_path), write(tmp_path / "b_20200201.tif", classes, shift=(0.3, 0.2))]
    stack = open_stack(files, date="%Y%m%d", align="nearest")
    np.testing.assert_array_equal(stack[3], classes)


def test_missing_pixels_stay_missing_when_resampled(tmp_path):
    values = smooth()
    values[20:30, 30:40] = -1
    files = [
        write(tmp_path / "a_20200101.tif", smooth()),
        write(tmp_path / "a_20200102.tif", values, shift=(0.4, 0.4), nodata=-1),
    ]
    stack = open_stack(files, date="%Y%m%d", align="cubic")[1]
    assert stack[21:30, 31:40].isnull().all()
    assert stack.min() > 50


def test_south_up_is_turned_by_alignment(tmp_path):
    files = [write(tmp_path / "a_20200101.tif", smooth()), write(tmp_path / "a_20200102.tif", smooth(), south_up=True)]
    stack = open_stack(files, date="%Y%m%d", align="cubic")
    np.testing.assert_allclose(stack[1], smooth(), rtol=1e-6)


@pytest.mark.parametrize("factor", [2, 5])
def test_pixel_sizes_are_matched(tmp_path, factor):
    fine = smooth(shape=(60 * factor, 70 * factor))
    fine = np.repeat(np.repeat(smooth(), factor, axis=0), factor, axis=1)
    files = [write(tmp_path / "a_20200101.tif", smooth()), write(tmp_path / "a_20200102.tif", fine, size=10.0 / factor)]
    stack = open_stack(files, date="%Y%m%d", align="cubic", bbox=None)
    assert stack.shape == (2, 60, 70)
    # the kernel widens with the step, so that nothing aliases: a slight blur of a smooth image
    assert np.abs(stack[1] - stack[0])[2:-2, 2:-2].max() < 1.5
    back = open_stack(files[::-1], date=["2020-01-01", "2020-01-02"], align="cubic")
    assert back.shape == (2, 60 * factor, 70 * factor)


def test_other_crs_is_reprojected(tmp_path):
    from rasterio.warp import transform

    files = [write(tmp_path / "a_20200101.tif", smooth())]
    (x,), (y,) = transform(UTM, "EPSG:32633", [ORIGIN[0] + 350], [ORIGIN[1] - 300])
    place = Affine(10, 0, x - 500, 0, -10, y + 500)
    rows, columns = np.mgrid[:100, :100] + 0.5
    xs, ys = transform("EPSG:32633", UTM, (x - 500 + 10 * columns).ravel(), (y + 500 - 10 * rows).ravel())
    values = (
        100
        + 20 * np.sin(((np.array(xs) - ORIGIN[0]) / 10 - 0.5) / 6)
        + 20 * np.cos(((ORIGIN[1] - np.array(ys)) / 10 - 0.5) / 7 + 1)
    )
    files.append(
        write(
            tmp_path / "a_20200102.tif", values.reshape(100, 100).astype("float32"), crs="EPSG:32633", transform=place
        )
    )
    box = (ORIGIN[0], ORIGIN[1] - 600, ORIGIN[0] + 700, ORIGIN[1])
    stack = open_stack(files, date="%Y%m%d", align="cubic", bbox=box)
    assert grids.crs_of(stack).to_epsg() == 32632
    assert np.abs(stack[1] - smooth()).max() < 0.05


@pytest.mark.parametrize("align", ["cubic", "nearest"])
def test_resampled_pixels_have_the_same_bits_in_any_chunk_and_crop(tmp_path, align, monkeypatch):
    monkeypatch.setattr("xoffset.readers.pixels._WARP_TILE", 32)
    values = pixels((90, 110), low=0, dtype="uint16", high=3000)
    values[40:50, 60:65] = 0
    files = [
        write(tmp_path / "a_20200101.tif", pixels((90, 110), dtype="uint16")),
        write(tmp_path / "a_20200102.tif", values, shift=(0.37, -0.21), nodata=0),
        write(tmp_path / "a_20200103.tif", values, shift=(0.5, 0.5), nodata=0, crs="EPSG:25832"),
        write(tmp_path / "a_20200104.tif", values[::2, ::2], size=20.0),
    ]
    eager = open_stack(files, date="%Y%m%d", align=align)
    assert eager.attrs["resampled"].count("tif") == 3
    for chunks in (40, {"y": 9, "x": 64}, -1):
        xr.testing.assert_identical(open_stack(files, date="%Y%m%d", align=align, chunks=chunks).compute(), eager)
    box = (ORIGIN[0] + 201, ORIGIN[1] - 777, ORIGIN[0] + 808, ORIGIN[1] - 99)
    crop = open_stack(files, date="%Y%m%d", align=align, bbox=box)
    xr.testing.assert_equal(crop, eager.sel(x=slice(box[0], box[2]), y=slice(box[3], box[1])))
    assert crop.shape[1:] == (68, 61)


def test_resampling_reads_nothing_for_tiles_outside_the_image(tmp_path, monkeypatch):
    files = [
        write(tmp_path / "a_20200101.tif", pixels()),
        write(tmp_path / "a_20200102.tif", pixels(), shift=(1000.5, 0)),
        write(tmp_path / "a_20200103.tif", pixels()),
    ]
    windows = spy(monkeypatch)
    stack = open_stack(files, date="%Y%m%d", align="cubic", bbox=(0, 0, 1e7, 1e7))
    assert stack.shape == (3, 40, 1050)
    assert stack[1, :, :1000].isnull().all()
    assert len(windows) == 4  # the other images, and the two tiles that this one touches


def test_rotated_grids_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", pixels(), transform=Affine(10, 1, 5e5, 1, -10, 4e6))
    with pytest.raises(ValueError, match=r"got a.tif, whose grid is rotated.*Resample it first: rio warp"):
        open_stack(path, date=["2020-01-01"])


# ----------------------------------------------------------------------------------------------------------------- CRS


@pytest.mark.parametrize(
    ("crs", "transform", "message"),
    [
        (
            "EPSG:4326",
            Affine(1e-3, 0, -74.7, 0, -1e-3, -8.3),
            r"UTM zone 18S first: EPSG:32718\. The file is a.tif; rio warp",
        ),
        ("EPSG:3857", Affine(10, 0, 5e5, 0, -10, 4e6), "Web Mercator.*Reproject first.*The file is a.tif"),
        ("EPSG:2263", Affine(10, 0, 9e5, 0, -10, 2e5), "in US survey foot.*Reproject first"),
    ],
)
def test_crs_not_in_metres_of_ground(tmp_path, crs, transform, message):
    # whatever else is missing, this comes first: no date, no band
    path = write(tmp_path / "a.tif", pixels((2, 40, 50)), crs=crs, transform=transform)
    with pytest.raises(ValueError, match=message):
        open_stack(path)


def test_one_file_without_crs_among_others(tmp_path):
    files = [*series(tmp_path), write(tmp_path / "b_20200201.tif", pixels(), crs=None)]
    for align in (None, "cubic"):
        with pytest.raises(ValueError, match=r"of a_20200101.tif and b_20200201.tif only one has any. Assign"):
            open_stack(files, date="%Y%m%d", align=align)


def test_geotransform_without_crs_is_local(tmp_path):
    stack = open_stack(series(tmp_path, crs=None), date="%Y%m%d")
    assert grids.crs_of(stack) is None
    assert (stack.x[0], stack.y[0]) == (ORIGIN[0] + 5, ORIGIN[1] - 5)
    other = write(tmp_path / "b_20200201.tif", pixels(), crs=None, shift=(0.5, 0))
    assert open_stack([*series(tmp_path, crs=None), other], date="%Y%m%d", align="cubic").shape == (4, 40, 50)


@pytest.mark.parametrize(("driver", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("GTiff", "tif")])
def test_pixel_size(tmp_path, driver, suffix):
    files = [
        write(tmp_path / f"2020010{k + 1}.{suffix}", pixels(seed=k), driver=driver, georeferenced=False)
        for k in range(2)
    ]
    stack = open_stack(files, date="%Y%m%d", pixel_size=2.5)
    lazy = open_stack(files, date="%Y%m%d", pixel_size=2.5, chunks=16)
    xr.testing.assert_identical(lazy.compute(), stack)
    checks.as_stack(stack, "test")
    np.testing.assert_array_equal(stack.x, 2.5 * (np.arange(50) + 0.5))
    np.testing.assert_array_equal(stack.y, -2.5 * (np.arange(40) + 0.5))
    assert grids.crs_of(stack) is None
    if driver != "JPEG":
        np.testing.assert_array_equal(stack, [pixels(seed=k) for k in range(2)])
    with pytest.raises(ValueError, match=rf"got 20200101.{suffix} without either. Pass pixel_size="):
        open_stack(files, date="%Y%m%d")


@pytest.mark.parametrize("name", ["20200101.png", "20200101 a=1&b?c.png"])
def test_no_warning_filter_is_touched(tmp_path, monkeypatch, name):
    path = write(tmp_path / name, pixels(), driver="PNG", georeferenced=False)
    monkeypatch.setattr(warnings, "catch_warnings", None)
    monkeypatch.setattr(warnings, "simplefilter", None)
    stack = open_stack([path], pixel_size=1, chunks=16)
    np.testing.assert_array_equal(stack.compute(scheduler="threads")[0], pixels())


def test_errors_of_pixel_size(tmp_path):
    georeferenced = write(tmp_path / "a_20200101.tif", pixels())
    with pytest.raises(ValueError, match=r"got a_20200101.tif, which has one. Leave pixel_size out"):
        open_stack(georeferenced, date="%Y%m%d", pixel_size=10)
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"above 0 as pixel_size .m.; .*Pass one such as 10"):
            open_stack(georeferenced, date="%Y%m%d", pixel_size=wrong)
    sizes = ((40, 50), (40, 51))
    files = [
        write(tmp_path / f"2020010{k}.png", pixels(size), driver="PNG", georeferenced=False)
        for k, size in enumerate(sizes, 1)
    ]
    for align in (None, "cubic"):
        with pytest.raises(
            ValueError, match=r"20200101.png and 20200102.png have 50 x 40 and 51 x 40.*align= cannot help"
        ):
            open_stack(files, date="%Y%m%d", pixel_size=1, align=align)


# --------------------------------------------------------------------------------------------------------------- crops


def test_bbox_takes_the_pixels_whose_centres_lie_inside(tmp_path):
    files = series(tmp_path)
    whole = open_stack(files, date="%Y%m%d")
    # x from the centre of column 3 to just before that of column 9, y of rows 5 to 7
    box = (ORIGIN[0] + 35, ORIGIN[1] - 75, ORIGIN[0] + 94.9, ORIGIN[1] - 50.1)
    crop = open_stack(files, date="%Y%m%d", bbox=box)
    xr.testing.assert_equal(crop, whole.isel(y=slice(5, 8), x=slice(3, 9)))
    assert json.loads(crop.attrs["processing"])[-1]["bbox"] == list(box)
    wide = open_stack(files, date="%Y%m%d", bbox=np.array((0, 0, 1e7, 1e7)))
    xr.testing.assert_equal(wide, whole)


def test_bbox_reads_nothing_else(tmp_path, monkeypatch):
    path = write(tmp_path / "a_20200101.tif", pixels())
    windows = spy(monkeypatch)
    open_stack(path, date="%Y%m%d", bbox=(ORIGIN[0] + 30, ORIGIN[1] - 80, ORIGIN[0] + 90, ORIGIN[1] - 50))
    assert [(w.row_off, w.col_off, w.height, w.width) for w in windows] == [(5, 3, 3, 6)]


def test_dates_outside_the_bbox_are_kept(tmp_path):
    files = [write(tmp_path / "a_20200101.tif", pixels()), write(tmp_path / "a_20200102.tif", pixels(), shift=(100, 0))]
    stack = open_stack(files, date="%Y%m%d", bbox=(ORIGIN[0], ORIGIN[1] - 100, ORIGIN[0] + 100, ORIGIN[1]))
    assert stack.isnull().all(("y", "x")).values.tolist() == [False, True]


@pytest.mark.parametrize(
    ("bbox", "message"),
    [
        ((0, 0, 10, 10), r"none in \(0, 0, 10, 10\). Give .*which cover \(500000, 3999600, 500500, 4000000\)"),
        ((500_000, 3_999_990, 500_004, 4_000_000), "needs a bbox that holds pixels"),
        ((500_100, 3_999_700, 500_000, 3_999_900), "Order it so; the images cover"),
        ((1, 2, 3), "Order it so; the images cover"),
        ((np.nan, 0, 1, 1), "Order it so"),
        ("all", "Order it so"),
        ((0, 0, "1", 1), "Order it so"),
    ],
)
def test_errors_of_bbox(tmp_path, bbox, message):
    with pytest.raises(ValueError, match=message):
        open_stack(series(tmp_path), date="%Y%m%d", bbox=bbox)


# ---------------------------------------------------------------------------------------------------------------- lazy


def spy(monkeypatch):
    """Windows read from now on."""
    windows = []
    read = rasterio.io.DatasetReader.read

    def counted(self, *args, **options):
        windows.append(options.get("window"))
        return read(self, *args, **options)

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", counted)
    return windows


@pytest.mark.parametrize("chunks", [7, 16, -1, {"y": 5}, {"y": -1, "x": 11}, np.int64(20)])
def test_lazy_equals_eager(tmp_path, chunks):
    files = [*series(tmp_path), write(tmp_path / "b_20200201.tif", pixels(seed=9), shift=(13, -7), nodata=100)]
    eager = open_stack(files, date="%Y%m%d")
    lazy = open_stack(files, date="%Y%m%d", chunks=chunks)
    assert lazy.chunks[0] == (1, 1, 1, 1)
    assert lazy.dtype == lazy.data._meta.dtype == eager.dtype
    xr.testing.assert_identical(lazy.compute(), eager)
    xr.testing.assert_identical(
        lazy.isel(time=[3, 0], y=slice(11, 30)).compute(), eager.isel(time=[3, 0], y=slice(11, 30))
    )


def test_nothing_is_read_while_building(tmp_path, monkeypatch):
    files = [*series(tmp_path, nodata=0), write(tmp_path / "b_20200201.tif", pixels(), shift=(0.5, 0), nodata=0)]
    windows = spy(monkeypatch)
    with dask.config.set(scheduler=lambda *_args, **_options: pytest.fail("computed while building")):
        stack = open_stack(files, date="%Y%m%d", align="cubic", chunks=16)
        stack.isel(time=0).mean()
    assert windows == []
    stack[0, :16, :16].compute(scheduler="sync")
    assert [(w.height, w.width) for w in windows] == [(16, 16)]


def test_a_task_carries_its_own_image_only(tmp_path):
    files = [write(tmp_path / f"a_202001{k:02}.tif", pixels()) for k in range(1, 29)]
    stack = open_stack(files, date="%Y%m%d", chunks=10)
    tasks = dict(stack.data.__dask_graph__())
    assert max(len(pickle.dumps(task)) for task in tasks.values()) < 4000
    again = open_stack(files, date="%Y%m%d", chunks=10)
    assert again.data.name == stack.data.name
    os.utime(files[0], ns=(1, 1))
    assert open_stack(files, date="%Y%m%d", chunks=10).data.name != stack.data.name


def test_readers_are_pickled_and_work_in_processes(tmp_path):
    files = [*series(tmp_path), write(tmp_path / "b_20200201.tif", pixels(), shift=(0.5, 0))]
    eager = open_stack(files, date="%Y%m%d", align="cubic")
    lazy = open_stack(files, date="%Y%m%d", align="cubic", chunks=32)
    copy = pickle.loads(pickle.dumps(lazy))
    xr.testing.assert_identical(copy.compute(scheduler="sync"), eager)
    assert Reader.__module__ == "xoffset.readers.pixels"


def test_many_threads_read_at_once(tmp_path):
    files = [
        write(tmp_path / f"2020010{k}.png", pixels(seed=k), driver="PNG", georeferenced=False) for k in range(1, 9)
    ]
    eager = open_stack(files, date="%Y%m%d", pixel_size=1)
    lazy = open_stack(files, date="%Y%m%d", pixel_size=1, chunks=8)
    filters, threads = list(warnings.filters), threading.active_count()
    xr.testing.assert_identical(lazy.compute(scheduler="threads", num_workers=4), eager)
    assert warnings.filters == filters
    assert threading.active_count() <= threads + 8


@pytest.mark.parametrize("chunks", [0, -2, "auto", 2.5, (8, 8), {"time": 1}, {"y": 0}])
def test_errors_of_chunks(tmp_path, chunks):
    with pytest.raises(ValueError, match=r"needs chunks= as a number of pixels or \{'y'.*Give -1 for a whole axis"):
        open_stack(series(tmp_path), date="%Y%m%d", chunks=chunks)


def test_errors_of_align(tmp_path):
    with pytest.raises(ValueError, match=r"align 'nearest' or 'cubic'; got 'bilinear'. Choose one of these"):
        open_stack(series(tmp_path), date="%Y%m%d", align="bilinear")


# ------------------------------------------------------------------------------------------------------------- damaged


DAMAGED = [
    ("GTiff", {}),
    ("GTiff", {"compress": "deflate"}),
    ("GTiff", {"compress": "lzw", "tiled": True, "blockxsize": 64, "blockysize": 64}),
    ("GTiff", {"compress": "jpeg"}),
    ("JP2OpenJPEG", {}),
    ("ENVI", {}),
    ("PNG", {"georeferenced": False}),
    ("JPEG", {"georeferenced": False}),
]


@pytest.mark.parametrize(("driver", "options"), DAMAGED)
@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_truncated_pixels_raise_when_they_are_read(tmp_path, driver, options, keep):
    path = Path(write(tmp_path / "a.img", pixels((300, 400)), driver=driver, **options))
    size = None if options.get("georeferenced", True) else 1
    date = ["2020-01-01"]
    open_stack(path, date=date, pixel_size=size)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    message = r"got .*a\.img, which it cannot \(.*\)\. Fetch or make the file again"
    with pytest.raises(OSError, match=message):
        open_stack(path, date=date, pixel_size=size)
    lazy = open_stack(path, date=date, pixel_size=size, chunks=256)
    with pytest.raises(OSError, match=message):
        lazy.compute()


def test_a_file_that_vanishes_is_named(tmp_path):
    path = Path(write(tmp_path / "a.tif", pixels()))
    lazy = open_stack(path, date=["2020-01-01"], chunks=16)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a.tif"):
        lazy.compute()


def test_import_is_light():
    heavy = "{'rasterio', 'rioxarray', 'dask', 'dask.array'}"
    code = f"import sys, xoffset.readers.open_stack; print({heavy} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )


# --------------------------------------------------------------------------------------------------------- real images


@pytest.mark.data
def test_naip(data_folder):
    with pytest.raises(
        ValueError, match=r"6 of 10 are not on that of naip_20100629.tif: naip_20090818.tif .*align='cubic'"
    ):
        open_stack(data_folder / "naip_stable")
    stack = open_stack(data_folder / "naip_stable", align="cubic")
    xr.testing.assert_identical(stack, open_stack(data_folder / "naip_stable", date="naip_%Y%m%d", align="cubic"))
    assert stack.sizes == {"time": 10, "y": 725, "x": 934}
    assert stack.attrs["resampled"].count(".tif") == 6
    with rasterio.open(data_folder / "naip_stable" / "naip_20140720.tif") as file:
        raw = file.read(1).astype(np.float32)
    raw[raw == 0] = np.nan
    image = stack.sel(time="2014-07-20")
    np.testing.assert_array_equal(image.sel(y=slice(5_209_245, None))[:723], raw)


@pytest.mark.data
def test_river_in_degrees(data_folder):
    with pytest.raises(ValueError, match=r"needs a projected CRS in metres; got .*UTM zone 18S first: EPSG:32718"):
        open_stack(data_folder / "river_landsat_latlon", date="%Y", band=1)


@pytest.mark.data
def test_perito_moreno(data_folder):
    pattern = str(data_folder / "perito_moreno_s2" / "2020*.jpg")
    stack = open_stack(pattern, band=1, date="%Y%m%d", pixel_size=6.5, chunks=-1)
    assert stack.sizes == {"time": 23, "y": 1231, "x": 1731}
    assert grids.crs_of(stack) is None
    assert "undeclared_zeros" in stack.attrs  # black outside the glacier
    with rasterio.open(f"vrt://{pattern.replace('*', '0222')}?a_ullr=0,0,1,-1") as file:
        np.testing.assert_array_equal(stack.sel(time="2020-02-22").squeeze(), file.read(1))
    with pytest.raises(ValueError, match="Pass pixel_size="):
        open_stack(pattern, band=1, date="%Y%m%d")
    with pytest.raises(ValueError, match=r"has bands 1 \(red\), 2 \(green\), 3 \(blue\)"):
        open_stack(pattern, date="%Y%m%d", pixel_size=6.5)


@pytest.mark.data
def test_kaiserberg(data_folder):
    stack = open_stack(data_folder / "kaiserberg_rock_glacier", date="ortho_%Y", chunks=512)
    assert stack.time.dt.year.values.tolist() == [1953, 1971, 2003, 2010, 2015, 2020, 2023]
    assert grids.crs_of(stack).to_epsg() == 31254
    assert stack.sizes == {"time": 7, "y": 785, "x": 1892}


@pytest.mark.data
def test_yahtse(data_folder):
    folder = data_folder / "yahtse_landsat8"
    stack = open_stack(folder / "LC8*.tif")
    np.testing.assert_array_equal(stack.time.dt.floor("D"), np.array(["2016-07-18", "2016-08-03"], dtype="M8[us]"))
    assert stack.platform.values.tolist() == ["LC08", "LC08"]
    assert abs(float(stack.x[1] - stack.x[0])) == 15
    with pytest.raises(ValueError, match=r"none in the name of yahtse_srtm_dem.tif"):
        open_stack(sorted(folder.glob("*.tif")))


@pytest.mark.data
def test_dic_challenge(data_folder):
    files = [data_folder / "dic_challenge_14" / f"{name}.png" for name in ("reference", "L1", "L3", "L5")]
    days = np.arange("2014-01-01", "2014-01-05", dtype="M8[D]")
    stack = open_stack(files, date=days, pixel_size=1)
    assert stack.scene.values.tolist() == ["reference", "L1", "L3", "L5"]
    assert stack.sizes == {"time": 4, "y": 589, "x": 2048}


@pytest.mark.data
def test_sentinel2_band_files(data_folder):
    folder = data_folder / "sentinel2_safe"
    stack = open_stack(f"{folder}/*.SAFE/**/*_B04_10m.tif")
    assert stack.time.values[0] == np.datetime64("2019-02-12T19:26:51")
    assert (stack.platform.item(), stack.relative_orbit.item()) == ("S2A", 13)
    with pytest.raises(ValueError, match=r"B02 of S2A \[blue\] \(1 scene\), .*Say which: band='blue'"):
        open_stack(f"{folder}/*.SAFE/**/*_B0?_10m.tif")
    np.testing.assert_array_equal(open_stack(f"{folder}/*.SAFE/**/*_B0?_10m.tif", band="red"), stack)
    with pytest.raises(ValueError, match=r"needs one band.*B01"):
        open_stack(f"{folder}/*.SAFE")


@pytest.mark.data
def test_names_of_sentinel2_products(data_folder):
    listings = sorted((data_folder / "sentinel2_safe" / "aws_safe_listings").glob("*.csv"))
    checked = 0
    for listing in listings:
        for line in listing.read_text().splitlines():
            path = line.split(";")[-1]
            if not path.endswith(".jp2") or "IMG_DATA" not in path or not ("_PRD_" in path or "_MSIL" in path):
                continue
            # s3://sentinel-s2-l1c/tiles/59/H/NA/2015/12/17/0/B01.jp2 has the day of the acquisition
            year, month, day = (int(part) for part in line.split(";")[0].split("/tiles/")[1].split("/")[3:6])
            scene = dates.scenes([path], None)[0]
            assert scene.date.astype("M8[D]") == np.datetime64(f"{year}-{month:02}-{day:02}")
            assert scene.platform in ("S2A", "S2B")
            assert scene.relative_orbit
            checked += 1
    assert checked > 50
