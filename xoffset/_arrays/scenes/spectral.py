"""Classes of pixels from the light that they reflect."""

from __future__ import annotations

import numpy as np

from xoffset._arrays.scenes.legends import CLOUD, NULL, SHADOW, SNOW, WATER

# Bands by their common names, in the order of `classified`, and the one that may be missing.
BANDS = ("blue", "green", "red", "nir", "swir16")
CIRRUS = "cirrus"
# A reflectance beyond it is a number of counts.
LARGEST = 5.0
# What single glints exceed, and no half of an image: a visible or an infrared reflectance, and what blue has more than
# the near infrared, which snow, ice and clouds reflect too. Values of percent do, those of the sea too, and so do heat
# and its radiance in the place of infrared bands.
_GLINT, _BLUE_ALONE = 1.5, 0.6
# Pixels that are looked at together.
_PART = 1 << 15


def classified(*bands: np.ndarray) -> np.ndarray:
    """Classes, uint8, of reflectances at the top of the atmosphere, in the order of BANDS, then cirrus if there is one.

    A pixel that lacks a band is null.
    """
    out = np.empty(bands[0].shape, dtype=np.uint8)
    flat = [band.reshape(-1) for band in bands]
    target = out.reshape(-1)
    odd = 0
    # part by part, so that what is made on the way stays in the cache of a core
    for start in range(0, target.size, _PART):
        part = slice(start, start + _PART)
        target[part], of_part = _of_part(*(band[part] for band in flat))
        odd += of_part
    if 2 * odd > np.count_nonzero(out != NULL):
        raise ValueError(
            "classes() needs reflectances, which end near 1; got values in most pixels that no ground has: more than "
            f"{_GLINT:g}, or {_BLUE_ALONE:g} more in blue than in the near infrared. Divide what is in percent by 100; "
            "if the bands are those of another satellite, say so: band.assign_coords(platform='LC08')."
        )
    return out


def check_counts(name: str, values: np.ndarray) -> bool:
    """Refuse reflectances where counts are told: all are small, some below 1 as no count is. Else nothing is to do."""
    sizes = np.abs(values)
    largest = np.max(sizes, initial=0.0, where=np.isfinite(values))
    if 0.0 < largest <= LARGEST and ((sizes > 0.0) & (sizes < 1.0)).any():
        raise ValueError(
            f"classes() needs the counts that quantification and radiometric_offset of {name} speak of; got values up "
            f"to {largest:g}, which are reflectances. Drop the two: "
            "band.drop_vars(['quantification', 'radiometric_offset'])."
        )
    return False


def _of_part(blue: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, int]:
    """Classes of a part, and how many pixels reflect what only glints do.

    Every test is linear, so that no ratio of small numbers decides.
    """
    green, red, nir, swir = others[:4]
    is_missing = ~np.isfinite(blue)
    for each in others:
        is_missing |= ~np.isfinite(each)
    _check(is_missing, blue, *others)
    with np.errstate(invalid="ignore"):
        visible = (blue + green + red) / 3
        # snow is bright in green and dark in the short-wave infrared, where a cloud is not; sediment in water has that
        # too, but reflects less in the near infrared than in green
        is_snow = (0.6 * green > 1.4 * swir) & (swir < 0.22) & (nir > 0.11) & (green > 0.10)
        is_snow &= (green > 0.30) | (nir > 0.75 * green)
        # water drinks the infrared, of which a shadow keeps a share that goes with its ground
        is_water = (nir + 0.7 * swir < 0.75 * green) & (nir < 1.1 * red) & (nir < 0.15)
        # clouds are bright, and bluer than bright soil; rock is brighter in the short-wave infrared
        is_cloud = (visible > 0.17) & (blue - 0.5 * red > 0.10) & (nir > 0.75 * swir)
        is_shadow = (nir < 0.15) & (nir + swir < 0.22) & (green < 0.13)
        out = np.zeros(blue.shape, dtype=np.uint8)
        out[is_shadow] = SHADOW
        out[is_cloud] = CLOUD
        out[is_water] = WATER
        if len(others) > 4:
            out[others[4] > 0.012] = CLOUD
        out[is_snow] = SNOW
        is_odd = (visible > _GLINT) | (nir > _GLINT) | (swir > _GLINT) | (blue - nir > _BLUE_ALONE)
    out[is_missing] = NULL
    return out, int(np.count_nonzero(~is_missing & is_odd))


def _check(is_missing: np.ndarray, *bands: np.ndarray) -> None:
    for name, values in zip((*BANDS, CIRRUS), bands, strict=False):
        largest = np.max(np.abs(values), initial=0.0, where=~is_missing)
        if largest > LARGEST:
            raise ValueError(
                f"classes() needs reflectances, which end near 1; got {largest:g} in {name}. Take the bands that "
                "open_stack() made of the products, or scale them: (counts + offset) / quantification."
            )
