"""losses(): what each stage took and what is left."""

import numpy as np
import pytest
import xarray as xr
from test_stages import ALL, made, planted, screened, spoilt

import xoffset
from xoffset.flags import FLAGS
from xoffset.screening.losses import STAGES


def counted(shifts):
    """Twin: number of vectors by the first of their stages, vector by vector."""
    out = np.zeros((len(STAGES), shifts.sizes["pair"]), int)
    for node in np.ndindex(shifts.dx.shape):
        if np.isfinite(shifts.dx.values[node]) and np.isfinite(shifts.dy.values[node]):
            continue
        borne = [k for k, name in enumerate(STAGES) if int(shifts.flags.values[node]) & FLAGS.get(name, 0)]
        out[min(borne, default=len(STAGES) - 1), node[0]] += 1
    return out


@pytest.mark.parametrize("make", [spoilt, screened])
def test_losses_against_twin(make):
    found = xoffset.losses(make())
    np.testing.assert_array_equal(found.lost, counted(make()))
    np.testing.assert_array_equal(found.nodes - found.lost.sum("stage"), found.left[-1])
    np.testing.assert_array_equal(found.left[-1], (make().dx.notnull() & np.isfinite(make().dy)).sum(("y", "x")))
    for name in ("ndc", "border", "low_score"):
        is_borne = (make().flags & FLAGS[name]) != 0
        is_missing = ~(np.isfinite(make().dx) & np.isfinite(make().dy))
        np.testing.assert_array_equal(found.flagged.sel(stage=name), (is_borne & is_missing).sum(("y", "x")))
    assert (found.flagged >= found.lost)[:-1].all()


def test_a_flag_of_a_value_that_is_there_takes_nothing():
    shifts = planted("flags", (0, 3, 3), FLAGS["no_prior"])
    assert int(xoffset.losses(shifts).lost.sum()) == 0
    shifts = planted("dx", (0, 3, 3), np.nan, shifts)
    assert int(xoffset.losses(shifts).lost.sel(stage="no_prior").sum()) == 1
    bare = planted("dx", (0, 3, 3), np.nan)
    for unflagged in (bare, bare.drop_vars("flags")):
        assert int(xoffset.losses(unflagged).lost.sel(stage="nodata").sum()) == 1
    other = planted("flags", (0, 3, 3), FLAGS["no_pairs"], bare)
    assert int(xoffset.losses(other).lost.sel(stage="without a reason").sum()) == 1


def test_it_prints_as_a_table():
    text = str(xoffset.losses(screened()))
    lines = text.splitlines()
    assert lines[0].startswith(f"{int(screened().dx.notnull().sum()):,} of 1,428 vectors left (")
    assert lines[2].split()[:4] == ["stage", "lost", "share", "left"]
    named = [line.split()[0] for line in lines[3 : lines.index("", 3)]]
    assert named == [name for name in STAGES if name in named]
    assert {"border", "pycorr", "small_clump"} <= set(named)
    assert "raise search" in text
    assert "Pairs with least left:" in text
    assert xoffset.losses(screened())._repr_html_().startswith("<pre>")
    whole = str(xoffset.losses(made()))
    assert whole.splitlines()[0] == "1,428 of 1,428 vectors left (100.0 %) of 6 pairs"
    # a part of it is a Dataset like any other
    assert "Dimensions" in str(xoffset.losses(made()).isel(stage=0))
    assert isinstance(xoffset.losses(made()), xr.Dataset)


def test_one_pair_prints_as_a_table():
    found = xoffset.losses(screened())
    one = str(found.isel(pair=1))
    assert one == str(found.isel(pair=[1]))
    assert one.splitlines()[0].endswith("of 1 pair")


def test_all_rejected_is_a_table_and_no_error():
    gone = xoffset.screen(made(), max_displacement=0.001, min_score=1.0, ndc=0.2, min_clump=4)
    assert not gone.dx.notnull().any()
    text = str(gone.offset.losses())
    assert text.startswith("0 of 1,428 vectors left (0.0 %)")
    assert int(xoffset.losses(gone).lost.sel(stage="amplitude").sum()) == 1428
    again = xoffset.screen(gone, **ALL)
    np.testing.assert_array_equal(again.flags, gone.flags | (again.flags & FLAGS["separation"]))


def test_lazy_losses_are_the_same():
    lazy = xoffset.losses(screened().chunk(pair=4, y=5, x=7))
    assert lazy.lost.chunks is not None
    assert "Dimensions" in str(lazy)
    for each in (lazy, lazy.isel(pair=0)):
        assert str(each).endswith("Not computed yet: losses.compute() prints as a table.")
    assert "compute()" not in str(lazy.isel(stage=0))
    xr.testing.assert_identical(lazy.compute(), xoffset.losses(screened()))
    assert str(lazy.compute()) == str(xoffset.losses(screened()))


def test_losses_of_points():
    points = screened().isel(y=xr.DataArray([0, 9, 5], dims="point"), x=xr.DataArray([1, 16, 6], dims="point"))
    found = xoffset.losses(points)
    assert dict(found.sizes) == {"stage": len(STAGES), "pair": 6}
    assert set(found.coords) >= {"reference", "secondary", "stage", "advice"}
    assert not {"x", "y"} & set(found.coords)
    assert (found.nodes == 3).all()
    np.testing.assert_array_equal(found.left[-1], points.dx.notnull().sum("point"))


def test_every_flag_of_shifts_is_a_stage():
    of_series = {
        "no_pairs", "disconnected", "no_reference", "too_few_dates", "not_converged", "bridged", "oversmoothed",
        "inconsistent", "no_change", "no_acceleration",
    }  # fmt: skip
    without_loss = {"unreferenced", "not_corrected", "smoothed"}
    assert set(STAGES) == set(FLAGS) - of_series - without_loss | {"without a reason"}


def test_losses_refuses_what_is_no_shifts():
    with pytest.raises(ValueError, match=r"losses\(\) needs dim 'pair'"):
        xoffset.losses(xr.Dataset())
    with pytest.raises(TypeError, match=r"losses\(\) needs a Dataset"):
        xoffset.losses(made().dx)


@pytest.mark.data
def test_why_the_map_of_a_fast_glacier_is_empty(data_folder):
    """The tongue of Yahtse Glacier moves by up to 20 px: a short search loses it on its rim, and the table says so."""
    stack = xoffset.open_stack(data_folder / "yahtse_landsat8" / "LC8*.tif").sel(
        x=slice(475_500, 481_100), y=slice(6_672_600, 6_667_400)
    )
    tongue = {"x": slice(477_700, 480_700), "y": slice(6_671_200, 6_668_400)}
    options = {"template": 24, "step": 12}
    found = {
        search: stack.offset.correlate(stack.offset.pairs(), search=search, **options).sel(tongue).offset.screen()
        for search in (3, 24)
    }
    short, long = (xoffset.losses(each) for each in found.values())
    left = [int(each.left[-1].sum()) for each in (short, long)]
    assert left[0] < 0.25 * int(short.nodes.sum())
    assert left[1] > 3 * left[0]
    assert str(short.stage.values[int(short.lost[:, 0].values.argmax())]) == "border"
    assert "raise search" in str(short)
    assert int(long.lost.sel(stage="border").sum()) == 0
