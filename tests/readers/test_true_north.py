"""Azimuths that products tell are from true north: those of the sun are where it stood, by its path in the sky."""

import math
import re
from pathlib import Path

import numpy as np
import pyproj
import pytest

from xoffset.readers.products import open_products


def sun_at(when, longitude, latitude):
    """Azimuth from true north and elevation of the sun [degrees], as the Astronomical Almanac has it, to 0.02."""
    days = (when - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "D")
    anomaly, mean = math.radians(357.529 + 0.98560028 * days), 280.459 + 0.98564736 * days
    ecliptic = math.radians(mean + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 0.00000036 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    declination = math.asin(math.sin(tilt) * math.sin(ecliptic))
    turned = math.radians((18.697374558 + 24.06570982441908 * days) % 24 * 15 + longitude) - ascension
    latitude = math.radians(latitude)
    up = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(turned)
    north = math.tan(declination) * math.cos(latitude) - math.sin(latitude) * math.cos(turned)
    return math.degrees(math.atan2(-math.sin(turned), north)) % 360, math.degrees(math.asin(up))


@pytest.mark.data
def test_sentinel2(data_folder):
    """The tiles lie at the edges of their zones: grid north is 0.9 degrees off."""
    found = sorted((data_folder / "sentinel2_safe").glob("*.SAFE"))
    assert len(found) == 2
    for path in found:
        (product,) = open_products(str(path), None)
        root, scene = product.tile_metadata, product.scenes[0]
        code = next(root.iter("HORIZONTAL_CS_CODE")).text
        x, y = (float(next(root.iter(tag)).text) for tag in ("ULX", "ULY"))
        place = pyproj.Transformer.from_crs(code, 4326, always_xy=True).transform(x + 54_900, y - 54_900)
        assert abs(pyproj.Proj(code).get_factors(*place).meridian_convergence) > 0.8
        np.testing.assert_allclose((scene.sun_azimuth, scene.sun_elevation), sun_at(scene.date, *place), atol=0.06)


@pytest.mark.data
def test_landsat(data_folder):
    folder = data_folder / "stac_and_landsat_metadata" / "landsat"
    for name in (
        "LC08_L2SP_047027_20201204_20210313_02_T1_MTL.txt",
        "LC09_L2SP_010065_20220129_20220131_02_T1_MTL.txt",
    ):
        text = Path(folder, name).read_text()
        places = [
            np.mean([float(value) for value in re.findall(rf"CORNER_.._{axis}_PRODUCT = (\S+)", text)])
            for axis in ("LON", "LAT")
        ]
        (product,) = open_products(str(folder / name), None)
        scene = product.scenes[0]
        np.testing.assert_allclose((scene.sun_azimuth, scene.sun_elevation), sun_at(scene.date, *places), atol=0.1)
