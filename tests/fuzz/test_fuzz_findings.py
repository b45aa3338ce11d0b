"""What random files and calls have found, each as small as it gets."""

import zipfile

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

import xoffset
from xoffset.formats import gnss
from xoffset.readers import archives
from xoffset.recipes import Generic

HEAD = (
    "site YYMMMDD yyyy.yyyy MJD week d reflon e0(m) east(m) n0(m) north(m) u0(m) up(m) ant(m) sig_e(m) sig_n(m) "
    "sig_u(m) corr_en corr_eu corr_nu latitude(deg) longitude(deg) height(m)\n"
)
ROW = "ABCD 20JAN01 2020.0 {} 2086 3 9 7 {} 5 0.1 9 0 0 0.002 0.002 0.005 0 0 0 46.0 9.0 900\n"


@pytest.mark.parametrize("rows", [ROW.format("58849", "4\0000") * 2, ROW.format("x", "0") * 2, ROW.format(9e99, 0) * 2])
def test_positions_that_are_no_numbers(tmp_path, rows):
    (tmp_path / "ABCD.tenv3").write_text(HEAD + rows)
    with pytest.raises(ValueError, match=r"gnss.read\(\) needs a whole file of positions; got .*Get the file anew"):
        gnss.read(tmp_path / "ABCD.tenv3", crs="EPSG:32632")


def test_positions_without_their_header(tmp_path):
    (tmp_path / "a.pos").write_text("PBO Station Position Time Series.\n")
    with pytest.raises(ValueError, match=r"gnss.read\(\) needs .*Get the file anew"):
        gnss.read(tmp_path / "a.pos", crs="EPSG:32632")


def test_recipes_in_other_bytes(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'recipe = "generic"\nband = "\xb9"\n')
    with pytest.raises(ValueError, match=r"text in UTF-8; got .* with other bytes .*Write one with recipe.to_toml"):
        xoffset.run(tmp_path / "a.toml", "scenes", tmp_path / "out")


@pytest.mark.parametrize("value", ["no", 0, 1.0])
def test_switches_of_recipes_are_true_or_false(value):
    """The text "no" would count as true."""
    with pytest.raises(TypeError, match=r"run\(\) needs by_date to be True or False; got .*Pass one of the two"):
        Generic(by_date=value)


def test_images_with_tags_that_are_none(tmp_path):
    """GDAL tells of some damage in its own words."""
    path = tmp_path / "a_20200101.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=8, count=1, dtype="uint8", crs="EPSG:32632",
        transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as file:  # fmt: skip
        file.update_tags(note="x" * 50)
    content = bytearray(path.read_bytes())
    first = int.from_bytes(content[4:8], "little")
    count = int.from_bytes(content[first : first + 2], "little")
    for k in range(count):
        entry = first + 2 + 12 * k
        for kind in (0, 3, 16, 255):
            damaged = content.copy()
            damaged[entry + 2] = kind
            path.write_bytes(damaged)
            try:
                xoffset.open_stack(path)
            except (OSError, ValueError, TypeError) as error:
                assert "needs" in str(error)  # noqa: PT017


def test_shifts_in_whole_numbers_with_covariances_that_are_none():
    """Whole numbers have no NaN, which stands for what is unknown."""
    dates = np.array(["2020-01-01", "2020-02-01", "2020-03-01"], "M8[us]")
    names = ("dx", "dy", "sigma_dx", "sigma_dy", "cov_dxdy")
    shifts = xr.Dataset(
        {name: (("pair", "y", "x"), np.full((2, 3, 3), k, np.int32)) for k, name in enumerate(names, start=1)},
        coords={
            "reference": ("pair", dates[:2]), "secondary": ("pair", dates[1:]), "y": [0.0, -10.0, -20.0],
            "x": [0.0, 10.0, 20.0],
        },
    ).assign(cov_dxdy=(("pair", "y", "x"), np.full((2, 3, 3), 99, np.int32)))  # fmt: skip
    series = xoffset.invert(shifts)
    assert np.isfinite(series.dx).all()


def test_archives_with_names_in_other_bytes(tmp_path):
    """The mark of UTF-8 on a name that is none."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("S2\u00e9.xml", "<a/>")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace("\u00e9".encode(), b"\xff\xff"))
    with pytest.raises(OSError, match=r"needs .*damaged or cut.*\. \S"):
        archives.open_tree(str(tmp_path / "a.zip"))


def test_positions_whose_errors_are_correlated_beyond_one(tmp_path):
    rows = [ROW.format(day, "0.1").replace("0.002 0.002 0.005 0 ", "0.002 0.002 0.005 -90 ") for day in (58849, 58850)]
    (tmp_path / "ABCD.tenv3").write_text(HEAD + "".join(rows))
    found = gnss.read(tmp_path / "ABCD.tenv3", crs="EPSG:32633")
    assert np.isfinite(found.dx).all()


@pytest.mark.parametrize("number", [np.float32(30.0), np.int64(30)])
def test_parameters_that_are_numbers_of_numpy(number):
    dates = np.array(["2020-01-01", "2020-02-01", "2020-04-01"], "M8[us]")
    shifts = xr.Dataset(
        {name: (("pair", "y", "x"), np.ones((2, 3, 3), np.float32)) for name in ("dx", "dy", "sigma_dx", "sigma_dy")},
        coords={
            "reference": ("pair", dates[:2]), "secondary": ("pair", dates[[2, 2]]), "y": [0.0, -10.0, -20.0],
            "x": [0.0, 10.0, 20.0],
        },
    )  # fmt: skip
    found = xoffset.coseismic(shifts, "2020-03-01", postseismic=number)
    xr.testing.assert_equal(found, xoffset.coseismic(shifts, "2020-03-01", postseismic=30.0))
    assert '"postseismic": 30' in found.processing
