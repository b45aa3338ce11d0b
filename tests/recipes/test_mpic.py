"""The recipe `mpic-opt`: every parameter of the service has its effect, and every product its name, sign and unit."""

import contextlib
import logging
import re
import tomllib

import numpy as np
import pytest
import rasterio
import safe_products
import xarray as xr
from click.testing import CliRunner
from matplotlib.image import imread

import xoffset
from xoffset import cli, synthetic
from xoffset.pipeline import files, planning
from xoffset.recipes import MpicOpt

DATES = ["2021-07-02", "2021-07-17", "2021-08-01"]
DAYS = [date.replace("-", "") for date in DATES]
SPAN = f"{DAYS[0]}_{DAYS[2]}"
PAIRS = [(0, 1), (1, 2), (1, 0), (2, 1)]
CHANGES = {
    "spatial_matching_range": 2, "window_size": 2, "activate_backward_matching": True, "temporal_matching_range": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def landslide():
    """Images (time, y, x) of a landslide that moves by 12 m in a month, southeast, and its truth."""
    return synthetic.stack((240, 240), dates=DATES, velocity=150.0, direction=120.0, snr=8.0, seed=3)


@pytest.fixture(scope="session")
def small():
    dates = ["2020-01-01", "2020-02-10", "2020-03-21", "2020-05-01"]
    return synthetic.stack((110, 120), dates=dates, velocity=80.0, direction=120.0, snr=6.0, seed=5)[0]


@pytest.fixture(scope="session")
def scenes(landslide, tmp_path_factory):
    folder = tmp_path_factory.mktemp("safe")
    for date, image in zip(DATES, landslide[0].values, strict=True):
        pixels = {"B04": np.clip(image, 1, 10000).round().astype(int)}
        safe_products.write(folder, date=f"{date}T10:20:31", pixels=pixels, bands=("B04", "B08"))
    return folder


@pytest.fixture(scope="session")
def run(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("mpic") / "out"
    return {name: each.compute() for name, each in xoffset.run("mpic-opt", scenes, out, **CHANGES).items()}, out


def results(scenes, **fields):
    """Results of the recipe, lazy, and nothing is written."""
    return planning.make_plan(MpicOpt(**{"spatial_matching_range": 2} | fields), scenes, {}).results


def noise(shifts):
    """Spread of the displacements in the corners, where nothing moves [m]."""
    corner = shifts.dx[:, 5:25, 5:25].values
    return float(np.nanmedian(np.abs(corner - np.nanmedian(corner))))


# ----------------------------------------------------------------------------------------------------------- parameters


def test_band_is_that_of_the_products(scenes):
    assert results(scenes)["stack"].identical(xoffset.open_stack(scenes, band="B04", chunks=1024))
    assert results(scenes, band="B08")["stack"].identical(xoffset.open_stack(scenes, band="B08", chunks=1024))


def test_tile_is_one_of_several(tmp_path):
    for date in ("2016-07-01T20:46:43.000", "2016-07-11T20:46:43.000"):
        safe_products.write_old(tmp_path, date=date)
    assert set(results(tmp_path, tile="05MKP")["stack"].tile.values) == {"05MKP"}
    with pytest.raises(ValueError, match=r"tile="):
        results(tmp_path)


def test_classes_are_not_matched(scenes, run):
    mask = run[0]["corrected"].dx[0].isnull()
    assert mask[60:80, 40:100].all()
    assert float(results(scenes, window_size=2, classes="none")["matches"].dx[0, 60:80, 40:100].isnull().mean()) < 0.2


def test_detectors_tell_stripes(landslide, tmp_path):
    """All that the second detector saw lies a pixel beside."""
    image = np.clip(landslide[0].values[0], 1, 10000).round().astype(int)
    for date in DATES[:2]:
        known = safe_products.write(tmp_path, date=f"{date}T10:20:31", pixels={"B04": image})
        image = np.where(known.detectors["10m"] == safe_products.DETECTORS[1], np.roll(image, 1, axis=1), image)
    steps = []
    for detectors in ("auto", "none"):
        dx = results(tmp_path, detectors=detectors, classes="none")["corrected"].dx[0].compute()
        # on both sides of the edge: a plane takes some of the step, too
        steps.append(float(dx[100:140, 130:136].median() - dx[100:140, 100:106].median()))
    assert abs(steps[0]) < 0.1
    assert steps[1] > 6.0


def ends(network):
    first, second = (network[name].values.astype("M8[D]").astype(str) for name in ("reference", "secondary"))
    return list(zip(first, second, strict=True))


def test_split_date_parts_the_series_and_is_of_its_end(small):
    found = ends(results(small, split_date="2020-03-21")["network"])
    assert found == [
        (first, second) for first in ("2020-01-01", "2020-02-10") for second in ("2020-03-21", "2020-05-01")
    ]
    assert ends(results(small, split_date="NONE")["network"]) == ends(results(small)["network"])


def test_temporal_matching_range_counts_previous_images(small):
    assert [results(small, temporal_matching_range=k)["network"].sizes["pair"] for k in (1, 2, 3)] == [3, 5, 6]
    # a split comes first
    assert results(small, temporal_matching_range=1, split_date="2020-03-01")["network"].sizes["pair"] == 4


def test_backward_matching_turns_each_pair(small):
    there, both = (results(small, temporal_matching_range=1, activate_backward_matching=each) for each in (False, True))
    assert sorted(ends(both["network"])) == sorted(ends(there["network"]) + [p[::-1] for p in ends(there["network"])])
    shifts = both["shifts"].compute()
    forward = shifts.secondary.values > shifts.reference.values
    dx = [float(shifts.dx[pairs, 45:60, 50:65].median()) for pairs in (forward, ~forward)]
    assert dx[0] > 2.0
    assert dx[1] == pytest.approx(-dx[0], abs=1.0)


def test_window_size_averages(small):
    wide, narrow = (
        noise(results(small, window_size=k, temporal_matching_range=1, regularization_parameter=0.05)["matches"])
        for k in (6, 1)
    )
    assert wide < 0.7 * narrow


def test_decorrelation_threshold_discards(small):
    strict, lax = (
        results(small, decorrelation_threshold=each, temporal_matching_range=1)["shifts"].compute()
        for each in (0.99, 0.2)
    )
    assert float(strict.dx.isnull().mean()) > float(lax.dx.isnull().mean()) + 0.1
    assert not (strict.score.where(strict.dx.notnull()) < 0.99).any()


@pytest.mark.parametrize(("given", "pixels"), [(3, 6), (7, 11), (2, 5), (0, 2), (1.5, 4), (1.2, 4)])
def test_spatial_matching_range_is_the_formula_of_the_service(given, pixels):
    recipe = MpicOpt(spatial_matching_range=given)
    assert next(step for step in recipe.steps if step.name == "matches").options["search"] == pixels


def test_spatial_matching_range_bounds_what_is_found():
    stack, _ = synthetic.stack((110, 120), dates=["2020-01-01", "2021-01-01"], field="constant", velocity=40.0)
    wide, narrow = (results(stack, spatial_matching_range=each)["matches"].compute() for each in (3, 0))
    assert float(np.hypot(wide.dx, wide.dy).median()) == pytest.approx(40.0, abs=1.0)
    assert not (np.hypot(narrow.dx, narrow.dy) > 31.0).any()


def test_regularization_smooths(small):
    rough, smooth = (
        results(small, regularization_parameter=each, temporal_matching_range=1)["matches"] for each in (0.02, 1.0)
    )
    assert noise(smooth) < 0.7 * noise(rough)


def test_a_window_that_the_service_advises_against_is_told():
    assert MpicOpt(spatial_matching_range=3, window_size=7).warnings == []
    assert "advises a window_size of 7 at most; got 8" in MpicOpt(spatial_matching_range=3, window_size=8).warnings[0]


# ------------------------------------------------------------------------------------------------------------- products


def of_pair(run, name, pair):
    corrected = run[0]["corrected"]
    days = [f"{corrected[each].values[pair].astype('M8[D]')}".replace("-", "") for each in ("reference", "secondary")]
    return corrected.isel(pair=pair), "_".join([name, *days])


def expected(run, product):
    """Names of files and their values, from the products of xarray."""
    found = {}
    for pair in range(run[0]["corrected"].sizes["pair"]):
        shifts, _ = of_pair(run, "", pair)
        values = {
            "Px1": shifts.dx / 10.0,
            "Px2": -shifts.dy / 10.0,
            "Correl": (128 + (127 * shifts.score.clip(0, 1)).round()).where(shifts.score.notnull(), 0),
        }.get(product)
        if values is not None:
            found[of_pair(run, product, pair)[1]] = values
    maps = {
        "vector_coherence": lambda: run[0]["coherence"].vector_coherence,
        "mean_displacement": lambda: run[0]["displacement"].magnitude,
        "mean_veloc_ew": lambda: run[0]["velocity"].vx / 365.25,
        "mean_veloc_ns": lambda: -run[0]["velocity"].vy / 365.25,
    }
    return found or {f"{product}_{SPAN}": maps[product]()}


@pytest.mark.parametrize(
    ("product", "dtype", "nodata", "unit"),
    [
        ("Px1", "float32", np.nan, "pixel"),
        ("Px2", "float32", np.nan, "pixel"),
        ("Correl", "uint8", 0, "1"),
        ("vector_coherence", "float32", np.nan, "1"),
        ("mean_displacement", "float32", np.nan, "m"),
        ("mean_veloc_ew", "float32", np.nan, "m d-1"),
        ("mean_veloc_ns", "float32", np.nan, "m d-1"),
    ],
)
def test_products_are_those_of_the_service(run, product, dtype, nodata, unit):
    wanted = expected(run, product)
    assert len(wanted) == (4 if product in ("Px1", "Px2", "Correl") else 1)
    for name, values in wanted.items():
        with rasterio.open(run[1] / "products" / f"{name}.tif") as file:
            found, tags = file.read(1), file.tags()
            assert (file.count, file.dtypes[0], tags["units"]) == (1, dtype, unit)
            np.testing.assert_equal(file.nodata, nodata)
            assert file.transform.e == -10.0
            assert file.crs.to_epsg() == 32631
            np.testing.assert_allclose(file.xy(0, 0), (float(values.x[0]), float(values.y[0])))
        if product == "Correl":
            # halves may be rounded either way
            assert np.abs(found - values).max() <= 1
            assert (found != values).mean() < 1e-3
        else:
            np.testing.assert_allclose(found, values, rtol=2e-6, atol=1e-7)
    ends = {"Px1": "east positive", "Px2": "south positive", "mean_veloc_ns": "south positive"}
    assert tags["long_name"].endswith(ends.get(product, ""))
    if product == "Correl":
        assert tags["legend"].startswith("0=no value 128..255=correlation 0..1")


def test_masks_are_those_of_the_service(run, scenes):
    stack = xoffset.open_stack(scenes, band="B04")
    kept = xoffset.masking.usable(xoffset.masking.classes(scenes, like=stack), closing=100.0, opening=200.0)
    names = sorted(path.name for path in (run[1] / "products").glob("cloud_masks_assembled_*"))
    assert names == sorted(f"cloud_masks_assembled_{DAYS[a]}_{DAYS[b]}.tif" for a, b in PAIRS)
    for first, second in PAIRS:
        name = f"cloud_masks_assembled_{DAYS[first]}_{DAYS[second]}.tif"
        with rasterio.open(run[1] / "products" / name) as file:
            assert (file.dtypes[0], file.nodata, file.tags()["legend"]) == ("uint8", None, "0=removed 255=kept")
            np.testing.assert_array_equal(file.read(1), np.where(kept[first] & kept[second], 255, 0))
    assert 0.05 < float((~kept).mean()) < 0.6


def test_previews_are_drawn(run):
    names = sorted(path.name for path in (run[1] / "previews").iterdir())
    indicators = ["vector_coherence", "mean_displacement", "mean_veloc_ew", "mean_veloc_ns"]
    drawn = [f"{name}_{DAYS[a]}_{DAYS[b]}.png" for name in ("Px1", "Px2") for a, b in PAIRS]
    assert names == sorted([*drawn, *(f"{name}_{SPAN}.png" for name in indicators)])
    assert imread(run[1] / "previews" / f"mean_displacement_{SPAN}.png").std() > 0.05


def test_the_motion_is_that_of_the_landslide(run, landslide):
    moved = run[0]["velocity"]
    truth = landslide[1].vx.values[2:-2, 2:-2], landslide[1].vy.values[2:-2, 2:-2]
    fast = np.hypot(*truth) > 100.0
    for values, expected_values in zip((moved.vx.values, moved.vy.values), truth, strict=True):
        assert np.nanmedian((values - expected_values)[fast]) == pytest.approx(0.0, abs=15.0)
    assert np.nanmean(run[0]["coherence"].vector_coherence.values[fast]) > 0.9


def test_the_shifts_read_back_are_the_shifts(run):
    back = xoffset.formats.mpic.read(run[1] / "products")
    ours = run[0]["corrected"].sortby(["reference", "secondary"])
    assert back.sizes["pair"] == 4
    back = back.sortby(["reference", "secondary"])
    # scores of 0.002 and less are no value in 8 bit
    np.testing.assert_allclose(back.dx.values, ours.dx.values, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(back.dy.values, ours.dy.values, rtol=1e-5, atol=1e-4)


# ----------------------------------------------------------------------------------------------------------- as a whole


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.tif"))}


def test_the_recipe_beside_the_products_tells_all(run, scenes):
    told = tomllib.loads((run[1] / "recipe.toml").read_text())
    assert (told["band"], told["classes"], told["detectors"], told["tile"]) == ("B04", "products", "products", "local")
    assert told["decorrelation_threshold"] == 0.2
    assert {path.rpartition("/")[2] for path in told["inputs"]} == {path.name for path in scenes.iterdir()}
    assert told["not_written"] == {}


def test_the_file_of_a_run_gives_the_same_bits(run, scenes, tmp_path):
    result = CliRunner().invoke(cli.main, ["run", str(run[1] / "recipe.toml"), str(scenes), "-o", str(tmp_path / "b")])
    assert result.exit_code == 0, result.output
    assert f"products/Px1_{DAYS[0]}_{DAYS[1]}.tif" in result.output
    for name, each in run[0].items():
        xr.testing.assert_identical(xoffset.open_result(tmp_path / "b" / f"{name}.zarr").compute(), each)
    assert contents(tmp_path / "b") == contents(run[1])


def test_the_script_gives_the_same_bits(run, scenes, tmp_path):
    recipe = MpicOpt(**CHANGES, band="B04", classes="products", detectors="products")
    exec(recipe.script(str(scenes), str(tmp_path / "c")), {})
    for name in ("corrected", "coherence", "velocity"):
        xr.testing.assert_identical(xoffset.open_result(tmp_path / "c" / f"{name}.zarr").compute(), run[0][name])
    assert contents(tmp_path / "c") == contents(run[1])


def test_files_that_are_lost_are_written_again(run, scenes):
    before = contents(run[1])
    lost = run[1] / "products" / f"Px1_{DAYS[0]}_{DAYS[1]}.tif"
    lost.unlink()
    (run[1] / "products" / f"mean_veloc_ew_{SPAN}.tif").write_bytes(b"cut")
    mtime = next((run[1] / "previews").iterdir()).stat().st_mtime_ns
    xoffset.run("mpic-opt", scenes, run[1], **CHANGES)
    assert contents(run[1]) == before
    assert next((run[1] / "previews").iterdir()).stat().st_mtime_ns == mtime


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"window_size": 3}, r"matches.zarr; got other ones: steps: .* correlate: matcher: window: was 5, is 7"),
        ({"decorrelation_threshold": 0.3}, r"shifts.zarr; got other ones: .* screen: min_score: was 0.2, is 0.3"),
        ({"split_date": "2021-07-10"}, r"matches.zarr; got other ones: dates: reference: was"),
        ({"tile": "31TGK"}, r"matches.zarr; got other ones: steps: 1 open_stack: tile: was not there, is 31TGK"),
    ],
)
def test_another_parameter_does_not_go_on(run, scenes, change, advice):
    before = contents(run[1])
    with pytest.raises(ValueError, match=advice):
        xoffset.run("mpic-opt", scenes, run[1], **CHANGES | change)
    assert contents(run[1]) == before


def test_images_without_classes_have_no_masks(small, tmp_path, monkeypatch):
    monkeypatch.setattr("xoffset.plotting.style.has_extra", lambda: False)
    xoffset.run("mpic-opt", small, tmp_path / "out", spatial_matching_range=2, temporal_matching_range=1)
    told = tomllib.loads((tmp_path / "out" / "recipe.toml").read_text())
    assert "classes of the pixels are not known" in told["not_written"]["products/cloud_masks_assembled_*.tif"]
    assert "matplotlib is not installed" in told["not_written"]["previews/*.png"]
    assert not list((tmp_path / "out" / "products").glob("cloud_masks*"))
    assert not (tmp_path / "out" / "previews").exists()
    # files of others that lie there are left alone
    (tmp_path / "out" / files.FILES).unlink()
    with pytest.raises(FileExistsError, match=r"needs a free place for products/.*one of others"):
        xoffset.run("mpic-opt", small, tmp_path / "out", spatial_matching_range=2, temporal_matching_range=1)


def test_products_without_classes_say_so(scenes, monkeypatch):
    def lacks(*_, **__):
        raise FileNotFoundError("classes() needs a layer; got none. Pass rasters.")

    monkeypatch.setattr("xoffset.recipes.services.classes", lacks)
    plan = planning.make_plan(MpicOpt(spatial_matching_range=2), scenes, {})
    assert (plan.recipe.classes, plan.recipe.detectors) == ("none", "products")
    assert "classes() needs a layer" in plan.not_written["products/cloud_masks_assembled_*.tif"]
    with pytest.raises(FileNotFoundError, match="needs a layer"):
        planning.make_plan(MpicOpt(spatial_matching_range=2, classes="products"), scenes, {})


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("change", "error", "advice"),
    [
        ({"split_date": "2031-01-01"}, ValueError, r"Give a split after .* 2021-07-02.*after the last, 2021-08-01"),
        ({"split_date": "2001-01-01"}, ValueError, r"Give a split after the first date"),
        ({"spatial_matching_range": 500}, ValueError, r"Use a smaller"),
        ({"windowsize": 3}, TypeError, r"Did you mean 'window_size'"),
        ({"band": "B99"}, ValueError, r"band"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(scenes, tmp_path, change, error, advice):
    with pytest.raises(error, match=advice):
        xoffset.run("mpic-opt", scenes, tmp_path / "out", **CHANGES | change)
    assert not (tmp_path / "out").exists()


def test_images_that_no_pair_joins_are_refused(small, tmp_path):
    with pytest.raises(ValueError, match=r"at least two dates; got 1"):
        xoffset.run("mpic-opt", small[:1], tmp_path / "out", spatial_matching_range=2)
    apart = small[:2].assign_coords(relative_orbit=("time", [65, 22]))
    with pytest.raises(ValueError, match=r"none has one orbit"):
        xoffset.run("mpic-opt", apart, tmp_path / "out", spatial_matching_range=2)
    assert not (tmp_path / "out").exists()


# --------------------------------------------------------------------------------------------------------- command line


def call(*arguments):
    return CliRunner().invoke(cli.main, [str(each) for each in arguments])


def test_options_are_the_fields(scenes, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "_announce", lambda *_, **__: None)
    monkeypatch.setattr(cli, "carry_out", lambda plan, *_: seen.append(plan.recipe) or {})
    options = [
        "--window-size", 2, "--spatial-matching-range", 2, "--activate-backward-matching",
        "--temporal-matching-range", 1,
    ]  # fmt: skip
    for first in (["mpic-opt", scenes], ["--overwrite", "mpic-opt", scenes]):
        result = call("run", *first, "-o", tmp_path / "out", *options)
        assert result.exit_code == 0, result.output
        assert seen.pop() == MpicOpt(**CHANGES, band="B04", classes="products", detectors="products")


def test_help_tells_the_parameters():
    text = " ".join(call("run", "mpic-opt", "--help").output.split())
    for wanted in (
        "--window-size", "--spatial-matching-range", "[required]", "[default: 0.2]", "[default: auto]", "--split-date",
        "--dry-run",
        "--activate-backward-matching / --no-activate-backward-matching", "[auto|products|none]",
    ):  # fmt: skip
        assert wanted in text


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], r"Missing option '--spatial-matching-range'"),
        (["--spatial-matching-range", 2, "--window-size", 99], r"from 1 to 31 as window_size"),
        (["--spatial-matching-range", 2, "--windowsize", 9], r"No such option"),
        (["--spatial-matching-range", "far"], r"is not a valid float"),
    ],
)
def test_options_out_of_range_are_one_message(scenes, tmp_path, options, advice):
    result = call("run", "mpic-opt", scenes, "-o", tmp_path / "out", *options)
    assert result.exit_code in (1, 2)
    assert re.search(advice, result.output), result.output
    assert "Traceback" not in result.output


def test_the_cost_is_told_first(scenes, tmp_path):
    result = call("run", "mpic-opt", scenes, "-o", tmp_path / "out", "--spatial-matching-range", 2, "--dry-run")
    assert result.exit_code == 0, result.output
    for stage in ("Matching", "Screening", "Correcting", "Vector coherence", "Writing files"):
        assert stage in result.output


def test_warnings_are_told(small, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="xoffset"), contextlib.suppress(KeyboardInterrupt):
        xoffset.run("mpic-opt", small, tmp_path / "out", spatial_matching_range=2, window_size=8, progress=stop)
    assert "advises a window_size of 7 at most; got 8" in caplog.text


def stop(_):
    raise KeyboardInterrupt
