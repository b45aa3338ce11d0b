"""Files of MicMac and its services, ASP, CARST, COSI-Corr: every number where, when and which way it was measured."""

import warnings

import numpy as np
import other_systems as made
import pytest
import rasterio

import xoffset
from xoffset import formats
from xoffset.model import grids
from xoffset.model.flags import FLAGS

ENDS = (made.DATES[0][0], made.DATES[0][1])


def check(shifts, *pairs, rtol=2e-6):
    """Compare shifts with the truth: signs, metres, places, dates, holes."""
    x, y = made.axes()
    shifts = shifts.load().sortby("y", ascending=False)
    np.testing.assert_allclose(shifts.x, x, rtol=1e-12)
    np.testing.assert_allclose(shifts.y, y, rtol=1e-12)
    assert grids.crs_of(shifts).to_epsg() == made.EPSG
    for k, pair in enumerate(pairs):
        one, (east, north) = shifts.isel(pair=k), made.displacement(pair)
        np.testing.assert_allclose(one.dx, east, rtol=rtol, atol=1e-6)
        np.testing.assert_allclose(one.dy, north, rtol=rtol, atol=1e-6)
        for name, day in zip(("reference", "secondary"), made.DATES[pair], strict=True):
            assert str(one[name].values)[:10].replace("-", "") == day
        assert int(one.flags.values[made.HOLE]) & FLAGS["nodata"]
        assert int((one.flags != 0).sum()) == 1
    assert shifts.sizes["pair"] == len(pairs)


# -------------------------------------------------------------------------------------------------- MicMac and services


def write_micmac(folder, stem="", pair=0, **options):
    right, down = made.pixels(pair)
    filled = [np.nan_to_num(each, nan=0.7) for each in (right, down)]
    score, _ = made.correlation()
    score = np.rint(128 + 127 * score)
    score[made.HOLE] = 128
    folder.mkdir(exist_ok=True)
    made.raster(folder / f"Px1{stem}.tif", filled[:1], **options)
    made.raster(folder / f"Px2{stem}.tif", filled[1:], **options)
    made.raster(folder / f"Correl{stem}.tif", [(score / 255).astype(np.float32)], **options)


def test_micmac_counts_rows_downwards_and_leaves_values_where_it_did_not_match(tmp_path):
    write_micmac(tmp_path)
    shifts = formats.micmac.read(tmp_path, dates=("2019-07-01", "2019-08-05"))
    check(shifts, 0)
    assert int(shifts.flags.values[0][made.HOLE]) == FLAGS["nodata"] | FLAGS["outside"]
    score, _ = made.correlation()
    score[made.HOLE] = np.nan
    np.testing.assert_allclose(shifts.score[0], score, atol=0.5 / 127 + 1e-6)
    assert np.isnan(shifts.sigma_dx).all()


def test_rows_that_run_northward_count_northward(tmp_path):
    """Then a step down the file is one toward the north."""
    right, down = made.pixels(0)
    for name, band in (("Px1", right), ("Px2", -down)):
        made.raster(tmp_path / f"{name}.tif", [band], south_up=True)
    check(formats.micmac.read(tmp_path / "Px1.tif", dates=("2019-07-01", "2019-08-05")), 0)


def test_micmac_without_georeference_needs_the_size_of_its_pixels(tmp_path):
    write_micmac(tmp_path, is_placed=False)
    dates = ("2019-07-01", "2019-08-05")
    with pytest.raises(ValueError, match="pixel_size=10"):
        formats.micmac.read(tmp_path, dates=dates)
    shifts = xoffset.open_shifts(tmp_path / "Px2.tif", dates=dates, pixel_size=10.0)
    np.testing.assert_allclose(shifts.dy[0], made.displacement(0)[1], rtol=1e-5)
    np.testing.assert_array_equal(shifts.y, -10.0 * np.arange(made.ROWS))
    np.testing.assert_array_equal(shifts.x, 10.0 * np.arange(made.COLUMNS))
    assert grids.crs_of(shifts) is None


def test_micmac_needs_dates(tmp_path):
    write_micmac(tmp_path)
    with pytest.raises(ValueError, match="dates=\\('2020-07-17', '2020-08-06'\\)"):
        formats.micmac.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="needs one file Px1"):
        formats.micmac.read(tmp_path / "..")


def write_mpic(folder, pair, name=None):
    stem = name or "_".join(made.DATES[pair])
    right, down = made.pixels(pair)
    made.raster(folder / f"Px1_{stem}.tif", [right])
    made.raster(folder / f"Px2_{stem}.tif", [down])
    made.raster(folder / f"Correl_{stem}.tif", [made.correlation()[1]])


def test_mpic_counts_pixels_toward_the_south(tmp_path):
    for pair in range(3):
        write_mpic(tmp_path, pair)
    check(formats.mpic.read(tmp_path), 0, 1, 2)
    check(xoffset.open_shifts(tmp_path), 0, 1, 2)
    one = formats.mpic.read(tmp_path / "Correl_20190805_20200619.tif")
    check(one, 2)
    score, _ = made.correlation()
    score[made.HOLE] = np.nan
    np.testing.assert_allclose(one.score[0], score, atol=0.5 / 127 + 1e-6)


def test_the_later_date_first_is_a_pair_backward_in_time(tmp_path):
    write_mpic(tmp_path, 0, "20190805_20190701")
    shifts = xoffset.open_shifts(tmp_path)
    assert float(shifts.baseline[0]) == -35.0


def test_a_component_that_lacks_is_named(tmp_path):
    write_mpic(tmp_path, 0)
    (tmp_path / "Px2_20190701_20190805.tif").unlink()
    with pytest.raises(FileNotFoundError, match="Px2_20190701_20190805"):
        xoffset.open_shifts(tmp_path)


def write_gdm(folder, pair, end="corrected", scale=1.0):
    first, second = made.DATES[pair]
    right, down = made.pixels(pair) * np.float32(scale)
    inside = folder / "Displacements"
    made.raster(inside / f"MM_EW_displ_32TLR_{first}_vs_{second}_{end}.tif", [right])
    made.raster(inside / f"MM_NS_displ_32TLR_{first}_vs_{second}_{end}.tif", [down])
    made.raster(inside / "Correlation" / f"MM_Corr_32TLR_{first}_{second}.tif", [made.correlation()[1]])


def test_gdm_folders_by_stage(tmp_path):
    for pair in range(3):
        write_gdm(tmp_path, pair)
        write_gdm(tmp_path, pair, "FILTER_Displmax", 2.0)
    (tmp_path / "Analysis").mkdir()
    for shifts in (formats.gdm.read(tmp_path), xoffset.open_shifts(tmp_path / "Displacements")):
        check(shifts, 0, 1, 2)
        assert float(np.nanmin(shifts.score)) == pytest.approx(0.1, abs=0.5 / 127 + 1e-6)
    filtered = formats.gdm.read(tmp_path, stage="filtered")
    np.testing.assert_allclose(filtered.dx[1], 2 * made.displacement(1)[0], rtol=1e-5)
    with pytest.raises(FileNotFoundError, match="stage='corrected'"):
        formats.gdm.read(tmp_path / "Analysis")


# -------------------------------------------------------------------------------------------------------- one file each


def test_asp_disparity_with_its_mask(tmp_path):
    right, down = made.pixels(0)
    mask = np.isfinite(right).astype(np.float32)
    filled = np.nan_to_num(np.stack([right, down]), nan=-32.0)
    path = made.raster(tmp_path / f"{ENDS[0]}_{ENDS[1]}-F.tif", [*filled, mask])
    check(formats.asp.read(path), 0)
    check(xoffset.open_shifts(path), 0)


def test_asp_after_a_polynomial_with_scene_identifiers(tmp_path):
    name = "20190701_135849_0f12_20190805_140218_10_1042_L3B_polyfit-F.tif"
    path = made.raster(tmp_path / name, made.pixels(0), is_placed=False)
    shifts = xoffset.open_shifts(path, pixel_size=made.SIDE)
    np.testing.assert_allclose(shifts.dy[0], made.displacement(0)[1], rtol=1e-5)
    assert [str(shifts[each].values[0])[:19] for each in ("reference", "secondary")] == [
        "2019-07-01T13:58:49", "2019-08-05T14:02:18",
    ]  # fmt: skip


def test_carst_velocities_count_days(tmp_path):
    prefix = tmp_path / f"{ENDS[0]}-{ENDS[1]}_velo-raw"
    for name, band in zip(("vx", "vy", "errx", "erry"), (*made.velocity(), *made.velocity()), strict=True):
        band = abs(band) if name.startswith("err") else band
        band[made.HOLE] = -9999.0
        made.raster(f"{prefix}_{name}.tif", [band.astype(np.float32)])
    shifts = xoffset.open_shifts(f"{prefix}_vy.tif")
    check(shifts, 0)
    for name, truth in zip(("sigma_dx", "sigma_dy"), made.displacement(0), strict=True):
        np.testing.assert_allclose(shifts[name][0], abs(truth), rtol=1e-5)


@pytest.mark.parametrize(("driver", "end"), [("GTiff", ".tif"), ("ENVI", ".img")])
@pytest.mark.parametrize("more", ["", " displacement"])
def test_cosicorr_bands_by_their_names(tmp_path, driver, end, more):
    east, north = made.displacement(0)
    ratio = np.full(east.shape, 0.95)
    path = made.raster(
        tmp_path / f"{ENDS[0]}_VS_{ENDS[1]}{end}", np.stack([east, north, ratio]).astype(np.float32), driver=driver,
        names=(f"East/West{more}", f"North/South{more}", "SNR"),
    )  # fmt: skip
    shifts = xoffset.open_shifts(path)
    check(shifts, 0)
    np.testing.assert_allclose(shifts.snr, 0.95)
    assert "score" not in shifts


def test_cosicorr_without_names_of_bands_is_refused(tmp_path):
    path = made.raster(tmp_path / "20190701_20190805.tif", np.zeros((3, made.ROWS, made.COLUMNS), np.float32))
    with pytest.raises(ValueError, match="bands called East/West"):
        formats.cosicorr.read(path)


# ------------------------------------------------------------------------------------------------------ names and grids


def test_dates_and_sizes_that_files_tell_are_not_taken_twice(tmp_path):
    path = made.raster(tmp_path / f"{ENDS[0]}_{ENDS[1]}-F.tif", made.pixels(0))
    with pytest.raises(ValueError, match="2019-07-01"):
        formats.asp.read(path, dates=("2018-07-01", "2019-08-05"))
    with pytest.raises(ValueError, match="needs no pixel_size"):
        formats.asp.read(path, pixel_size=20.0)
    with pytest.raises(ValueError, match="needs no crs"):
        formats.asp.read(path, crs="EPSG:32633")
    timed = formats.asp.read(path, dates=("2019-07-01T10:20", "2019-08-05T10:21"))
    assert str(timed.secondary.values[0])[:16] == "2019-08-05T10:21"


@pytest.mark.parametrize(
    "name", ["20190701-F.tif", "a-F.tif", "20190701_20190805_20200619-F.tif", "20191301_20190805-F.tif"]
)
def test_names_that_do_not_tell_two_dates(tmp_path, name):
    path = made.raster(tmp_path / f"{name}-F.tif", made.pixels(0))
    with pytest.raises(ValueError, match="needs the dates of both images"):
        formats.asp.read(path)


def test_files_of_other_grids_are_no_pair(tmp_path):
    write_mpic(tmp_path, 0)
    right, _ = made.pixels(0)
    made.raster(tmp_path / "Px2_20190701_20190805.tif", [right], is_placed=False)
    with pytest.raises(ValueError, match="needs the grid of Px2"):
        formats.mpic.read(tmp_path)


def test_declared_nodata_and_scale_hold(tmp_path):
    right, down = np.nan_to_num(made.pixels(0), nan=-99.0)
    path = tmp_path / f"{ENDS[0]}_{ENDS[1]}-F.tif"
    packed = np.where(right == -99.0, -32768, np.rint(np.stack([right, down]) * 1e4)).astype(np.int16)
    made.raster(path, packed, nodata=-32768)
    with rasterio.open(path, "r+") as file:
        file.scales = (1e-4, 1e-4)
    check(formats.asp.read(path), 0, rtol=2e-2)


def test_several_systems_become_one_network_and_invert_together(tmp_path):
    write_mpic(tmp_path, 0)
    east, north = made.displacement(1)
    made.raster(
        tmp_path / "20190701_VS_20200619.tif", np.stack([east, north, east]).astype(np.float32),
        names=("East/West", "North/South", "SNR"),
    )  # fmt: skip
    made.mintpy(tmp_path / "ifgramStack.h5", dropped=(0, 1))
    shifts = xoffset.open_shifts(tmp_path)
    assert sorted(shifts.system.values) == ["cosicorr", "mintpy", "mpic"]
    series = xoffset.invert(shifts.load(), weights="uniform")
    truth = made.displacement(1)[0]
    np.testing.assert_allclose(series.dx.isel(time=-1) - series.dx.isel(time=0), truth, rtol=1e-4)
    np.testing.assert_allclose(series.rms.values[np.isfinite(truth)], 0.0, atol=1e-5)


def test_a_file_that_ends_too_early_is_refused(tmp_path):
    path = made.raster(
        tmp_path / "20190701_VS_20190805.img", made.pixels(0), driver="ENVI", names=("East/West", "North/South")
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match="needs whole images"):
        formats.cosicorr.read(path)


# --------------------------------------------------------------------------------------------------------- real files


@pytest.mark.data
def test_a_real_micmac_correlation(data_folder):
    """Columns and rows of the file, by plain rasterio, and the sign that its README tells."""
    folder = data_folder / "fault_offset_micmac"
    with warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning):
        right, down, score = (rasterio.open(folder / f"{name}.tif").read(1) for name in ("Px1", "Px2", "Correl"))
    dates = ("2010-01-01", "2011-01-01")
    shifts = xoffset.open_shifts(folder / "Px1.tif", dates=dates, pixel_size=2.5)
    is_outside = score < 0.5025
    np.testing.assert_allclose(shifts.dx[0], np.where(is_outside, np.nan, 2.5 * right), rtol=1e-6)
    np.testing.assert_allclose(shifts.dy[0], np.where(is_outside, np.nan, -2.5 * down), rtol=1e-6)
    assert float((shifts.flags == 0).mean()) == pytest.approx(0.167, abs=0.001)
    assert float(shifts.score.max()) == 1.0
    assert float(shifts.y[1]) == -2.5
    with pytest.raises(ValueError, match="needs the dates of both images"):
        xoffset.open_shifts(folder / "Px1.tif", pixel_size=2.5)


@pytest.mark.data
def test_a_real_velocity_of_carst(data_folder):
    """Numbers of the README: 926 x 602 nodes of 60 m, m/day over 32 days, median on bedrock."""
    shifts = xoffset.open_shifts(data_folder / "kaskawulsh_velocity" / "20180304-20180405_velo-raw_vx.tif")
    with rasterio.open(data_folder / "kaskawulsh_velocity" / "20180304-20180405_velo-raw_vy.tif") as file:
        north = file.read(1, masked=True).astype(np.float64)
    assert dict(shifts.sizes) == {"pair": 1, "y": 602, "x": 926}
    assert float(shifts.baseline[0]) == 32.0
    assert grids.crs_of(shifts).to_epsg() == 32607
    assert float(shifts.x[1] - shifts.x[0]) == 60.0
    assert float(shifts.y[1] - shifts.y[0]) == -60.0
    known = np.isfinite(shifts.dx.values[0])
    np.testing.assert_allclose(shifts.dy.values[0][known], 32.0 * north.filled(np.nan)[known], rtol=1e-5)
    assert (shifts.flags.values[0][~known] == FLAGS["nodata"]).all()
