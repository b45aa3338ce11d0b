"""Every system that is written and read: what goes out comes back, within the precision that the table tells."""

import numpy as np
import pyproj
import pytest
import xarray as xr

import xoffset
from xoffset.formats.names import SYSTEMS
from xoffset.formats.open_shifts import module_of, open_shifts
from xoffset.model import products
from xoffset.model.flags import FLAGS
from xoffset.model.grids import agree, crs_of

UTM = pyproj.CRS.from_epsg(32632)
POLAR = pyproj.CRS.from_epsg(3413)
DATES = np.array(["2020-01-01T10:20:30", "2020-07-05T10:20:33", "2021-01-10T10:20:31"], dtype="M8[us]")
# The second pair runs backward.
PAIRS = ((0, 1), (2, 1), (0, 2))
WRITTEN = [name for name, system in SYSTEMS.items() if system.writes is not None]
PIXEL = 10.0


def make_shifts(*, crs=UTM, is_north_up=True, dates=DATES, per_pair=False):
    """Shifts on a grid of steps of 80 m, of any sign, with a hole, of values that no other quantity has."""
    shape = (len(PAIRS), 5, 7)
    rng = np.random.default_rng(3)
    x = 500_040.0 + 80.0 * np.arange(shape[2])
    y = 5_000_040.0 + 80.0 * np.arange(shape[1])
    y = y[::-1] if is_north_up else y
    fields = {name: rng.uniform(-90.0, 90.0, shape).astype(np.float32) for name in ("dx", "dy")}
    for name in ("sigma_dx", "sigma_dy"):
        sigma = rng.uniform(2.0, 6.0, (shape[0], 1, 1)) if per_pair else rng.uniform(2.0, 6.0, shape)
        fields[name] = np.broadcast_to(sigma, shape).astype(np.float32).copy()
    fields["score"] = rng.uniform(0.3, 1.0, shape).astype(np.float32)
    is_lost = np.zeros(shape, bool)
    is_lost[0, 1, 2] = is_lost[1, 3, :2] = True
    for name in ("dx", "dy", "sigma_dx", "sigma_dy"):
        fields[name][is_lost] = np.nan
    fields["flags"] = is_lost * np.int64(FLAGS["nodata"])
    like = xr.DataArray(
        np.zeros(shape[1:]), {"y": y, "x": x, "spatial_ref": ((), 0, {"crs_wkt": crs.to_wkt()})}, ("y", "x")
    )
    reference, secondary = (dates[[pair[end] for pair in PAIRS]] for end in (0, 1))
    network = products.network(reference, secondary)
    shifts = products.shifts(fields, network, x=x, y=y, like=like, step={"function": "test"})
    return shifts.assign_coords({products.PIXEL_SIZE: PIXEL})


def forward(name, shifts):
    """Shifts without pairs backward in time, of systems that take none."""
    return shifts if SYSTEMS[name].backward else shifts.isel(pair=(shifts.secondary > shifts.reference).values)


def written(name, shifts, folder, **options):
    """Path of what a system wrote."""
    system, shifts = SYSTEMS[name], forward(name, shifts)
    module = module_of(name)
    if system.writes == "stack":
        return module.write(shifts, folder / f"stack{options.pop('suffix', system.suffixes[0])}", **options)
    return module.write(shifts, folder, **options)


def options_of(name):
    """What `open_shifts` needs to know of the files of a system."""
    return {"pixel_size": PIXEL} if name == "autorift" else {}


def in_order(shifts):
    return shifts.isel(pair=np.lexsort((shifts.secondary, shifts.reference)))


def check_same(name, found, expected):
    system = SYSTEMS[name]
    found, expected = in_order(found.load()), in_order(forward(name, expected))
    assert dict(found.sizes) == dict(expected.sizes)
    rounding = np.timedelta64(1, system.dates) if system.dates != "us" else np.timedelta64(0, "us")
    for end in ("reference", "secondary"):
        assert (np.abs(found[end].values - expected[end].values) <= rounding).all(), end
    expected = expected.sortby("y", ascending=False)
    found = found.sortby("y", ascending=False)
    for axis in ("x", "y"):
        np.testing.assert_allclose(found[axis], expected[axis], rtol=0, atol=1e-6)
    assert agree(crs_of(found), crs_of(expected))
    length = np.abs((expected.secondary - expected.reference) / np.timedelta64(1, "D")).values[:, None, None]
    per = {"m yr-1": length / 365.25, "m d-1": length, "m": 1.0, "pixel": PIXEL}[system.units]
    # half of the least step, and what the dates lost
    step = 0.5001 * system.quantum * per + 90.0 * (
        1.0 / length if system.dates == "D" and "-1" in system.units else 0.0
    )
    for component in ("dx", "dy"):
        np.testing.assert_array_equal(np.isnan(found[component]), np.isnan(expected[component]))
        assert (np.abs(found[component] - expected[component]).fillna(0) <= step + 1e-4).all(), component
        sigma = f"sigma_{component}"
        if system.sigma == "none":
            assert np.isnan(found[sigma]).all()
        else:
            np.testing.assert_allclose(found[sigma], expected[sigma], rtol=2e-3)
    np.testing.assert_array_equal(found.flags != 0, expected.flags != 0)


@pytest.mark.parametrize("name", WRITTEN)
class TestWhatIsWritten:
    def test_comes_back(self, name, tmp_path):
        shifts = make_shifts(per_pair=SYSTEMS[name].sigma == "pair")
        written(name, shifts, tmp_path)
        target = tmp_path if SYSTEMS[name].writes == "pair" else next(tmp_path.iterdir())
        found = open_shifts(target, **options_of(name))
        check_same(name, found, shifts)
        assert set(found.system.values) == {name}
        xoffset.invert(found, weights="uniform")

    def test_comes_back_from_rows_that_run_north(self, name, tmp_path):
        shifts = make_shifts(is_north_up=False, per_pair=SYSTEMS[name].sigma == "pair")
        written(name, shifts, tmp_path)
        target = tmp_path if SYSTEMS[name].writes == "pair" else next(tmp_path.iterdir())
        check_same(name, open_shifts(target, **options_of(name)), shifts)

    def test_comes_back_of_lazy_shifts_and_another_projection(self, name, tmp_path):
        shifts = make_shifts(crs=POLAR, per_pair=SYSTEMS[name].sigma == "pair")
        written(name, shifts.chunk(y=2), tmp_path)
        target = tmp_path if SYSTEMS[name].writes == "pair" else next(tmp_path.iterdir())
        check_same(name, open_shifts(target, system=name, **options_of(name)), shifts)

    def test_is_not_replaced_unasked(self, name, tmp_path):
        shifts = make_shifts()
        written(name, shifts, tmp_path)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        with pytest.raises(FileExistsError, match="overwrite=True"):
            written(name, shifts, tmp_path)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
        written(name, shifts, tmp_path, overwrite=True)
        assert {path.name for path in tmp_path.iterdir()} == {path.name for path in before}

    def test_leaves_nothing_where_values_cannot_be_computed(self, name, tmp_path):
        def fail(values):
            raise RuntimeError("the disk is on fire")

        lazy = make_shifts().chunk(pair=1)
        lazy["dy"] = xr.apply_ufunc(fail, lazy["dy"], dask="parallelized", output_dtypes=["float32"])
        with pytest.raises(RuntimeError, match="on fire"):
            written(name, lazy, tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "suffix"), [(name, end) for name in WRITTEN for end in SYSTEMS[name].suffixes])
def test_every_kind_of_store(name, suffix, tmp_path):
    shifts = make_shifts(per_pair=SYSTEMS[name].sigma == "pair")
    path = written(name, shifts, tmp_path, suffix=suffix)
    assert path.suffix == suffix
    check_same(name, open_shifts(path), shifts)
