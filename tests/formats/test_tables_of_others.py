"""Tables of other systems and our own as files, through open_shifts."""

import itertools

import numpy as np
import pandas as pd
import pyproj
import pytest

import xoffset
from xoffset import formats
from xoffset.model import grids

# As the Nevada Geodetic Laboratory heads its files.
TENV3 = (
    "site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) u0(m) ____up(m) _ant(m) sig_e(m) "
    "sig_n(m) sig_u(m) __corr_en __corr_eu __corr_nu _latitude(deg) _longitude(deg) __height(m)"
)
POS = (
    "*YYYYMMDD HHMMSS JJJJJ.JJJJ    X    Y    Z    Sx    Sy    Sz    Rxy   Rxz    Ryz    NLat   Elong   Height   dN   "
    "dE    dU    Sn    Se    Su    Rne    Rnu    Reu  Soln"
)
# A station far from the middle of its zone, where the north of the grid differs from the true one.
LONGITUDE, LATITUDE = 11.9, 62.0
STEPS = [(0.0, 0.0), (1.0, 0.2), (1.5, 1.2)]  # east, north [m]


def write_tenv3(path, steps=STEPS):
    rows = [TENV3]
    for day, (east, north) in zip((58849, 58859, 58949), steps, strict=True):
        e0 = 1000 if day > 58900 else 1001  # the whole metres may change
        rows.append(
            f"ABCD 20JAN01 2020.0000 {day} 2086 3 11.9 {e0} {east + 1000.5 - e0:.6f} 6877000 {north + 0.25:.6f} 100 "
            f"0.5 0.0 0.003000 0.004000 0.009000 0.5 0.0 0.0 {LATITUDE} {LONGITUDE - 360.0} 500.0"
        )
    path.write_text("\n".join(rows) + "\n")
    return path


def write_pos(path, steps=STEPS):
    rows = [
        "PBO Station Position Time Series. Reference Frame : IGS14",
        "4-character ID: ABCD",
        "End Field Description",
        POS,
    ]
    for day, (east, north) in zip(("20200101", "20200111", "20200410"), steps, strict=True):
        rows.append(
            f" {day} 120000 58849.5000 1.0 2.0 3.0 0.1 0.1 0.1 0.1 0.1 0.1 {LATITUDE} {LONGITUDE} 500.0 "
            f"{north + 0.1:.5f} {east - 0.2:.5f} 0.0 0.00400 0.00300 0.009 0.500 0.1 0.1 final"
        )
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(("write", "name"), [(write_tenv3, "ABCD.tenv3"), (write_pos, "ABCD.igs14.pos")])
def test_positions_of_a_station_turn_onto_the_grid(tmp_path, write, name):
    """Against places of the grid themselves: true metres along the ellipsoid from the station, projected."""
    shifts = xoffset.open_shifts(write(tmp_path / name), crs="EPSG:32632")
    geod, to_grid = pyproj.Geod(ellps="WGS84"), pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True)
    x0, y0 = to_grid.transform(LONGITUDE, LATITUDE)
    for pair, (first, second) in enumerate(itertools.pairwise(STEPS)):
        east, north = np.subtract(second, first) * 1000.0
        azimuth, length = np.degrees(np.arctan2(east, north)), np.hypot(east, north)
        x, y = to_grid.transform(*geod.fwd(LONGITUDE, LATITUDE, azimuth, length)[:2])
        np.testing.assert_allclose(shifts.dx[pair, 0], (x - x0) / 1000.0, atol=1e-3)
        np.testing.assert_allclose(shifts.dy[pair, 0], (y - y0) / 1000.0, atol=1e-3)
    assert abs(float(shifts.dx[0, 0]) - 1.0) > 5e-3  # what was not turned would differ by more than that
    assert shifts.dx.dims == ("pair", "point")
    assert shifts.name.values.tolist() == ["ABCD"]
    np.testing.assert_allclose([shifts.x[0], shifts.y[0]], [x0, y0], atol=1e-3)
    assert [str(each)[:10] for each in shifts.secondary.values] == ["2020-01-11", "2020-04-10"]
    axes = [to_grid.transform(*geod.fwd(LONGITUDE, LATITUDE, azimuth, 100.0)[:2]) for azimuth in (90.0, 0.0)]
    turn = (np.array(axes) - (x0, y0)).T / 100.0
    ellipse = 2 * turn @ [[0.003**2, 0.5 * 0.003 * 0.004], [0.5 * 0.003 * 0.004, 0.004**2]] @ turn.T
    np.testing.assert_allclose(shifts.sigma_dx[:, 0], ellipse[0, 0] ** 0.5, rtol=1e-4)
    np.testing.assert_allclose(shifts.sigma_dy[:, 0], ellipse[1, 1] ** 0.5, rtol=1e-4)
    assert set(shifts.system.values) == {"gnss"}
    series = xoffset.invert(shifts, weights="uniform")
    assert series.sizes["time"] == 3


def test_positions_need_a_grid(tmp_path):
    with pytest.raises(ValueError, match="Reproject to UTM zone 32N first: EPSG:32632"):
        formats.gnss.read(write_tenv3(tmp_path / "ABCD.tenv3"))
    path = tmp_path / "short.tenv3"
    path.write_text("\n".join(write_tenv3(tmp_path / "ABCD.tenv3").read_text().splitlines()[:2]))
    with pytest.raises(ValueError, match="needs positions at two dates; got 1"):
        formats.gnss.read(path, crs=32632)
    path.write_text(TENV3.split(" _latitude")[0] + "\n")
    with pytest.raises(ValueError, match="tell where the station is"):
        formats.gnss.read(path, crs=32632)
    path.write_text("something else\n")
    with pytest.raises(ValueError, match="layout='points'"):
        formats.gnss.read(path, crs=32632)


# ------------------------------------------------------------------------------------------------- TICOI, Planet2MintPy


def test_displacements_of_ticoi_count_years_of_365_days(tmp_path):
    path = tmp_path / "ILF_result.csv"
    path.write_text(
        ",date1,date2,result_dx,result_dy,xcount_x,xcount_y\n0,2020-01-01,2020-03-01,2.0,-1.0,1.0,1.0\n"
        "1,2020-03-01,2020-06-01,,3.0,1.0,1.0\n"
    )
    shifts = xoffset.open_shifts(path, crs="EPSG:32632")
    np.testing.assert_allclose(shifts.dx.values.ravel(), [2.0 * 365 / 365.25, np.nan], rtol=1e-12)
    np.testing.assert_allclose(float(shifts.dy[0, 0, 0]), -365 / 365.25, rtol=1e-12)
    assert shifts.flags.values.ravel().tolist() == [0, 2]
    assert str(shifts.secondary.values[0])[:10] == "2020-03-01"
    assert np.isnan(shifts.sigma_dx).all()


def test_velocities_of_ticoi(tmp_path):
    path = tmp_path / "RLF_result.csv"
    path.write_text(",date1,date2,vx,vy\n0,2020-01-01,2021-01-01,36.525,-73.05\n")
    shifts = xoffset.open_shifts(path)
    np.testing.assert_allclose([float(shifts.dx[0, 0, 0]), float(shifts.dy[0, 0, 0])], [36.6, -73.2], rtol=1e-12)
    placed = formats.ticoi_table.read(path, position=(500_005.0, 5_000_005.0), crs=32632)
    assert (float(placed.x[0]), float(placed.y[0])) == (500_005.0, 5_000_005.0)


def test_planet2mintpy_counts_rows_downwards(tmp_path):
    path = tmp_path / "dx_dy_x738_y641.csv"
    path.write_text(
        "name:,dx,dy\n20180513_135849_0f12_20180817_140218_1042_L3B_polyfit-F.tif,0.5,-0.25\n"
        "20230220_132449_29_2445_20230416_133335_34_2420_L3B_polyfit-F.tif,1.0,2.0\n"
    )
    shifts = xoffset.open_shifts(path, pixel_size=3.0)
    np.testing.assert_allclose(shifts.dx.values.ravel(), [1.5, 3.0])
    np.testing.assert_allclose(shifts.dy.values.ravel(), [0.75, -6.0])
    assert str(shifts.reference.values[1])[:19] == "2023-02-20T13:24:49"
    assert str(shifts.secondary.values[0])[:19] == "2018-08-17T14:02:18"
    with pytest.raises(ValueError, match=r"Pass it in metres"):
        xoffset.open_shifts(path)


# ------------------------------------------------------------------------------------------------------ CSV and Parquet


def ours():
    return pd.DataFrame(
        {
            "reference": ["2020-01-01T10:00", "2020-01-01T10:00", "2020-06-01"],
            "secondary": ["2020-06-01", "2020-06-01", "2021-06-01"],
            "dx": [1.0, 2.0, np.nan], "dy": [-1.0, 0.5, 0.25], "sigma_dx": [0.1, 0.2, 0.3], "sigma_dy": 0.4,
        }
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_with_our_names(tmp_path, kind):
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        ours().to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        ours().to_parquet(path)
    shifts = xoffset.open_shifts(path, crs="EPSG:32632")
    expected = xoffset.from_table(ours(), sigma=("sigma_dx", "sigma_dy"), crs="EPSG:32632")
    for name in expected.data_vars:
        np.testing.assert_array_equal(shifts[name], expected[name])
    np.testing.assert_array_equal(shifts.reference, expected.reference)
    assert grids.crs_of(shifts).to_epsg() == 32632


def test_parquet_says_what_it_needs(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 and more")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"xoffset\[parquet\]"):
        xoffset.open_shifts(path)


def test_nodes_of_a_grid_and_named_points(tmp_path):
    path = tmp_path / "table.csv"
    ours().assign(x=[0.0, 10.0, 0.0], y=[0.0, 10.0, 10.0]).to_csv(path, index=False)
    assert dict(xoffset.open_shifts(path).sizes) == {"pair": 2, "y": 2, "x": 2}
    ours().assign(x=[0.0, 13.0, 0.0], y=[0.0, 11.0, 0.0], name=["A", "B", "A"]).to_csv(path, index=False)
    assert xoffset.open_shifts(path).name.values.tolist() == ["A", "B"]


def test_tables_whose_columns_say_too_little_are_refused(tmp_path):
    """In some tables `dX` counts rows: a name alone does not tell which way."""
    path = tmp_path / "table.csv"
    ours().rename(columns={"dx": "dX", "dy": "dY"}).to_csv(path, index=False)
    with pytest.raises(ValueError, match="or read a table with from_table"):
        xoffset.open_shifts(path)
    with pytest.raises(ValueError, match="Say which columns are along x"):
        xoffset.open_shifts(path, system="table")
    shifts = xoffset.from_table(path, components=("dY", "dX"))
    assert float(shifts.dx[0].squeeze()) == -1.0


def test_what_is_no_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("")
    with pytest.raises(ValueError, match="of which pandas says"):
        formats.table.read(path)
    with pytest.raises(FileNotFoundError, match="where there is no file"):
        formats.planet2mintpy.read(tmp_path / "none.csv")


# ------------------------------------------------------------------------------------------------------------- ITS_LIVE


@pytest.mark.data
def test_a_real_table_of_its_live(data_folder, columbia):
    shifts = xoffset.open_shifts(data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv")
    assert dict(shifts.sizes) == {"pair": 2515, "y": 1, "x": 1}
    assert grids.crs_of(shifts).to_epsg() == 3413
    days = columbia["date_dt [days]"].to_numpy()
    np.testing.assert_allclose(shifts.baseline, days, atol=1e-9)
    np.testing.assert_allclose(shifts.dy.values.ravel(), columbia["vy [m/yr]"] * days / 365.25, rtol=1e-9)
    np.testing.assert_allclose(shifts.sigma_dx.values.ravel(), columbia["vx_error [m/yr]"] * days / 365.25, rtol=1e-9)
    middle = shifts.reference + (shifts.secondary - shifts.reference) / 2
    expected = pd.to_datetime(columbia["mid_date"], format="ISO8601").to_numpy().astype("M8[us]")
    assert (abs(middle.values - expected) <= np.timedelta64(1, "us")).all()
    assert float(shifts.x[0]) == pytest.approx(-2_946_000, abs=300_000)


def test_a_table_of_its_live_with_several_points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(
        "mid_date,lat,lon,vx [m/yr],vx_error [m/yr],vy [m/yr],vy_error [m/yr],date_dt [days],epsg\n"
        "2020-01-10 12:00:00,61.18,-146.97,365.25,10,-730.5,20,20,3413\n"
        "2020-01-10 12:00:00,61.10,-146.90,-32767,10,0,20,20,3413\n"
    )
    shifts = xoffset.open_shifts(path)
    assert shifts.dx.dims == ("pair", "point")
    np.testing.assert_allclose(shifts.dx.values.ravel(), [20.0, np.nan], rtol=1e-12)
    np.testing.assert_allclose(shifts.dy.values.ravel()[0], -40.0, rtol=1e-12)
    assert str(shifts.reference.values[0])[:16] == "2019-12-31T12:00"
    path.write_text(path.read_text().replace("20,3413\n2", "20,3031\n2"))
    with pytest.raises(ValueError, match="rows of one CRS"):
        xoffset.open_shifts(path)
