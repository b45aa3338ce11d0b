"""Where nothing moves: by how much it seems to.

One acquisition in two processings, short pairs, pairs across the seam of two detectors, and the same ground in other
light. Real images where there are some, else real ground with one thing changed by computation; each row says which.

python -m validation.experiments.null_tests --data ../shared/data          all, a minute
python -m validation.experiments.null_tests --data ../shared/data --small  some, to see that it works
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
import xarray as xr

import xoffset
from validation.case import Rows
from validation.experiments import noise, scores, textures
from validation.experiments.command import main
from xoffset import masking, synthetic
from xoffset._arrays.scenes import sunlight

WINDOW, STEP, SEARCH = 32, 8, 6
DATES = np.array(["2020-06-01", "2020-06-06"], dtype="datetime64[us]")
# Spread of the steps between detectors [m], and pixels along a side of the images with seams.
STEPS, SIDE = 3.0, 256
# Days of the light, and latitude of Mount Baker [degree].
DAYS, LATITUDE = ("2020-06-20", "2020-07-10", "2020-08-20", "2020-10-10", "2020-12-10"), 48.8

# Contrast of the pattern of the ground, beside the light: much, and little.
CONTRASTS = (0.3, 0.03)


class Pair(NamedTuple):
    """Two images of ground that stands still, what differs between them, and whether they were taken so."""

    test: str
    differs: str
    images: str
    stack: xr.DataArray
    corrections: dict[str, dict[str, Any]] = {"a shift": {}}  # noqa: RUF012, never changed


def seems(pair: Pair, window: int = WINDOW) -> Rows:
    """Rows of what a pair seems to move by, as it is matched and after corrections, in pixels."""
    shifts = xoffset.screen(
        xoffset.correlate(pair.stack, xoffset.pairs(pair.stack), template=window, search=SEARCH, step=STEP)
    )
    told = {"test": pair.test, "what differs": pair.differs, "images": pair.images}
    inside = textures.searched(pair.stack.shape[1:], window, SEARCH, STEP)
    rows = [told | {"corrected": "nothing"} | _numbers(shifts, inside)]
    still = xr.DataArray(np.ones(shifts["dx"].shape[1:], bool), coords={"y": shifts.y, "x": shifts.x}, dims=("y", "x"))
    for name, options in pair.corrections.items():
        corrected = xoffset.correct(shifts, stable=still, min_nodes=20, **options)
        rows.append(told | {"corrected": name} | _numbers(corrected, inside))
    return rows


def _numbers(shifts: xr.Dataset, inside: np.ndarray) -> dict[str, float]:
    """Seeming motion of the first pair in these windows (rows, columns) [px]."""
    found, sigma = (each[0][:, inside] for each in textures.in_pixels(shifts))
    is_known = np.isfinite(found[0])
    if not is_known.any():
        return {"kept %": 0.0}
    known, middle = found[:, is_known], np.nanmedian(found, axis=1)
    length = np.hypot(*known)
    return {
        "kept %": 100.0 * float(is_known.mean()),
        "median right px": float(middle[1]),
        "median down px": float(middle[0]),
        "spread px": float(1.4826 * np.median(np.abs(known - middle[:, None]))),
        "95 % shorter than px": float(np.quantile(length, 0.95)),
        "off by 0.5 px %": 100.0 * float((length > scores.OUTLIER).mean()),
        "sigma px": float(np.median(sigma[:, is_known])),
        "within 1.96 sigma %": scores.coverage(known, sigma[:, is_known])["95 %"],
    }


# ------------------------------------------------------------------------------------------------------ two processings


def two_processings(folder: Path) -> Iterator[Pair]:
    """What processing does to real images."""
    for name in ("rock glacier", "rock and ice", "farmland"):
        texture = textures.TEXTURES[name]
        image = textures.averaged(texture.read(folder), texture.factor)
        for what, process in PROCESSINGS.items():
            stack = textures.stack_of([image, process(image)], DATES)
            yield Pair("two processings", f"{what}; {name}", "real image, processed", stack)


def _levels(image: np.ndarray) -> np.ndarray:
    """An image in 32 levels of brightness."""
    low, high = np.quantile(image, (0.001, 0.999))
    return np.round(31.0 * np.clip((image - low) / (high - low), 0.0, 1.0))


def _resampled(image: np.ndarray) -> np.ndarray:
    """An image put on a grid half a pixel beside its own and back, by cubic splines."""
    there = scipy.ndimage.shift(image, (0.5, 0.5), order=3, mode="nearest")
    return np.asarray(scipy.ndimage.shift(there, (-0.5, -0.5), order=3, mode="nearest"))


PROCESSINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "other gain, offset and gamma": lambda image: np.sqrt(np.maximum(image - image.min(), 0.0)) * 3.0 + 100.0,
    "32 levels of brightness": _levels,
    "sharpened": lambda image: 2.0 * image - scipy.ndimage.gaussian_filter(image, 1.0),
    "resampled there and back": _resampled,
}


# ---------------------------------------------------------------------------------------------------------- short pairs


def short_pairs(folder: Path) -> Iterator[Pair]:
    """Real images of stable ground: ten days apart, and for comparison months and years."""
    for name in noise.PAIRS:
        yield Pair("real dates", name, "real", textures.stack_of(list(noise.pair_of(name, folder)), DATES))


# ----------------------------------------------------------------------------------------------------- seams, and light


def across_a_seam(is_small: bool) -> Iterator[Pair]:
    """Synthetic images five days apart with steps between detectors, and with jitter."""
    side = 128 if is_small else SIDE
    for what, errors in (
        ("seams of detectors", {"stripes": STEPS}),
        ("seams and jitter", {"stripes": STEPS, "jitter": 2.0}),
    ):
        stack, truth = synthetic.stack(
            (side, side), dates=DATES, field="constant", velocity=0.0, snr=4.0, illumination=0.1, seed=3, **errors
        )
        options: dict[str, dict[str, Any]] = {
            "a shift": {},
            "steps, detectors told": {"stripes": truth["detector"]},
            "steps, detectors found": {"stripes": "auto"},
        }
        if "jitter" in errors:
            options["steps and jitter"] = {"stripes": truth["detector"], "jitter": "profile"}
        yield Pair("across a seam", what, "synthetic", stack, options)


def other_light(folder: Path) -> Iterator[Pair]:
    """Real mountains in computed light, June against other dates, at half past ten of mean solar time."""
    with xr.open_dataset(folder / "dem_and_masks" / "cop30_mt_baker.tif", engine="rasterio") as file:
        dem = file["band_data"].squeeze("band", drop=True).load()
    grain = scipy.ndimage.gaussian_filter(np.random.default_rng(5).standard_normal(dem.shape), 1.0)
    suns = zip(*sunlight.position(np.array(DAYS, "datetime64[us]"), LATITUDE), strict=True)
    june, *others = (_shaded(dem, azimuth, elevation) for azimuth, elevation in suns)
    for contrast in CONTRASTS:
        ground = 1.0 + contrast * grain / grain.std()
        for day, light in zip(DAYS[1:], others, strict=True):
            stack = textures.stack_of([ground * june, ground * light], DATES)
            what = f"{DAYS[0]} and {day}, ground with {contrast:.0%} of contrast"
            yield Pair("other light", what, "real terrain, computed light", stack)


def _shaded(dem: xr.DataArray, azimuth: float, elevation: float) -> np.ndarray:
    """Brightness of terrain in the light of the sun (Lambert 1760), with cast shadows that the sky lights a little."""
    slope, aspect = (np.deg2rad(each(dem).values) for each in (masking.slope, masking.aspect))
    sun = np.deg2rad(90.0 - elevation), np.deg2rad(azimuth)
    facing = np.cos(sun[0]) * np.cos(slope) + np.sin(sun[0]) * np.sin(slope) * np.cos(sun[1] - np.nan_to_num(aspect))
    dark = masking.cast_shadow(dem, sun_azimuth=azimuth, sun_elevation=elevation).values
    return np.asarray(0.2 + np.where(dark, 0.0, np.maximum(facing, 0.0)))


def run(folder: Path, *, is_small: bool = False) -> dict[str, Rows]:
    """One table: what each pair seems to move by [px], before and after corrections."""
    pairs = [*across_a_seam(is_small)]
    if not is_small:
        pairs = [*two_processings(folder), *short_pairs(folder), *pairs, *other_light(folder)]
    return {"seeming motion": [row for pair in pairs for row in seems(pair)]}


if __name__ == "__main__":
    main("null_tests", run)
