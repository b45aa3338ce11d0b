"""Polygons of Sentinel-2 on a grid: a pixel counts to what holds its centre, and overlaps are parted in the middle."""

import re
from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS

from xoffset.readers import xml
from xoffset.readers.grids import Grid
from xoffset.readers.sentinel2 import footprints

UTM = CRS.from_epsg(32632)
CORNER = (600_000.0, 5_000_000.0)
REAL = Path("/work/shared/data/sentinel2_safe")


def grid(height, width, size=10.0, corner=CORNER, crs=UTM):
    return Grid(corner[0], corner[1], size, -size, width, height, crs)


def box(left, top, right, bottom):
    """Outline of a box in metres right of and below the corner."""
    x, y = CORNER
    return [
        (x + left, y - top),
        (x + right, y - top),
        (x + right, y - bottom),
        (x + left, y - bottom),
        (x + left, y - top),
    ]


def positions(ring, size):
    return " ".join(" ".join(map(str, [*vertex, 0.0][:size])) for vertex in ring)


def polygon(outline, holes=(), size=3, stated=True):
    number = f' srsDimension="{size}"' if stated else ""
    parts = [("exterior", outline), *(("interior", hole) for hole in holes)]
    rings = "".join(
        f"<gml:{name}><gml:LinearRing><gml:posList{number}>{positions(ring, size)}</gml:posList></gml:LinearRing>"
        f"</gml:{name}>"
        for name, ring in parts
    )
    return f"<gml:Polygon>{rings}</gml:Polygon>"


def feature(name, *polygons, kind="DETECTOR_FOOTPRINT"):
    return (
        f'<eop:MaskFeature gml:id="{name}"><eop:maskType>{kind}</eop:maskType><eop:extentOf>{"".join(polygons)}'
        "</eop:extentOf></eop:MaskFeature>"
    )


def mask(*features, srs="urn:ogc:def:crs:EPSG:8.7:32632"):
    envelope = f'<gml:boundedBy><gml:Envelope srsName="{srs}"/></gml:boundedBy>' if srs else ""
    text = (
        '<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2">'
        f"{envelope}<eop:maskMembers>{''.join(features)}</eop:maskMembers></eop:Mask>"
    )
    return footprints.read_polygons(xml.parse(text.encode(), "mask.gml"), "mask.gml")


def test_each_pixel_has_the_detector_whose_footprint_holds_its_centre():
    found = mask(
        feature("detector_footprint-B04-03-0", polygon(box(0, 0, 54, 100))),
        feature("detector_footprint-B04-4-1", polygon(box(54, 0, 100, 86))),
        feature("detector_footprint-B8A-05-2", polygon(box(0, 0, 100, 100))),
    )
    seen = footprints.detectors(found, "B04", grid(12, 11))
    expected = np.zeros((12, 11), dtype=np.uint8)
    expected[:10, :5] = 3  # centres at 5, 15, ... 45
    expected[:9, 5:10] = 4
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(footprints.detectors(found, "B8A", grid(10, 10)), np.full((10, 10), 5))


@pytest.mark.parametrize(("size", "stated"), [(2, True), (3, True), (2, False), (3, False)])
def test_positions_have_two_or_three_numbers(size, stated):
    shape = polygon(box(10, 20, 40, 80), size=size, stated=stated)
    seen = footprints.detectors(mask(feature("detector_footprint-B02-11-0", shape)), "B02", grid(9, 6))
    expected = np.zeros((9, 6), dtype=np.uint8)
    expected[2:8, 1:4] = 11
    np.testing.assert_array_equal(seen, expected)


def test_holes_and_several_parts_of_one_detector():
    found = mask(
        feature("detector_footprint-B01-02-0", polygon(box(0, 0, 60, 60), [box(20, 20, 40, 40)])),
        feature("detector_footprint-B01-02-1", polygon(box(0, 70, 30, 90)), polygon(box(40, 70, 60, 90))),
        feature("detector_footprint-B01-02-2", polygon(box(0, 0, 30, 30))),  # twice the same ground is no hole
    )
    expected = np.zeros((10, 6), dtype=np.uint8)
    expected[:6] = 2
    expected[2:4, 2:4] = [[2, 0], [0, 0]]
    expected[7:9] = [2, 2, 2, 0, 2, 2]
    np.testing.assert_array_equal(footprints.detectors(found, "B01", grid(10, 6)), expected)


def test_several_positions_in_place_of_a_list():
    ring = "".join(f"<gml:pos>{x} {y}</gml:pos>" for x, y in box(0, 0, 20, 30))
    shape = f"<gml:Polygon><gml:exterior><gml:LinearRing>{ring}</gml:LinearRing></gml:exterior></gml:Polygon>"
    seen = footprints.detectors(mask(feature("detector_footprint-B04-07-0", shape)), "B04", grid(3, 3))
    np.testing.assert_array_equal(seen, [[7, 7, 0]] * 3)


def test_an_empty_mask_sees_nothing_and_says_so(caplog):
    assert not footprints.detectors(mask(), "B04", grid(3, 3)).any()
    assert "no footprint of band B04" in caplog.text
    assert not footprints.covered(mask().features, grid(3, 3)).any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_overlaps_are_parted_along_their_middle(order):
    """Two slanted strips as detectors have them; the edge of the tile above and below is the edge of neither."""
    x, y = CORNER
    strips = [
        [(x, y), (x + 1200, y), (x + 800, y - 2000), (x, y - 2000), (x, y)],
        [(x + 800, y), (x + 2000, y), (x + 2000, y - 2000), (x + 400, y - 2000), (x + 800, y)],
    ]
    features = [feature(f"detector_footprint-B04-{k + 5}-{k}", polygon(strips[k])) for k in order]
    seen = footprints.detectors(mask(*features), "B04", grid(200, 200))
    places = grid(200, 200)
    depth = places.y_centres[:, None] - y
    middle = places.x_centres[None, :] - x - 1000 - depth / 5  # to the right of the middle line
    assert set(np.unique(seen)) == {5, 6}
    is_clear = np.abs(middle) > 20  # m along x
    np.testing.assert_array_equal(seen[is_clear], np.where(middle > 0, 6, 5)[is_clear])


def test_equally_deep_places_go_to_the_lower_number():
    same = polygon(box(0, 0, 50, 50))
    found = mask(feature("detector_footprint-B04-09-0", same), feature("detector_footprint-B04-08-1", same))
    np.testing.assert_array_equal(footprints.detectors(found, "B04", grid(5, 5)), np.full((5, 5), 8))


@pytest.mark.parametrize("size", [10.0, 20.0, 60.0, 13.7])
def test_crops_are_those_of_the_whole(size):
    x, y = CORNER
    first = [(x, y), (x + 1230, y), (x + 810, y - 2000), (x, y - 2000), (x, y)]
    second = [(x + 790, y), (x + 2000, y), (x + 2000, y - 2000), (x + 370, y - 2000), (x + 790, y)]
    found = mask(
        feature("detector_footprint-B04-01-0", polygon(first)), feature("detector_footprint-B04-02-1", polygon(second))
    )
    whole = grid(int(2100 / size), int(2100 / size), size)
    seen = footprints.detectors(found, "B04", whole)
    for window in ((slice(3, 17), slice(7, 29)), (slice(5, 6), slice(0, whole.width)), (slice(11, 30), slice(13, 14))):
        np.testing.assert_array_equal(footprints.detectors(found, "B04", whole.part(window)), seen[window])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: mask(feature("left-1", polygon(box(0, 0, 9, 9)))), r"'left-1', which names no detector"),
        (lambda: mask(feature("x-B04-01-0", polygon([]))), r"an outline of 0 numbers"),
        (lambda: mask(feature("x-B04-01-0", polygon(box(0, 0, 9, 9)[:2]))), r"an outline of 6 numbers, 3 a vertex"),
        (lambda: mask(feature("x-B04-01-0", polygon([("a", "b")] * 4))), r"not of numbers"),
        (lambda: mask(feature("x-B04-01-0", polygon([("nan", 1.0)] * 4))), r"an outline of 12 numbers"),
        (lambda: mask(feature("x-B04-13-0", polygon(box(0, 0, 9, 9)))), r"detector 13 of an instrument with 12"),
        (lambda: mask(feature("x-B04-00-0", polygon(box(0, 0, 9, 9)))), r"a footprint of detector 0"),
        (lambda: mask(feature("x-B04-01-0")), r"the feature 'x-B04-01-0' without a polygon"),
        (lambda: mask(feature("x-B04-01-0", "<gml:Polygon/>")), r"a polygon with 0 outlines"),
    ],
)
def test_broken_masks_are_refused(broken, message):
    with pytest.raises(ValueError, match=rf"{message}.*Fetch the product again"):
        footprints.detectors(broken(), "B04", grid(3, 3))


def test_another_crs_is_refused():
    found = mask(feature("x-B04-01-0", polygon(box(0, 0, 9, 9))))
    with pytest.raises(ValueError, match=r"got WGS 84 / UTM zone 33N for mask\.gml in .*32N\..*reproject_match"):
        footprints.detectors(found, "B04", grid(3, 3, crs=CRS.from_epsg(32633)))
    for srs in ("EPSG:32632", "urn:ogc:def:crs:EPSG::32632", "http://www.opengis.net/gml/srs/epsg.xml#32632", None):
        seen = footprints.detectors(mask(feature("x-B04-01-0", polygon(box(0, 0, 9, 9))), srs=srs), "B04", grid(1, 2))
        np.testing.assert_array_equal(seen, [[1, 0]])


# ------------------------------------------------------------------------------------------------------------ real data


def inside(vertices, x, y):
    """Whether a place lies in a polygon, by the number of edges to its right."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossings += 1
    return crossings % 2 == 1


@pytest.mark.data
@pytest.mark.parametrize("band", ["B04", "B01", "B8A", "B12"])
def test_real_footprints(band):
    if not REAL.exists():
        pytest.skip("no real product here")
    (path,) = REAL.glob(f"S2A_MSIL2A*/GRANULE/*/QI_DATA/MSK_DETFOO_{band}.gml")
    text = path.read_text()
    found = footprints.read_polygons(xml.parse(text.encode(), path.name), path.name)
    assert found.crs == CRS.from_epsg(32707)
    outlines = {}
    for number, numbers in re.findall(
        r'detector_footprint-\w+-(\d+)-\d+".*?<gml:posList[^>]*>([^<]+)<', text, re.DOTALL
    ):
        values = list(map(float, numbers.split()))
        outlines[int(number)] = list(zip(values[::3], values[1::3], strict=True))
    assert sorted(outlines) == [11, 12]
    tile = Grid(600_000.0, 6_500_020.0, 10.0, -10.0, 10_980, 10_980, found.crs)
    window = slice(0, 1700), slice(0, 3600)  # all of it that was seen
    seen = footprints.detectors(found, band, tile.part(window))
    generator = np.random.default_rng(1)
    edges = np.flatnonzero(np.diff(seen, axis=1, prepend=0).ravel())  # where the number changes
    for place in np.r_[generator.integers(0, seen.size, 150), generator.choice(edges, 150)]:
        row, column = np.unravel_index(place, seen.shape)
        x, y = tile.x_centres[column], tile.y_centres[row]
        holding = [number for number, vertices in outlines.items() if inside(vertices, x, y)]
        assert seen[row, column] in (holding or [0])
    assert not seen[-1].any()
    assert not seen[:, -1].any()
