"""Whole runs of the services on Sentinel-2 products: signs and units of all maps, read with rasterio alone."""

import re

import numpy as np
import pandas as pd
import pytest
import rasterio
import safe_products

import xoffset
from xoffset import synthetic

DATES = ["2021-07-02", "2021-07-17", "2021-08-01"]
DAYS = [date.replace("-", "") for date in DATES]
SIDE, DAYS_APART = 240, 15.0
BOTH = {"matching_direction": "Forward+Backward"}
NAMED = {"tile": "31TGK", "maximum_matching_range": 1}
CHANGES = {
    "mpic-opt": {"activate_backward_matching": True, "temporal_matching_range": 1},
    "gdm-opt-etq": {"apply_jitter_correction": False} | BOTH | NAMED,
    # the mean of a stripe of all ground would take motion off, as the log tells
    "gdm-opt-slide": {"along_track_destriping": False} | BOTH | NAMED,
    "gdm-opt-ice": {"along_track_destriping": False} | NAMED,
}


@pytest.fixture(scope="session")
def land():
    """Images of a landslide toward the south-east, and where it is fast, with its motion there [m a day]."""
    stack, truth = synthetic.stack((SIDE, SIDE), dates=DATES, velocity=150.0, direction=135.0, snr=8.0, seed=3)
    speed = np.hypot(truth.vx.values, truth.vy.values)
    fast = speed > 0.8 * speed.max()
    east, south = (float(np.median(each.values[fast])) / 365.25 for each in (truth.vx, -truth.vy))
    assert east > 0.2
    assert south > 0.2
    return stack, fast, {"east": east, "south": south, "length": float(np.hypot(east, south))}


@pytest.fixture(scope="session")
def runs(land, tmp_path_factory):
    """Folders of whole runs, on products in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("services") / "a place"
    scenes = folder / "SAFE files"
    scenes.mkdir(parents=True)
    for date, image in zip(DATES, land[0].values, strict=True):
        pixels = {"B04": np.clip(image, 1, 10000).round().astype(int)}
        safe_products.write(scenes, date=f"{date}T10:20:31", pixels=pixels, bands=("B04",))
    place = xoffset.open_stack(scenes, band="B04")
    # a cut-out with the landslide in its middle is quicker
    box = (float(place.x[30]), float(place.y[209]), float(place.x[209]), float(place.y[30]))
    for name, changes in CHANGES.items():
        changes = changes | ({"region_of_interest": box} if name in ("gdm-opt-slide", "gdm-opt-ice") else {})
        xoffset.run(name, scenes, folder / name, spatial_matching_range=2, window_size=2, **changes)
    return scenes, folder


def is_of(runs, land, name):
    """Median of a map where the landslide is fast."""
    place = xoffset.open_stack(runs[0], band="B04")
    with rasterio.open(runs[1] / name) as file:
        values = file.read(1)
        row, column = (
            round((float(place.y[0]) + 5.0 - file.transform.f) / 10.0),
            round((file.transform.c - float(place.x[0]) + 5.0) / 10.0),
        )
        unit = file.tags()["units"]
    fast = land[1][row : row + values.shape[0], column : column + values.shape[1]]
    return float(np.nanmedian(values[fast])), unit


FORTH, BACK = f"{DAYS[0]}_vs_{DAYS[1]}", f"{DAYS[1]}_vs_{DAYS[0]}"
PIXELS, SPAN = DAYS_APART / 10.0, f"31TGK_{DAYS[0]}_to_{DAYS[2]}"
# file, unit, component of the motion, and the factor that makes its number of metres a day
MAPS = [
    (f"mpic-opt/products/Px1_{DAYS[0]}_{DAYS[1]}.tif", "pixel", "east", PIXELS),
    (f"mpic-opt/products/Px2_{DAYS[0]}_{DAYS[1]}.tif", "pixel", "south", PIXELS),
    (f"mpic-opt/products/Px1_{DAYS[1]}_{DAYS[0]}.tif", "pixel", "east", -PIXELS),
    (f"mpic-opt/products/Px2_{DAYS[1]}_{DAYS[0]}.tif", "pixel", "south", -PIXELS),
    (f"mpic-opt/products/mean_veloc_ew_{DAYS[0]}_{DAYS[2]}.tif", "m d-1", "east", 1.0),
    (f"mpic-opt/products/mean_veloc_ns_{DAYS[0]}_{DAYS[2]}.tif", "m d-1", "south", 1.0),
    (f"mpic-opt/products/mean_displacement_{DAYS[0]}_{DAYS[2]}.tif", "m", "length", DAYS_APART),
    (f"gdm-opt-etq/Displacements/MM_EW_displ_31TGK_{FORTH}_corrected.tif", "pixel", "east", PIXELS),
    (f"gdm-opt-etq/Displacements/MM_NS_displ_31TGK_{FORTH}_corrected.tif", "pixel", "south", PIXELS),
    (f"gdm-opt-etq/Displacements/MM_NS_displ_31TGK_{BACK}_corrected.tif", "pixel", "south", -PIXELS),
    (f"gdm-opt-etq/Displacements/MM_EW_displ_31TGK_{BACK}_FILTER_Displmax.tif", "pixel", "east", -PIXELS),
    (f"gdm-opt-etq/Analysis/MM_Mean_displacement_EW_{SPAN}.tif", "m", "east", DAYS_APART),
    (f"gdm-opt-etq/Analysis/MM_Mean_displacement_NS_{SPAN}.tif", "m", "south", DAYS_APART),
    (f"gdm-opt-etq/Analysis/MM_Mean_displ_magnitude_{SPAN}.tif", "m", "length", DAYS_APART),
    *(
        (f"gdm-opt-{kind}/Analysis/MM_{of}Mean_velocity_{which}_{SPAN}.tif", "m d-1", what, 1.0)
        for kind in ("slide", "ice")
        for of in ("", "TIO_")
        for which, what in (("EW", "east"), ("NS", "south"), ("magnitude", "length"))
    ),
]


@pytest.mark.parametrize(("name", "unit", "component", "factor"), MAPS)
def test_motion_has_the_sign_and_the_unit_of_the_service(runs, land, name, unit, component, factor):
    found, told = is_of(runs, land, name)
    assert told == unit
    assert found == pytest.approx(factor * land[2][component], rel=0.2)


def test_displacement_through_time_counts_toward_east_and_south(runs, land):
    name = f"gdm-opt-slide/Analysis/MM_TIO_Displacement_{SPAN}.csv"
    table = pd.read_csv(runs[1] / name)
    place = xoffset.open_stack(runs[0], band="B04")
    rows = ((float(place.y[0]) - table.y) / 10.0).round().astype(int)
    columns = ((table.x - float(place.x[0])) / 10.0).round().astype(int)
    moved = table[land[1][rows, columns]].median()
    for column, component in (("EW", "east"), ("NS", "south"), ("norm", "length")):
        assert moved[f"{column}_{DAYS[0]}"] == 0.0
        assert moved[f"{column}_{DAYS[2]}"] == pytest.approx(2.0 * DAYS_APART * land[2][component], rel=0.2)


def test_masks_have_the_numbers_of_the_service(runs):
    wanted = {
        "mpic-opt/products/cloud_masks_assembled_*.tif": (4, {0, 255}),
        "gdm-opt-etq/Masks/*_decorrel_mask.tif": (4, {0, 255}),
        "gdm-opt-ice/Masks/31TGK_????????_spectral_mask.tif": (3, set(range(6))),
    }
    for pattern, (count, numbers) in wanted.items():
        paths = list(runs[1].glob(pattern))
        assert len(paths) == count
        found = set()
        for path in paths:
            with rasterio.open(path) as file:
                found |= set(np.unique(file.read(1)).tolist())
        assert found <= numbers
        assert len(found) > 1
    for path in runs[1].glob("*/*/*Corr*.tif"):
        with rasterio.open(path) as file:
            assert set(np.unique(file.read(1)).tolist()) <= {0, *range(128, 256)}


def test_scripts_tell_the_products_by_themselves(runs):
    """What is left to the scenes is in the script, as in the run."""
    for name in CHANGES:
        recipe = xoffset.recipes.known.as_recipe(name, {"spatial_matching_range": 2})
        for scenes in (runs[0], "scenes"):
            text = recipe.script(scenes)
            assert re.search(r"open_stack\(.*band='B04'", text)
            assert "xoffset.masking.classes(" in text
            assert re.search(r"xoffset.detectors\(.*band='B04'\)", text)


def test_destriping_by_all_ground_is_told(runs):
    """The mean of a stripe holds the motion in it: of a landslide that fills the scene half of it goes."""
    for changes, is_told in (({}, True), ({"along_track_destriping": False}, False), ({"stable": "a.geojson"}, False)):
        recipe = xoffset.recipes.GdmOptSlide(spatial_matching_range=2, **changes).ways(runs[0])[0]
        assert any("motion of a large part of a stripe comes off" in each for each in recipe.warnings) == is_told
