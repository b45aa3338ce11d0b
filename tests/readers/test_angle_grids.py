"""Grids of angles of a tile on pixels: interpolated as directions, each pixel within the grid of its own detector."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from xoffset._arrays.scenes.angle_grids import angles_at
from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.sentinel2 import angle_grids

X, Y = 300_000.0, 4_900_020.0
REAL = Path("/work/shared/data/sentinel2_safe")
N = 23


def pixels(height=50, width=60, size=100.0, x=X + 10_000.0, y=Y - 20_000.0):
    return Grid(x, y, size, -size, width, height, None)


def places(grid):
    """Kilometres right of and below the first node."""
    return (grid.x_centres[None, :] - X) / 1000.0, (Y - grid.y_centres[:, None]) / 1000.0


def nodes(function):
    column, row = np.meshgrid(np.arange(N) * 5.0, np.arange(N) * 5.0)
    return function(column, row) + 0 * column


def values(array):
    return "".join(
        f"<VALUES>{' '.join('NaN' if np.isnan(v) else repr(float(v)) for v in row)}</VALUES>" for row in array
    )


def grid_of(zenith, azimuth):
    return "".join(
        f'<{name}><COL_STEP unit="m">5000</COL_STEP><ROW_STEP unit="m">5000</ROW_STEP><Values_List>{values(array)}'
        f"</Values_List></{name}>"
        for name, array in (("Zenith", zenith), ("Azimuth", azimuth))
    )


def tile(views, sun=None, corner=True, step=5000):
    """Metadata of a tile; views are (band, detector, zeniths, azimuths)."""
    zenith, azimuth = sun or (np.full((N, N), 45.0), np.full((N, N), 160.0))
    text = "<n1:Tile xmlns:n1='https://psd-14.sentinel2.eo.esa.int'><n1:Geometric_Info>"
    text += f"<Geoposition><ULX>{X}</ULX><ULY>{Y}</ULY></Geoposition>" if corner else ""
    text += f"<Tile_Angles><Sun_Angles_Grid>{grid_of(zenith, azimuth)}</Sun_Angles_Grid>"
    for band, detector, view_zenith, view_azimuth in views:
        number = angle_grids.BANDS.index(band)
        text += f'<Viewing_Incidence_Angles_Grids bandId="{number}" detectorId="{detector}">'
        text += f"{grid_of(view_zenith, view_azimuth)}</Viewing_Incidence_Angles_Grids>"
    text += "</Tile_Angles></n1:Geometric_Info></n1:Tile>"
    return xml.parse(text.replace(">5000</", f">{step}</").encode(), "MTD_TL.xml")


def at(root, detectors, grid, band="B04"):
    return laid(angle_grids.read_angles(root, band, "MTD_TL.xml"), detectors, grid)


def laid(angles, detectors, grid):
    return angles_at(angles, detectors, grid.x_centres, grid.y_centres)


def ones(grid, number=5):
    return np.full((grid.height, grid.width), number, dtype=np.uint8)


def test_linear_fields_come_back():
    zenith, azimuth = (lambda c, r: 4.0 + 0.05 * c + 0.02 * r), (lambda c, r: 100.0 + 0.1 * c - 0.3 * r)
    sun = (lambda c, r: 45.0 - 0.005 * c + 0.007 * r), (lambda c, r: 150.0 + 0.01 * c)
    grid = pixels()
    root = tile([("B04", 5, nodes(zenith), nodes(azimuth))], sun=tuple(map(nodes, sun)))
    found = at(root, ones(grid), grid)
    where = places(grid)
    assert {each.dtype for each in found.values()} == {np.dtype(np.float32)}
    # directions are interpolated: along 5 km the chord leaves the arc by that much
    np.testing.assert_allclose(found["view_zenith"], zenith(*where), atol=2e-3)
    np.testing.assert_allclose(found["view_azimuth"], azimuth(*where), atol=5e-2)
    np.testing.assert_allclose(found["sun_elevation"], 90.0 - sun[0](*where), atol=1e-4)
    np.testing.assert_allclose(found["sun_azimuth"], sun[1](*where) + 0 * where[1], atol=1e-4)


def test_linear_zenith_is_exact_where_the_azimuth_is_constant():
    zenith = lambda c, r: 2.0 + 0.06 * c + 0.01 * r  # noqa: E731
    grid = pixels()
    found = at(tile([("B04", 5, nodes(zenith), np.full((N, N), 104.0))]), ones(grid), grid)
    np.testing.assert_allclose(found["view_zenith"], zenith(*places(grid)), atol=2e-5)
    np.testing.assert_allclose(found["view_azimuth"], np.full((50, 60), 104.0), atol=1e-4)


def test_azimuth_begins_anew_at_360():
    azimuth = lambda c, r: 350.0 + 1.0 * c  # noqa: E731
    grid = pixels()
    found = at(tile([("B04", 5, np.full((N, N), 7.0), nodes(azimuth) % 360.0)]), ones(grid), grid)["view_azimuth"]
    wanted = azimuth(*places(grid)) + np.zeros((50, 1))
    assert wanted.min() < 361.0 < wanted.max()
    off = (found - wanted + 180.0) % 360.0 - 180.0
    assert np.abs(off).max() < 0.02
    assert found.min() >= 0.0
    assert found.max() <= 360.0


def test_the_satellite_may_pass_the_zenith():
    """Where it stands straight above, the azimuth turns around within a step, and the zenith goes to zero and back."""
    zenith = lambda c, r: np.abs(0.1 * (c - 12.5))  # noqa: E731
    azimuth = lambda c, r: np.where(c < 12.5, 280.0, 100.0)  # noqa: E731
    grid = pixels()
    found = at(tile([("B04", 5, nodes(zenith), nodes(azimuth))]), ones(grid), grid)
    column, _ = places(grid)
    np.testing.assert_allclose(found["view_zenith"], np.broadcast_to(zenith(column, 0), (50, 60)), atol=1e-3)
    np.testing.assert_allclose(found["view_azimuth"], np.broadcast_to(azimuth(column, 0), (50, 60)), atol=1e-2)


def test_no_pixel_takes_the_view_of_another_detector():
    """Odd and even detectors look ahead and back: the azimuth jumps where the detector does, without a ramp."""
    grid = pixels()
    detectors = ones(grid, 4)
    detectors[:, 37:] = 7
    detectors[10:12, 20:22] = 0
    root = tile([
        ("B04", 4, np.full((N, N), 5.0), np.full((N, N), 110.0)),
        ("B04", 7, np.full((N, N), 6.0), np.full((N, N), 290.0)),
        ("B03", 4, np.full((N, N), 9.0), np.full((N, N), 10.0)),
    ])  # fmt: skip
    found = at(root, detectors, grid)
    for name, (left, right) in {"view_azimuth": (110.0, 290.0), "view_zenith": (5.0, 6.0)}.items():
        wanted = np.where(detectors == 0, np.nan, np.where(detectors == 4, left, right))
        np.testing.assert_allclose(found[name], wanted, atol=1e-4)
    np.testing.assert_allclose(found["sun_elevation"], np.full((50, 60), 45.0), atol=1e-4)
    np.testing.assert_allclose(at(root, detectors, grid, "B03")["view_zenith"][0, 0], 9.0, atol=1e-4)
    assert np.isnan(at(root, detectors, grid, "B03")["view_zenith"][:, 37:]).all()  # it has no grid there


def test_nodes_that_are_lacking_go_on_as_those_beside_them():
    zenith = lambda c, r: 4.0 + 0.06 * c + 0.02 * r  # noqa: E731
    zeniths = nodes(zenith)
    zeniths[:, 3:] = np.nan  # pixels reach from 10 to 16 km, nodes to 10 km
    grid = pixels()
    found = at(tile([("B04", 5, zeniths, np.where(np.isnan(zeniths), np.nan, 104.0))]), ones(grid), grid)
    column, row = places(grid)
    inside = np.broadcast_to(column < 15.0, (50, 60))
    np.testing.assert_allclose(found["view_zenith"][inside], (zenith(column, row))[inside], atol=1e-3)
    # from the second node on they are those of the last
    np.testing.assert_allclose(found["view_zenith"][~inside], (zenith(15.0, row) + 0 * column)[~inside], atol=1e-3)


def test_one_node_is_better_than_that_of_another_detector():
    zeniths, azimuths = np.full((2, N, N), np.nan)
    zeniths[2, 2], azimuths[2, 2] = 3.0, 200.0
    nothing = np.full((N, N), np.nan)
    root = tile([
        ("B04", 5, zeniths, azimuths),
        ("B04", 6, np.full((N, N), 8.0), np.full((N, N), 20.0)),
        ("B04", 7, nothing, nothing),
    ])  # fmt: skip
    grid = pixels()
    found = at(root, ones(grid), grid)
    np.testing.assert_allclose(found["view_zenith"], np.full((50, 60), 3.0), atol=1e-4)
    np.testing.assert_allclose(found["view_azimuth"], np.full((50, 60), 200.0), atol=1e-4)
    assert np.isnan(at(root, ones(grid, 7), grid)["view_zenith"]).all()


@pytest.mark.filterwarnings("error")
def test_infinity_is_no_angle_and_detectors_may_have_a_letter():
    zenith = np.full((N, N), 5.0)
    lacking = np.where(np.arange(N) < 2, np.inf, zenith)
    grid = pixels()
    found = at(tile([("B04", "D05", lacking, np.full((N, N), 100.0))]), ones(grid), grid)
    np.testing.assert_allclose(found["view_zenith"], 5.0, rtol=1e-6)


def test_beyond_the_nodes_nothing_is_known():
    grid = pixels(height=3, width=8, size=1000.0, x=X - 4000.0, y=Y + 1000.0)
    found = at(tile([("B04", 5, np.full((N, N), 5.0), np.full((N, N), 110.0))]), ones(grid), grid)
    column, row = places(grid)
    for each in found.values():
        np.testing.assert_array_equal(np.isnan(each), (column < 0) | (row < 0))


def test_parts_are_those_of_the_whole():
    generator = np.random.default_rng(3)
    zeniths, azimuths = generator.uniform(2, 9, (N, N)), generator.uniform(90, 120, (N, N))
    zeniths[:, :4] = azimuths[:, :4] = np.nan
    root = tile([("B04", k, zeniths + k, azimuths) for k in (4, 5)])
    grid = pixels(height=600, width=70)
    detectors = generator.integers(3, 6, (600, 70)).astype(np.uint8)
    whole = at(root, detectors, grid)
    for window in ((slice(5, 9), slice(0, 70)), (slice(250, 300), slice(13, 14)), (slice(599, 600), slice(3, 50))):
        part = at(root, detectors[window], grid.part(window))
        for name, each in part.items():
            np.testing.assert_array_equal(each, whole[name][window])


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (lambda: xml.parse(b"<Tile/>", "m"), "lacks Sun_Angles_Grid"),
        (lambda: tile([], corner=False), "lacks Geoposition"),
        (lambda: tile([("B04", 5, np.ones((N, N)), np.ones((N, 4)))]), r"zeniths \(23, 23\) and azimuths \(23, 4\)"),
        (lambda: tile([], sun=(np.ones((1, N)), np.ones((1, N)))), r"zeniths \(1, 23\)"),
        (lambda: tile([], sun=(np.full((N, N), -999.0), np.ones((N, N)))), "Zenith of -999 to -999 degrees"),
        (lambda: tile([], sun=(np.ones((N, N)), np.full((N, N), 361.0))), "Azimuth of 361 to 361 degrees"),
        (lambda: tile([("B04", "", np.ones((N, N)), np.ones((N, N)))]), "a grid of detector ''"),
        (lambda: tile([("B04", "left", np.ones((N, N)), np.ones((N, N)))]), "a grid of detector 'left'"),
        (lambda: tile([("B04", 5, np.ones((N, N)), np.ones((N, N)))] * 2), "two grids of detector '5'"),
        (lambda: tile([], step=0), r"nodes \(0\.0, 0\.0\) m apart"),
        (lambda: tile([], step=-5000), r"nodes \(-5000\.0, -5000\.0\) m apart"),
    ],
)
def test_broken_metadata_are_refused(root, message):
    with pytest.raises(ValueError, match=rf"{message}.*Fetch the product again"):
        angle_grids.read_angles(root(), "B04", "MTD_TL.xml")


@pytest.mark.data
def test_real_angles():
    """Detectors 3 to 8 of a true tile: nodes come back at their places, and odd and even look to different sides."""
    if not REAL.exists():
        pytest.skip("no real product here")
    (path,) = REAL.glob("S2A_MSIL1C*/GRANULE/*/MTD_TL.xml")
    root = xml.parse(path.read_bytes(), path.name)
    angles = angle_grids.read_angles(root, "B04", path.name)
    assert list(angles.views) == [3, 4, 5, 6, 7, 8]
    (view,) = (
        each
        for each in root.iter("Viewing_Incidence_Angles_Grids")
        if (each.get("bandId"), each.get("detectorId")) == ("3", "5")
    )
    told = {
        name: np.array([row.text.split() for row in view.find(name).iter("VALUES")], dtype=float)
        for name in ("Zenith", "Azimuth")
    }
    grid = Grid(99_960.0 - 2500.0, 8_300_020.0 + 2500.0, 5000.0, -5000.0, N, N, None)  # pixels centred on the nodes
    found = laid(angles, ones(grid), grid)
    known = np.isfinite(told["Zenith"])
    assert 20 < known.sum() < 300
    np.testing.assert_allclose(found["view_zenith"][known], told["Zenith"][known], atol=1e-4)
    np.testing.assert_allclose(found["view_azimuth"][known], told["Azimuth"][known], atol=1e-3)
    # between the nodes and the edge of a detector, some 10 km away, the view goes on without a leap
    assert np.abs(np.diff(found["view_zenith"], axis=1)).max() < 1.5
    views = [laid(angles, ones(grid, number), grid)["view_azimuth"] for number in (3, 4, 5)]
    means = [view[10:13].mean() for view in views]
    assert min(abs(a - b) for a, b in pairwise(means)) > 10.0
