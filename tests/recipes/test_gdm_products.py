"""Every file of GDM-OPT, read with rasterio or h5py alone, against the results that it was made of."""

import io
import json
import subprocess
import sys
import tarfile
import tomllib
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from gdm_scenes import DATES, SIDE, still, write_classes, write_raster

import xoffset
from xoffset.recipes import GdmOptEtq

TILE = "31TGK"
DAYS = [date.replace("-", "") for date in DATES]
SPAN = f"{TILE}_{DAYS[0]}_to_{DAYS[-1]}"
# a pair that is there in both directions
FORTH, BACK = f"{DAYS[0]}_vs_{DAYS[1]}", f"{DAYS[1]}_vs_{DAYS[0]}"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Folders of a run of ETQ and one of SLIDE, with what `run` returned and the inputs."""
    folder = tmp_path_factory.mktemp("gdm")
    stack = still()
    heights = np.full((SIDE, SIDE), 500.0, dtype=np.float32)
    heights[:, SIDE // 2 :] = 800.0
    dem = write_raster(folder / "dem.tif", heights, stack)
    paths = write_classes(folder, stack, cloud=(0, slice(0, 30), slice(0, 20)), snow=(1, slice(50, 60), slice(5, 15)))
    given = {"spatial_matching_range": 1, "tile": TILE, "dem": dem, "classes": paths, "maximum_matching_range": 1}
    network = {"matching_direction": "forward+backward"}
    made = {
        "etq": xoffset.run("gdm-opt-etq", stack, folder / "etq", apply_jitter_correction=False, **given),
        "slide": xoffset.run("gdm-opt-slide", stack, folder / "slide", discard_pairs=True, discarding_threshold=0.9,
                             **given, **network),
    }  # fmt: skip
    loaded = {kind: {name: each.load() for name, each in products.items()} for kind, products in made.items()}
    return SimpleNamespace(folder=folder, made=loaded, stack=stack, dem=dem, paths=paths)


def of_pair(shifts, first, second):
    return xoffset.pair(shifts, DATES[first], DATES[second])


def expected(runs, kind, what):
    """Values that a file should hold, from what the run returned, north up as they are."""
    made = runs.made[kind]
    corrected, shifts, matches = made["corrected"], made["shifts"], made["matches"]
    match what.split():
        case ["corrected", "ew"]:
            return of_pair(corrected, 0, 1).dx / 10.0
        case ["corrected", "ns"]:
            return -of_pair(corrected, 0, 1).dy / 10.0
        case ["filtered", "ew"]:
            return of_pair(shifts, 0, 1).dx / 10.0
        case ["filtered", "ns"]:
            return -of_pair(shifts, 0, 1).dy / 10.0
        case ["backward", "ns"]:
            return -of_pair(corrected, 1, 0).dy / 10.0
        case ["score"]:
            score = of_pair(corrected, 0, 1).score
            return np.where(np.isnan(score), 0, 128 + 127 * np.clip(score, 0, 1))
        case ["decorrelation"]:
            return np.where(of_pair(matches, 0, 1).score >= 0.2, 255, 0)
        case ["displacement", name]:
            return xoffset.mean_displacement(shifts)[name]
        case ["velocity", name]:
            return xoffset.mean_velocity(shifts, estimator="mpic")[name]
        case ["quality"]:
            return xoffset.quality(matches, threshold=0.2).quality
        case ["coherence"]:
            return xoffset.vector_coherence(shifts).vector_coherence
        case ["tio", name]:
            return xoffset.velocity(made["series"])[name]
        case ["classes"]:
            values = np.zeros((SIDE, SIDE))
            values[:30, :20] = 2
            return values
        case ["slopes"]:
            x = np.arange(SIDE)
            steep = (x[:, None] >= 0) & np.isin(x, (SIDE // 2 - 1, SIDE // 2))[None, :]
            # along the edges of the model the slope is not known
            edge = np.isin(x, (0, SIDE - 1))
            return np.where(steep | edge[:, None] | edge[None, :], 0, 255)
    raise AssertionError(what)


FLOAT, BYTE = ("float32", True), ("uint8", False)
MASK, CLASSES = "0=removed 255=kept", "0=clear 1=null 2=cloud 3=shadow 4=snow 5=water"
SCORES = "0=no value 128..255=correlation 0..1, 128 also below 0"
# row of the list of products: recipe, file, what it holds, factor, type, unit, legend
EW, NS = (f"Displacements/MM_{name}_displ_{TILE}_" for name in ("EW", "NS"))
MEAN, TIO = "Analysis/MM_Mean_velocity_", "Analysis/MM_TIO_Mean_velocity_"
DAILY, PER_DAY = 1.0 / 365.25, "m d-1"
FILES = {
    "O10": ("etq", f"Analysis/MM_Mean_displ_magnitude_{SPAN}", "displacement magnitude", 1.0, FLOAT, "m", None),
    "O11a": ("etq", f"Analysis/MM_Mean_displacement_EW_{SPAN}", "displacement dx", 1.0, FLOAT, "m", None),
    "O11b": ("etq", f"Analysis/MM_Mean_displacement_NS_{SPAN}", "displacement dy", -1.0, FLOAT, "m", None),
    "O12": ("etq", f"Analysis/MM_Quality_{SPAN}", "quality", 1.0, FLOAT, "percent", None),
    "O13a": ("etq", f"{EW}{FORTH}_corrected", "corrected ew", 1.0, FLOAT, "pixel", None),
    "O13b": ("etq", f"{NS}{FORTH}_corrected", "corrected ns", 1.0, FLOAT, "pixel", None),
    "O14a": ("etq", f"{EW}{FORTH}_FILTER_Displmax", "filtered ew", 1.0, FLOAT, "pixel", None),
    "O14b": ("etq", f"{NS}{FORTH}_FILTER_Displmax", "filtered ns", 1.0, FLOAT, "pixel", None),
    "O15": ("etq", f"Displacements/MM_Corr_{TILE}_{DAYS[0]}_{DAYS[1]}", "score", 1.0, BYTE, "1", SCORES),
    "O16": ("etq", f"Masks/{TILE}_{DAYS[0]}_{DAYS[1]}_decorrel_mask", "decorrelation", 1.0, BYTE, "1", MASK),
    "O17": ("etq", f"Masks/{TILE}_{DAYS[0]}_spectral_mask", "classes", 1.0, BYTE, "1", CLASSES),
    "O18": ("etq", f"Masks/{TILE}_slope_mask_mask", "slopes", 1.0, BYTE, "1", MASK),
    "backward": ("slide", f"{NS}{BACK}_corrected", "backward ns", 1.0, FLOAT, "pixel", None),
    "O20 magnitude": ("slide", f"{MEAN}magnitude_{SPAN}", "velocity v", DAILY, FLOAT, PER_DAY, None),
    "O20 EW": ("slide", f"{MEAN}EW_{SPAN}", "velocity vx", DAILY, FLOAT, PER_DAY, None),
    "O20 NS": ("slide", f"{MEAN}NS_{SPAN}", "velocity vy", -DAILY, FLOAT, PER_DAY, None),
    "coherence": ("slide", f"Analysis/MM_Vector_coherence_{SPAN}", "coherence", 1.0, FLOAT, "1", None),
    "O22 magnitude": ("slide", f"{TIO}magnitude_{SPAN}", "tio v", DAILY, FLOAT, PER_DAY, None),
    "O22 EW": ("slide", f"{TIO}EW_{SPAN}", "tio vx", DAILY, FLOAT, PER_DAY, None),
    "O22 NS": ("slide", f"{TIO}NS_{SPAN}", "tio vy", -DAILY, FLOAT, PER_DAY, None),
}  # fmt: skip


@pytest.mark.parametrize("row", FILES)
def test_files_hold_what_was_computed(runs, row):
    kind, name, what, factor, (dtype, has_nodata), units, legend = FILES[row]
    with rasterio.open(runs.folder / kind / f"{name}.tif") as file:
        values, tags, transform = file.read(1), file.tags(), file.transform
        assert (file.count, file.dtypes[0], file.crs.to_epsg()) == (1, dtype, 32632)
        # where 0 is a class, it is no nodata; a score of 0 is none
        assert (file.nodata is not None) == (has_nodata or row == "O15")
    truth = np.asarray(expected(runs, kind, what), dtype=float) * factor
    assert np.allclose(values, truth, rtol=1e-5, atol=0.501 if row == "O15" else 1e-6, equal_nan=True)
    assert len(np.unique(values[np.isfinite(values)])) > 1 or row in ("O12", "O16")
    assert (tags["units"], tags.get("legend")) == (units, legend)
    grid = runs.stack if values.shape == (SIDE, SIDE) else runs.made[kind]["shifts"]
    assert transform * (0.5, 0.5) == pytest.approx((float(grid.x[0]), float(grid.y[0])))


def test_folders_are_those_of_the_service(runs):
    assert {path.name for path in (runs.folder / "etq").iterdir() if path.is_dir() and ".zarr" not in path.name} == {
        "Analysis", "Displacements", "Masks", "Preview",
    }  # fmt: skip
    analysis = {path.stem for path in (runs.folder / "etq" / "Analysis").iterdir()}
    rows = [FILES[row][1] for row in ("O10", "O11a", "O11b", "O12")]
    assert analysis == {name.rpartition("/")[2] for name in rows}
    # a browse picture of each map
    for kind in ("etq", "slide"):
        maps = {path.stem for path in (runs.folder / kind / "Analysis").glob("*.tif")}
        previews = list((runs.folder / kind / "Preview").iterdir())
        assert {path.stem for path in previews} == maps
        assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in previews)
    chord = runs.folder / "slide" / "Analysis" / f"MM_Chord_diagram_{SPAN}.png"
    assert chord.read_bytes()[:4] == b"\x89PNG"


def test_what_they_wrote_is_read_back(runs):
    found = xoffset.formats.gdm.read(runs.folder / "slide").load()
    assert found.sizes["pair"] == 6
    back = of_pair(found, 1, 0)
    assert np.allclose(back.dy, of_pair(runs.made["slide"]["corrected"], 1, 0).dy, atol=1e-4, equal_nan=True)


def test_series_are_a_table_and_an_archive(runs):
    series = runs.made["slide"]["series"]
    analysis = runs.folder / "slide" / "Analysis"
    table = pd.read_csv(analysis / f"MM_TIO_Displacement_{SPAN}.csv")
    row, column = 60, 80
    there = table[(table.x == float(series.x[column])) & (table.y == float(series.y[row]))].iloc[0]
    for day, dx, dy in zip(DAYS, series.dx[:, row, column].values, series.dy[:, row, column].values, strict=True):
        assert np.allclose([there[f"EW_{day}"], there[f"NS_{day}"], there[f"norm_{day}"]], [dx, -dy, np.hypot(dx, dy)],
                           atol=1e-4, equal_nan=True)  # fmt: skip
    assert -181.0 < there["longitude"] < 181.0
    with tarfile.open(analysis / "Inversion.tgz") as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}
    assert set(files) == {"EW.csv", "NS.csv", "EW.h5", "NS.h5"}
    for name, ours, sign in (("EW", "dx", 1.0), ("NS", "dy", -1.0)):
        with h5py.File(io.BytesIO(files[f"{name}.h5"])) as file:
            assert np.allclose(file["displacement"], sign * series[ours], equal_nan=True)
            assert np.allclose(file["rms"], series.rms, equal_nan=True)
            assert [each.decode()[:10] for each in file["dates"]] == DATES
            assert file["displacement"].attrs["units"] == "m"
            assert "32" in file.attrs["crs"]
        rows = pd.read_csv(io.BytesIO(files[f"{name}.csv"]))
        assert len(rows) == len(table)
        assert {*DAYS, "rms", "x", "y"} <= set(rows)


def test_the_recipe_tells_what_lacks_and_why(tmp_path):
    steps = GdmOptEtq(spatial_matching_range=1, classes="none")
    assert "there is no elevation model (dem)" in steps.not_written["Masks/local_slope_mask_mask.tif"]
    assert "not known" in steps.not_written["Masks/local_DATE_spectral_mask.tif"]


def test_the_recipe_of_a_run_makes_the_same_again(runs):
    text = (runs.folder / "etq" / "recipe.toml").read_text()
    held = tomllib.loads(text)
    assert (held["recipe"], held["tile"], held["window_size"], held["dem"]) == ("gdm-opt-etq", TILE, 3, runs.dem)
    again = xoffset.run(runs.folder / "etq" / "recipe.toml", runs.stack, runs.folder / "again")
    for name, product in again.items():
        xr.testing.assert_identical(product.load(), runs.made["etq"][name])
    first, second = (json.loads((runs.folder / each / "files.json").read_text()) for each in ("etq", "again"))
    files = [name for step in first.values() for name in step["files"] if name.endswith(".tif")]
    assert files
    for name in files:
        assert (runs.folder / "etq" / name).read_bytes() == (runs.folder / "again" / name).read_bytes(), name
    assert {name for step in second.values() for name in step["files"]} >= set(files)


def test_a_run_goes_on_only_with_the_same_parameters(runs):
    target = runs.folder / "etq" / "Masks" / f"{TILE}_slope_mask_mask.tif"
    before = target.read_bytes()
    target.unlink()
    text = (runs.folder / "etq" / "recipe.toml").read_text()
    with pytest.raises(ValueError, match=r"same images, parameters and version .* window: was 7, is 5"):
        xoffset.run(runs.folder / "etq" / "recipe.toml", runs.stack, runs.folder / "etq", window_size=2)
    xoffset.run(runs.folder / "etq" / "recipe.toml", runs.stack, runs.folder / "etq")
    assert target.read_bytes() == before
    assert tomllib.loads((runs.folder / "etq" / "recipe.toml").read_text()) == tomllib.loads(text)


def test_a_script_makes_the_same(runs, tmp_path):
    runs.stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    recipe = GdmOptEtq(
        spatial_matching_range=1, tile=TILE, dem=runs.dem, classes=runs.paths, maximum_matching_range=1,
        apply_jitter_correction=False, detectors="none",
    )  # fmt: skip
    script = recipe.script(str(tmp_path / "stack.zarr"), str(tmp_path / "out"))
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    found = xoffset.open_result(tmp_path / "out" / "shifts.zarr").load()
    assert np.array_equal(found.dx, runs.made["etq"]["shifts"].dx, equal_nan=True)
    for row in ("O10", "O13b", "O17", "O18"):
        _, name, *_ = FILES[row]
        assert (tmp_path / "out" / f"{name}.tif").read_bytes() == (runs.folder / "etq" / f"{name}.tif").read_bytes()
