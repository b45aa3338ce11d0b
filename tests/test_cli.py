"""The `xoffset` command: a demo that compares with the truth, and a run on files."""

import contextlib
import importlib.metadata
import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import safe_products
import xarray as xr
from affine import Affine
from click.testing import CliRunner

import xoffset
from xoffset import cli, synthetic
from xoffset.matching import request
from xoffset.model import grids
from xoffset.pipeline import files as records
from xoffset.pipeline import folder

DATES = ["2020-01-01", "2020-07-01", "2021-01-01"]
# small windows, so that small images have many
WINDOWS = ["--template", "16", "--search", "4", "--step", "8"]
CORRECTED = sorted([
    "matches.zarr", "shifts.zarr", "corrected.zarr", "series.zarr", "velocity.zarr", "velocity", "maps", records.FILES,
    folder.MARKER, folder.RECIPE, folder.REPORT,
])  # fmt: skip
# of a run that corrects nothing
RESULTS = [name for name in CORRECTED if name != "corrected.zarr"]
# the demo shows one thing only, and does not go on
DEMO = [name for name in CORRECTED if name not in ("matches.zarr", records.FILES, folder.RECIPE, folder.REPORT)]
ZARR = ("shifts.zarr", "series.zarr", "velocity.zarr")


def call(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------------------- demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "results"
    return call("demo", "--size", 192, "-o", out), out


def test_demo_prints_measured_against_true_velocity(demo):
    result, out = demo
    assert result.exit_code == 0, result.output
    for name in ("vx", "vy"):
        found = re.search(
            rf"{name}: bias (\S+) m/yr, RMSE (\S+) m/yr, largest true (\S+) m/yr, (\d+) % of the truth within",
            result.output,
        )
        assert found, result.output
        bias, rmse, largest, within = map(float, found.groups())
        assert abs(bias) < 0.05 * largest
        assert rmse < 0.2 * largest
        assert 30 < within < 100
    valid = re.search(r"valid: (\d+\.\d) % of ([\d,]+) windows", result.output)
    assert float(valid[1]) > 70
    assert str(out) in result.output


def test_demo_says_what_it_does_meanwhile(demo):
    output = demo[0].output
    assert "12 dates, 192 x 192 pixels" in output
    assert re.search(r"12 images of 192 x 192 pixels, 30 pairs \(every date in 3 or more\), 21 x 21 windows", output)
    order = [output.index(word) for word in ("Photographing", "Matching ...", "Inverting ...", "Fitting velocity ...")]
    assert order == sorted(order)
    assert "100% Completed" in output


@pytest.mark.parametrize("command", ["demo", "run"])
def test_the_cost_of_matching_is_told_before_it_begins(request, command):
    output = request.getfixturevalue(command)[0].output
    cost = r"Expected of matching ([\d,]+) windows x (\d+) pairs, ([\d,]+) shifts: about (\S+) \S+ on \d+ cores?, "
    cost += r"\S+ .B of memory, \S+ .B of results"
    found = re.search(cost, output)
    windows, pairs = {"demo": ("441", "30"), "run": ("99", "3")}[command]
    assert found.groups()[:2] == (windows, pairs)
    assert float(found[4]) > 0
    assert found.start() < output.index("Matching ...") < output.index("100% Completed")


def test_demo_writes_every_product(demo):
    out = demo[1]
    assert contents(out) == DEMO
    shifts, series, rate = (xoffset.open_result(out / name) for name in ZARR)
    assert shifts.dx.dims == ("pair", "y", "x")
    assert series.sizes["time"] == 12
    assert np.isfinite(rate.v).mean() > 0.7
    assert all(grids.crs_of(product).to_epsg() == 32632 for product in (shifts, series, rate))
    assert [path.name for path in sorted((out / "velocity").glob("*.tif"))] == sorted(
        f"{name}.tif" for name, data in rate.data_vars.items() if data.ndim == 2
    )
    # one number of the whole map is no file, but is told
    common = re.search(r"All of the map shares an error of (\S+) m/yr", demo[0].output)
    assert float(common[1]) == pytest.approx(float(rate.sigma_shift), abs=5e-4)
    with rasterio.open(out / "velocity" / "vx.tif") as file:
        np.testing.assert_array_equal(file.read(1), rate.vx)
        assert file.units == ("m yr-1",)


def test_demo_draws_maps(demo):
    maps = [path.name for path in (demo[1] / "maps").glob("*.png")]
    assert {"velocity.png", "comparison.png", "vx.png"} <= set(maps)


@pytest.mark.usefixtures("quick")
def test_demo_measures_the_same_again_and_replaces_only_its_own(demo, tmp_path):
    out = tmp_path / "again"
    (out / "velocity.zarr").mkdir(parents=True)
    (out / folder.MARKER).touch()
    (out / "notes.txt").write_text("mine")
    result = call("demo", "--size", 192, "-o", out)
    assert result.exit_code == 0
    assert contents(out) == sorted([*DEMO, "notes.txt"])
    for name in ZARR:
        xr.testing.assert_identical(xoffset.open_result(out / name), xoffset.open_result(demo[1] / name))


# ----------------------------------------------------------------------------------------------------------------- run


@pytest.fixture(scope="module")
def truth_and_files(tmp_path_factory):
    """Three GeoTIFFs of ground that moves eastwards by 20 m a year."""
    folder = tmp_path_factory.mktemp("files")
    stack, truth = synthetic.stack((80, 96), dates=DATES, field="constant", velocity=20.0, direction=90.0, snr=10.0)
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    for date, image in zip(DATES, stack.values.round().astype("uint16"), strict=True):
        path = folder / f"ortho_{date.replace('-', '')}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=80, width=96, count=1, dtype="uint16", nodata=0, **place
        ) as file:
            file.write(image, 1)
    return truth, sorted(folder.glob("*.tif"))


@pytest.fixture(scope="module")
def files(truth_and_files):
    return truth_and_files[1]


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "results"
    return call("run", *files, "-o", out, "--date", "ortho_%Y%m%d", *WINDOWS), out


def test_run_measures_files(run):
    result, out = run
    assert result.exit_code == 0, result.output
    assert contents(out) == RESULTS
    rate = xoffset.open_result(out / "velocity.zarr").load()
    assert float(rate.vx.median()) == pytest.approx(20.0, abs=0.3)
    assert float(rate.vy.median()) == pytest.approx(0.0, abs=0.3)
    assert "3 images of 96 x 80 pixels, 3 pairs (every date in 2 or more), 11 x 9 windows" in result.output
    assert result.output.rstrip().endswith(f"Results: {out.resolve()}")


def test_run_does_what_the_functions_do(run, files):
    stack = xoffset.open_stack(files, date="ortho_%Y%m%d")
    shifts = xoffset.correlate(stack, xoffset.pairs(stack, max_gap=3), template=16, search=4, step=8)
    shifts = xoffset.screen(shifts, min_score=0.5)
    saved = {name: xoffset.open_result(run[1] / name).load() for name in ZARR}
    xr.testing.assert_equal(saved["shifts.zarr"], shifts)
    xr.testing.assert_equal(saved["series.zarr"], xoffset.invert(shifts))
    xr.testing.assert_equal(saved["velocity.zarr"], xoffset.velocity(shifts))


@pytest.fixture
def quick(monkeypatch):
    """Maps take seconds, and so does the end of each progress bar: leave them to one test."""

    def save(rate, folder, *, truth=None):
        folder.mkdir(exist_ok=True)
        (folder / "velocity.png").touch()
        return [folder / "velocity.png"]

    monkeypatch.setattr(cli.plotting, "save_maps", save)
    monkeypatch.setattr(cli.threads, "progress", contextlib.nullcontext)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["folder", "pattern"])
def test_run_takes_a_folder_or_a_pattern(run, files, tmp_path, kind):
    source = files[0].parent if kind == "folder" else files[0].parent / "ortho_*.tif"
    result = call("run", source, "-o", tmp_path, "--date", "ortho_%Y%m%d", "--tiles", ":", *WINDOWS)
    assert result.exit_code == 0, result.output
    xr.testing.assert_equal(*(xoffset.open_result(out / "matches.zarr") for out in (tmp_path, run[1])))


@pytest.mark.usefixtures("quick")
def test_run_passes_its_options_on(files, tmp_path):
    result = call(
        "run", *files, "-o", tmp_path, "--date", "ortho_%Y%m%d", "--bbox", 500_000, 4_999_360, 500_640, 5_000_000,
        "--nodata", 1, "--band", 1, "--max-gap", 1, "--max-baseline", "183D", "--template", 24, "--search", 5,
        "--step", 12, "--min-score", 0.9, "--reference", "2020-07-01",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    series = xoffset.open_result(tmp_path / "series.zarr")
    assert series.attrs["reference"].startswith("2020-07-01")
    steps = series.attrs["processing"]
    for text in ('"bbox": [500000.0', '"nodata": 1.0', '"band": 1', '"template": 24', '"search": 5', '"step": 12',
                 '"min_score": 0.9'):  # fmt: skip
        assert text in steps
    assert xoffset.open_result(tmp_path / "shifts.zarr").sizes["pair"] == 1  # the second half of 2020 has 184 days


@pytest.mark.usefixtures("quick")
def test_run_takes_products_of_one_tile_and_orbit(tmp_path):
    pixels = np.random.default_rng(0).integers(1000, 3000, (240, 240))
    for date, orbit in (("2021-07-17T10:20:31", 65), ("2021-07-22T10:20:31", 65), ("2021-07-20T10:10:31", 22)):
        for tile in ("31TGK", "31TFK"):
            safe_products.write(tmp_path, date=date, orbit=orbit, tile=tile, pixels={"B04": pixels}, corner=(6e5, 5e6))
    scenes, out = tmp_path / "*.SAFE", tmp_path / "out"
    assert "orbit=" in call("run", scenes, "-o", out, "--band", "B04", *WINDOWS).output
    chosen = ["--band", "B04", "--tile", "31TGK", "--orbit", 65, "--tiles", ":"]
    result = call("run", scenes, "-o", out, *chosen, *WINDOWS)
    assert result.exit_code == 0, result.output
    shifts = xoffset.open_result(out / "matches.zarr")
    assert shifts.reference.values.astype("M8[D]").astype(str).tolist() == ["2021-07-17"]
    assert float(abs(shifts.dx).max()) < 0.1  # the same pixels twice


def polygons_of(path, *boxes):
    """GeoJSON of boxes (west, south, east, north) in the CRS of the files."""
    rings = [[(w, s), (e, s), (e, n), (w, n), (w, s)] for w, s, e, n in boxes]
    path.write_text(
        json.dumps(
            {
                "type": "MultiPolygon",
                "coordinates": [[ring] for ring in rings],
                "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
            }
        )
    )
    return path


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["stable", "moving"])
def test_run_corrects_by_stable_ground(files, tmp_path, kind):
    """All moves alike, so that nothing is left where half of it is said to stand still."""
    place = polygons_of(tmp_path / "place.geojson", (5e5, 4_999_200.0, 500_480.0, 5e6))
    out = tmp_path / "out"
    options = [f"--{kind}", place, "--order", "0", "--by-date", "--min-nodes", 20]
    options += ["--buffer", 0] if kind == "moving" else []
    result = call("run", *files, "-o", out, "--date", "ortho_%Y%m%d", *WINDOWS, *options)
    assert result.exit_code == 0, result.output
    assert contents(out) == CORRECTED
    shifts, found = (xoffset.open_result(out / f"{name}.zarr").load() for name in ("shifts", "corrected"))
    argument = {"polygons": place} if kind == "stable" else {"moving": place, "buffer": 0.0}
    stable = xoffset.masking.stable_ground(shifts, **argument)
    assert 0.3 < float(stable.mean()) < 0.7
    expected = xoffset.correct(shifts, stable=stable, by_date=True, min_nodes=20)
    for name in ("dx", "dy", "removed_dx", "removed_dy"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert abs(float(found.dx.median())) < 0.5 < abs(float(shifts.dx.median()))
    assert "not_corrected" not in result.output


@pytest.mark.usefixtures("quick")
def test_run_refuses_a_number_of_nodes_that_nothing_would_look_at(files, tmp_path):
    result = call("run", *files, "-o", tmp_path / "out", "--date", "ortho_%Y%m%d", *WINDOWS, "--min-nodes", 20)
    assert result.exit_code == 1
    assert "run needs --stable, --moving, --order or --by-date beside --min-nodes" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("quick")
def test_run_says_which_pairs_lack_stable_ground(files, tmp_path):
    place = polygons_of(tmp_path / "place.geojson", (5e5, 4_999_200.0, 500_480.0, 5e6))
    result = call("run", *files, "-o", tmp_path / "out", "--date", "ortho_%Y%m%d", *WINDOWS, "--stable", place)
    assert result.exit_code == 1
    assert "Error: run needs enough stable ground in at least one pair; got" in result.output
    assert "Enlarge --stable, or lower --min-nodes." in result.output
    assert (xoffset.open_result(tmp_path / "out" / "corrected.zarr").is_corrected == 0).all()


@pytest.mark.usefixtures("quick")
def test_run_leaves_out_what_is_masked(files, tmp_path):
    """Clouds over the western half of one date, by a layer beside the images."""
    layers = tmp_path / "layers"
    layers.mkdir()
    for date in DATES:
        values = np.full((80, 96), 5, np.uint8)
        values[:, :48] = 9 if date == DATES[1] else 5
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        with rasterio.open(
            layers / f"{date.replace('-', '')}_SCL.tif",
            "w",
            driver="GTiff",
            height=80,
            width=96,
            count=1,
            dtype="uint8",
            **place,
        ) as file:
            file.write(values, 1)
    out = tmp_path / "out"
    result = call("run", *files, "-o", out, "--date", "ortho_%Y%m%d", *WINDOWS, "--mask", layers / "*.tif")
    assert result.exit_code == 0, result.output
    found = xoffset.open_result(out / "shifts.zarr").dx.notnull()
    is_cloudy = (found.reference == np.datetime64(DATES[1])) | (found.secondary == np.datetime64(DATES[1]))
    west = found.x < 500_400.0
    assert not found.where(west, drop=True)[is_cloudy.values].any()
    assert found[~is_cloudy.values].mean() > 0.5


@pytest.mark.usefixtures("quick")
def test_run_warns_of_groups_of_dates_that_no_pair_connects(files, tmp_path):
    dates = ["2020-01-01", "2020-01-05", "2021-01-01", "2021-01-05"]
    for date, path in zip(dates, [*files, files[0]], strict=True):
        (tmp_path / f"a_{date}.tif").write_bytes(path.read_bytes())
    chosen = ["--date", "a_%Y-%m-%d", "--max-baseline", "30D", "--tiles", ":"]
    result = call("run", tmp_path, "-o", tmp_path / "out", *chosen, *WINDOWS)
    assert result.exit_code == 0, result.output
    assert "Warning: no pair connects the 2 groups of dates" in result.output
    assert "Raise --max-gap or --max-baseline" in result.output


@pytest.mark.usefixtures("quick")
def test_the_same_run_again_finds_it_done(run, files):
    before = {path: path.stat().st_mtime_ns for path in run[1].rglob("*.zarr/**/*") if path.is_file()}
    result = call("run", "generic", *files, "-o", run[1], "--date", "ortho_%Y%m%d", *WINDOWS)
    assert result.exit_code == 0, result.output
    assert "Matching" not in result.output
    assert before
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("option", "advice"),
    [(["--max-gap", 1], "dates: reference: was"), (["--min-score", 0.7], "screen: min_score: was 0.5, is 0.7")],
)
def test_run_refuses_to_overwrite(run, files, option, advice):
    before = {path: path.stat().st_mtime_ns for path in run[1].rglob("*.zarr/**/*")}
    result = call("run", *files, "-o", run[1], "--date", "ortho_%Y%m%d", *WINDOWS, *option)
    assert result.exit_code == 1
    assert advice in result.output
    assert {path: path.stat().st_mtime_ns for path in run[1].rglob("*.zarr/**/*")} == before


@pytest.mark.usefixtures("quick")
def test_run_overwrites_when_asked_and_only_its_own(files, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / folder.MARKER).touch()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "old.png").write_text("old")
    arguments = ["run", *files, "-o", tmp_path, "--date", "ortho_%Y%m%d", *WINDOWS]
    assert call(*arguments).exit_code == 1
    assert call(*arguments, "--overwrite").exit_code == 0
    assert contents(tmp_path) == sorted([*RESULTS, "notes.txt"])
    assert not (tmp_path / "maps" / "old.png").exists()


@pytest.mark.usefixtures("quick")
def test_a_refused_run_keeps_the_earlier_results(run, files, tmp_path):
    out = shutil.copytree(run[1], tmp_path / "out")
    arguments = ["run", *files, "-o", out, "--date", "ortho_%Y%m%d", "--overwrite"]
    assert call(*arguments, "--template", 200).exit_code == 1
    assert contents(out) == contents(run[1])


@pytest.mark.usefixtures("quick")
def test_run_says_why_there_are_no_maps(run, files, tmp_path, monkeypatch):
    # a run that has ended, which draws its maps again
    out = shutil.copytree(run[1], tmp_path / "out", ignore=shutil.ignore_patterns("maps"))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        cli.importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )
    result = call("run", *files, "-o", out, "--date", "ortho_%Y%m%d", *WINDOWS)
    assert result.exit_code == 0, result.output
    assert "no maps: they need matplotlib, pip install 'xoffset[plot]'" in result.output
    assert contents(out) == sorted(set(RESULTS) - {"maps"})


# -------------------------------------------------------------------------------------------------------------- errors


def damaged(folder, files):
    """Copies of the files, of which the second is cut in the middle of its pixels."""
    for k, path in enumerate(files):
        data = path.read_bytes()
        (folder / path.name).write_bytes(data[: len(data) // 2] if k == 1 else data)
    return [str(path) for path in sorted(folder.glob("*.tif"))]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["{folder}/no*.tif"], r"no file matches .*Check the pattern"),
        (["{folder}/notes.txt"], r"which it cannot.*Fetch or make the file again, or leave it out"),
        (["{first}", "{second}", "--date", "view_%Y"], r"needs one date in every file name.*finds none"),
        (["{first}", "--date", "ortho_%Y%m%d"], r"at least two dates; got 1\. Add images"),
        (["{files}", "--date", "ortho_%Y%m%d", "--template", "200"], r"Use a smaller template or search"),
        (["{files}", "--date", "ortho_%Y%m%d", "--step", "0"], r"Pass a number such as step=8"),
        (["{files}", "--date", "ortho_%Y%m%d", "--reference", "1999-01-01", *WINDOWS], r"The nearest is 2020-01-01"),
        (["{files}", "--date", "ortho_%Y%m%d", "--max-baseline", "soon"], r"Give a number and a unit: '10D'"),
        (["{files}", "--date", "ortho_%Y%m%d", "--bbox", "0", "0", "1", "1"], r"there is none in .*which cover"),
        (["{files}", "--date", "ortho_%Y%m%d", "--band", "7"], r"Pass the number of one of them"),
        (["{damaged}", "--date", "ortho_%Y%m%d", *WINDOWS], r"whole images that GDAL can read; got .*20200701"),
        (["{files}", "--date", "ortho_%Y%m%d", "-o", "{folder}/notes.txt"], r"is a file"),
        (["{files}", "--min-score", "2"], r"is not in the range"),
        (["{files}", "--align", "linear"], r"is not one of 'nearest', 'cubic'"),
        (["{files}", "--max-gap", "0"], r"is not in the range"),
        ([], r"Missing argument 'FILES"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("quick")
def test_errors_are_one_message_without_traceback(files, tmp_path, arguments, advice):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "cut").mkdir()
    lists = {"{files}": [str(path) for path in files], "{damaged}": damaged(tmp_path / "cut", files)}
    names = {"folder": tmp_path, "first": files[0], "second": files[1]}
    filled = [part.format(**names) for given in arguments for part in lists.get(given, [given])]
    out = [] if "-o" in filled else ["-o", str(tmp_path / "out")]
    result = call("run", *filled, *out)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert re.search(advice, " ".join(result.output.split())), result.output
    assert "Error: " in result.output


@pytest.mark.usefixtures("quick")
def test_a_refused_run_leaves_no_folder(files, tmp_path):
    assert call("run", *files, "--date", "view_%Y", "-o", tmp_path / "out").exit_code == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("quick")
def test_a_wrong_reference_is_refused_before_matching(files, tmp_path):
    result = call("run", *files, "-o", tmp_path, "--date", "ortho_%Y%m%d", "--reference", "1999-01-01", *WINDOWS)
    assert result.exit_code == 1
    assert "Matching" not in result.output
    assert contents(tmp_path) == []


def test_a_demo_that_has_no_place_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("a file")
    result = call("demo", "-o", tmp_path / "notes.txt" / "inside")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "Error: " in result.output


@pytest.mark.parametrize("command", [["demo", "--size", "128"], ["run", "--overwrite", "--date", "ortho_%Y%m%d"]])
def test_folders_of_others_are_left_alone(files, tmp_path, command):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "thesis.pdf").write_text("mine")
    result = call(*command, *(files if "run" in command else []), "-o", tmp_path)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "Choose another folder" in result.output
    assert (tmp_path / "maps" / "thesis.pdf").exists()
    assert contents(tmp_path) == ["maps"]


# ---------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["demo", "run", "--version"]),
        (["demo"], ["--out", "--size", "[default: 1024"]),
        (
            ["run"],
            [
                "FILES...", "--out", "--band", "--date", "--bbox", "--nodata", "--align", "--pixel-size", "--max-gap",
                "--max-baseline", "--template", "--search", "--step", "--min-score", "--reference", "--overwrite",
                "[required]", "[default: 32]", "[nearest|cubic]",
            ],
        ),
    ],
    ids=["xoffset", "demo", "run"],
)  # fmt: skip
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_options(arguments, wanted, flag):
    result = call(*arguments, flag)
    assert result.exit_code == 0
    assert [text for text in wanted if text not in " ".join(result.output.split())] == []


def test_every_option_is_explained():
    for command in cli.main.commands.values():
        assert command.help
        assert all(option.help for option in command.params if option.param_type_name == "option")


def test_defaults_are_those_of_the_functions():
    options = {option.name: option.default for option in cli.run.params}
    function = inspect.signature(xoffset.correlate).parameters
    assert {name: options[name] for name in ("search", "step")} == {
        name: function[name].default for name in ("search", "step")
    }
    # what it is if it is left out
    assert options["template"] == request.TEMPLATE


def test_the_console_script_is_installed():
    (script,) = (each for each in importlib.metadata.entry_points(group="console_scripts") if each.name == "xoffset")
    assert script.load() is cli.main
    command = Path(sys.executable).parent / "xoffset"
    if not command.exists():
        pytest.skip("not installed beside this interpreter")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert xoffset.__version__ in done.stdout
