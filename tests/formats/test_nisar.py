"""NISAR pixel offsets: files by their layout, truth from motion toward true east and north."""

import h5py
import numpy as np
import pyproj
import pytest

import xoffset
from xoffset.formats import nisar
from xoffset.formats.open_shifts import open_shifts

EAST, NORTH = 12.0, -5.0
# Looking to the right of a track that heads 350 degrees, 39 degrees from the vertical.
HEADING, LOOK = np.deg2rad(350.0), np.deg2rad(39.0)
TRACK = np.array([np.sin(HEADING), np.cos(HEADING)])
# From the ground to the sensor, which is to the left of what it sees.
TO_SENSOR = np.sin(LOOK) * np.array([-np.cos(HEADING), np.sin(HEADING)])
SIGMA_RANGE, SIGMA_TRACK, COVARIANCE = 0.5, 0.8, 0.1


def offsets(group, shape, layer):
    away = -(TO_SENSOR @ (EAST, NORTH))
    along = TRACK @ (EAST, NORTH)
    made = group.create_group(layer)
    values = {
        "slantRangeOffset": away, "alongTrackOffset": along, "slantRangeOffsetVariance": SIGMA_RANGE**2,
        "alongTrackOffsetVariance": SIGMA_TRACK**2, "crossOffsetVariance": COVARIANCE, "correlationSurfacePeak": 0.4,
        "snr": 9.0,
    }  # fmt: skip
    for name, value in values.items():
        made[name] = np.full(shape, value, "f4")
        made[name][1, 2] = np.nan
    return made


def dates(file):
    about = file.create_group("science/LSAR/identification")
    about["referenceZeroDopplerStartTime"] = np.bytes_("2025-11-22T02:46:18.000000000")
    about["secondaryZeroDopplerStartTime"] = np.bytes_("2025-12-04T02:46:18.500000000")


def goff(path, *, polarisations=("HH",), layers=("layer1", "layer2"), code=32607, vectors=True):
    shape = (5, 6)
    x, y = 400_000.0 + 80.0 * np.arange(6), 6_700_000.0 - 80.0 * np.arange(5)
    with h5py.File(path, "w") as file:
        dates(file)
        for polarisation in polarisations:
            group = file.create_group(f"science/LSAR/GOFF/grids/frequencyA/pixelOffsets/{polarisation}")
            for layer in layers:
                made = offsets(group, shape, layer)
                made["xCoordinates"], made["yCoordinates"] = x, y
                made["projection"] = np.uint32(code)
                made["projection"].attrs["epsg_code"] = code
        cube = file.create_group("science/LSAR/GOFF/metadata/radarGrid")
        cube["heightAboveEllipsoid"] = np.array([-500.0, 500.0, 9000.0])
        cube["xCoordinates"] = 399_000.0 + 500.0 * np.arange(5)
        cube["yCoordinates"] = 6_701_000.0 - 500.0 * np.arange(5)
        both = {"losUnitVector": TO_SENSOR, "alongTrackUnitVector": TRACK}
        for name, vector in both.items() if vectors else ():
            for axis, value in zip("XY", vector, strict=True):
                values = np.full((3, 5, 5), value, "f4")
                values[2] = -values[2]  # far above, where nothing is
                cube[f"{name}{axis}"] = values
    return path


def roff(path):
    with h5py.File(path, "w") as file:
        dates(file)
        group = file.create_group("science/LSAR/ROFF/swaths/frequencyA/pixelOffsets")
        group["slantRange"] = 900_000.0 + 40.0 * np.arange(6)
        group["zeroDopplerTime"] = 0.01 * np.arange(5)
        group["sceneCenterAlongTrackSpacing"] = 90.0
        offsets(group.create_group("HH"), (5, 6), "layer1")
    return path


class TestOnAMap:
    def test_horizontal_motion_comes_back(self, tmp_path):
        found = open_shifts(goff(tmp_path / "goff.h5"))
        assert list(found.system.values) == ["nisar"]
        ground = xoffset.ground(found)
        known = np.isfinite(found.dx.values[0])
        assert known.sum() == 29
        np.testing.assert_allclose(ground.d_east.values[0][known], EAST, rtol=1e-4)
        np.testing.assert_allclose(ground.d_north.values[0][known], NORTH, rtol=1e-4)
        # the zone's north is not the true one: at 60 degrees and 1.8 degrees off the meridian by 1.6 degrees
        assert abs(found.dx.values[0, 0, 0] - EAST) > 0.05
        assert found.secondary.values[0] == np.datetime64("2025-12-04T02:46:18.5", "us")

    def test_covariances_come_along(self, tmp_path):
        ground = xoffset.ground(open_shifts(goff(tmp_path / "goff.h5")))
        # of many draws of what the radar measures
        rng = np.random.default_rng(0)
        of_radar = [[SIGMA_RANGE**2, COVARIANCE], [COVARIANCE, SIGMA_TRACK**2]]
        drawn = rng.multivariate_normal([0.0, 0.0], of_radar, 200_000)
        turned = drawn @ np.linalg.inv(np.stack([-TO_SENSOR, TRACK])).T
        expected = np.cov(turned.T)
        np.testing.assert_allclose(ground.sigma_d_east.values[0, 0, 0], np.sqrt(expected[0, 0]), rtol=0.01)
        np.testing.assert_allclose(ground.sigma_d_north.values[0, 0, 0], np.sqrt(expected[1, 1]), rtol=0.01)
        np.testing.assert_allclose(ground.cov_d_east_north.values[0, 0, 0], expected[0, 1], atol=0.01)

    def test_layer_and_polarisation_are_named_where_there_are_several(self, tmp_path):
        path = goff(tmp_path / "goff.h5", polarisations=("HH", "HV"))
        with pytest.raises(ValueError, match=r"needs one layer of offsets; .*HH/layer1, HH/layer2, HV/layer1"):
            open_shifts(path)
        assert nisar.read(path, polarisation="HV", layer="layer2").sizes["x"] == 6
        with pytest.raises(ValueError, match="layer9"):
            nisar.read(path, layer="layer9")

    def test_without_directions_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="needs losUnitVectorX"):
            open_shifts(goff(tmp_path / "goff.h5", vectors=False))

    def test_polar_grids_turn_too(self, tmp_path):
        found = open_shifts(goff(tmp_path / "goff.h5", code=3413))
        x, y = found.x.values, found.y.values
        to_degrees = pyproj.Transformer.from_crs(3413, 4326, always_xy=True)
        geod = pyproj.Geod(ellps="WGS84")
        start = to_degrees.transform(x[3], y[3])
        end = to_degrees.transform(x[3] + float(found.dx[0, 3, 3]), y[3] + float(found.dy[0, 3, 3]))
        azimuth, _, length = geod.inv(*start, *end)
        np.testing.assert_allclose(length, np.hypot(EAST, NORTH), rtol=1e-4)
        np.testing.assert_allclose(azimuth % 360, np.rad2deg(np.arctan2(EAST, NORTH)) % 360, atol=0.01)


class TestInRadarGeometry:
    def test_stays_along_range_and_track(self, tmp_path):
        found = open_shifts(roff(tmp_path / "roff.h5"))
        np.testing.assert_allclose(found.dx.values[0, 0, 0], -(TO_SENSOR @ (EAST, NORTH)), rtol=1e-6)
        np.testing.assert_allclose(found.dy.values[0, 0, 0], TRACK @ (EAST, NORTH), rtol=1e-6)
        np.testing.assert_allclose(found.sigma_dx.values[0, 0, 0], SIGMA_RANGE, rtol=1e-6)
        np.testing.assert_allclose(found.cov_dxdy.values[0, 0, 0], COVARIANCE, rtol=1e-6)
        np.testing.assert_allclose(found.score.values[0, 0, 0], 0.4, rtol=1e-6)
        assert list(found.system.values) == ["nisar_roff"]
        assert "spatial_ref" not in found.coords
        assert (np.diff(found.y) == 90.0).all()
        assert (np.diff(found.x) == 40.0).all()
