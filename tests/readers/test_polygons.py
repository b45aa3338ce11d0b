"""Polygons of files and objects: where they lie on a grid, by the winding of their outlines, and what is refused."""

import json
import logging
import struct

import numpy as np
import pyproj
import pytest
import xarray as xr
from reference_polygons import distance, runs_twice
from reference_polygons import inside as winds_round

from xoffset._kernels.maps import polygons as kernels
from xoffset.model import grids
from xoffset.readers import polygons, winding

UTM = pyproj.CRS.from_epsg(32632)
# a star with a hole, in metres around a place of UTM zone 32
CENTRE = np.array([600_000.0, 5_200_000.0])
ANGLES = np.linspace(0.0, 2.0 * np.pi, 10, endpoint=False)
STAR = CENTRE + np.where(np.arange(10) % 2, 200.0, 450.0)[:, None] * np.column_stack([np.sin(ANGLES), np.cos(ANGLES)])
HOLE = CENTRE + 60.0 * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
BOX = CENTRE + np.array([[300.0, 300.0], [420.0, 300.0], [420.0, 420.0], [300.0, 420.0]])
BOWTIE = CENTRE + np.array([[0.0, 0.0], [100.0, 100.0], [100.0, 0.0], [0.0, 100.0]])


def grid(step=10.0, crs=UTM, sign=-1):
    side = int(1000 // step)
    centres = step * (np.arange(side) - side / 2 + 0.37)
    values = xr.DataArray(
        np.zeros((side, side)), dims=("y", "x"), coords={"y": CENTRE[1] + sign * centres, "x": CENTRE[0] + centres}
    )
    return values if crs is None else values.assign_coords(spatial_ref=grids.spatial_ref(crs))


def expected(like, shapes=((STAR, HOLE), (BOX,))):
    places = np.column_stack([each.ravel() for each in np.meshgrid(like.x, like.y)])
    found = np.zeros(len(places), bool)
    for shell, *holes in shapes:
        inside = winds_round(shell, places)
        for hole in holes:
            inside &= ~winds_round(hole, places)
        found |= inside
    return found.reshape(like.shape)


def geojson(*shapes, crs=None, heights=False):
    """Object of polygons, each a list of rings in metres; longitudes and latitudes unless a CRS is given."""
    turn = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True)

    def corners(ring):
        closed = np.concatenate([ring, ring[:1]])
        closed = closed if crs else np.column_stack(turn.transform(*closed.T))
        return np.column_stack([closed, np.zeros(len(closed))]).tolist() if heights else closed.tolist()

    shapes = shapes or ((STAR, HOLE), (BOX,))
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [*map(corners, rings)]}}
        for rings in shapes
    ]
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    return {"type": "FeatureCollection", "features": features} | named


def area(ring):
    """Above 0 if it runs counterclockwise."""
    x, y = (ring - ring[0]).T
    return 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))


def shapefile(path, shapes=((STAR, HOLE), (BOX,)), kind=5, crs=UTM, as_is=False):
    """Write a Shapefile as its specification has it: outlines clockwise, holes counterclockwise."""
    records = b""
    for number, rings in enumerate(shapes, 1):
        rings = (
            rings if as_is else [ring if (area(ring) > 0) == (k > 0) else ring[::-1] for k, ring in enumerate(rings)]
        )
        closed = [np.concatenate([ring, ring[:1]]) for ring in rings]
        points = np.concatenate(closed)
        starts = np.cumsum([0, *map(len, closed)])[:-1].astype("<i4")
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
        body = struct.pack("<i4d2i", kind, *box, len(rings), len(points)) + starts.tobytes() + points.tobytes()
        if kind == 15:
            body += np.zeros(2 + len(points)).tobytes()
        records += struct.pack(">2i", number, len(body) // 2) + body
    header = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + len(records)) // 2) + struct.pack(
        "<2i8d", 1000, kind, *[0.0] * 8
    )
    path.write_bytes(header + records)
    if crs is not None:
        path.with_suffix(".prj").write_text(crs.to_wkt("WKT1_ESRI"))
    return path


def wkb(shapes, order="<", extra=0):
    """Multipolygon in well-known binary; `extra` is 1000 for heights as ISO has them, 2**31 as PostGIS has them."""
    mark = bytes([order == "<"])
    parts = b""
    for rings in shapes:
        parts += mark + struct.pack(f"{order}2I", 3 + extra, len(rings))
        for ring in rings:
            closed = np.concatenate([ring, ring[:1]])
            closed = np.column_stack([closed, np.zeros(len(closed))]) if extra else closed
            parts += struct.pack(f"{order}I", len(closed)) + closed.astype(f"{order}f8").tobytes()
    return mark + struct.pack(f"{order}2I", 6 + extra, len(shapes)) + parts


class Geometry:
    """What shapely's and geopandas' objects have in common."""

    def __init__(self, mapping, crs=None):
        self.__geo_interface__ = mapping
        if crs is not None:
            self.crs = crs


# ----------------------------------------------------------------------------------------------------------- what lies


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("step", [4.0, 37.0])
def test_rows_may_run_either_way(step, sign):
    like = grid(step, sign=sign)
    found = polygons.inside(geojson(crs="EPSG:32632"), like, "f", "polygons")
    np.testing.assert_array_equal(found, expected(like))
    assert 0.1 < found.mean() < 0.5


def test_random_stars_hold_what_they_hold():
    rng = np.random.default_rng(1)
    like = grid(25.0)
    for _ in range(50):
        angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, rng.integers(3, 20)))
        star = CENTRE + rng.uniform(50.0, 600.0, angles.size)[:, None] * np.column_stack(
            [np.sin(angles), np.cos(angles)]
        )
        found = polygons.on_grid([[star]], like.y.values, like.x.values)
        np.testing.assert_array_equal(found, expected(like, [(star,)]))


@pytest.mark.small
def test_a_place_on_a_common_edge_belongs_to_one():
    whole = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    left, right = whole * [0.5, 1.0], whole * [0.5, 1.0] + [2.0, 0.0]
    y = x = np.arange(6.0)
    parts = [polygons.on_grid([[part]], y, x) for part in (left, right)]
    assert not (parts[0] & parts[1]).any()
    np.testing.assert_array_equal(parts[0] | parts[1], polygons.on_grid([[whole]], y, x))


def test_overlapping_polygons_are_one_area():
    like = grid(20.0)
    twice = geojson((STAR,), (STAR,), crs="EPSG:32632")
    np.testing.assert_array_equal(polygons.inside(twice, like, "f", "polygons"), expected(like, [(STAR,)]))


def square(x, y, side, clockwise=False):
    ring = CENTRE + np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float)
    return ring[::-1] if clockwise else ring


@pytest.mark.small
def test_parts_of_a_shape_are_areas_and_holes_by_their_direction(tmp_path, caplog):
    """One that lies in another and runs the same way is no hole of it, and one that is there twice is there."""
    like = grid()
    large, inner, far = (-300, -300, 500), (-200, -200, 200), (250, 250, 120)
    holed = square(*large), square(*inner)
    for shape, areas in (
        ([square(*large, True), square(*inner, True), square(*far, True)], [(square(*large),), (square(*far),)]),
        ([square(*large, True), square(*large, True), square(*far, True)], [(square(*large),), (square(*far),)]),
        (
            [square(*far, True), square(*inner), square(*large, True)],
            [holed, (square(*far),)],
        ),
        # all the other way round, and an island in a lake
        ([square(*large), square(*inner, True), square(*far)], [holed, (square(*far),)]),
        (
            [square(*large, True), square(*inner), square(-150, -150, 60, True)],
            [holed, (square(-150, -150, 60),)],
        ),
    ):
        path = shapefile(tmp_path / "a.shp", [shape], as_is=True)
        with caplog.at_level(logging.WARNING):
            found = polygons.inside(path, like, "f", "polygons")
        np.testing.assert_array_equal(found, expected(like, areas))
    assert caplog.text.count("within another that runs the same way") == 2


@pytest.mark.small
def test_lines_that_are_run_along_twice():
    """Rectangles of a lattice, some of them to and fro, against every side of the lattice."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        rings = []
        for _ in range(rng.integers(1, 4)):
            (x0, y0), (x1, y1) = rng.integers(0, 3, 2), rng.integers(3, 6, 2)
            ring = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)
            if rng.random() < 0.3:
                ring = np.insert(ring, 1, [[x1 + 2, y0], [x0 + 1, y0]], axis=0)
            rings.append(ring[:: rng.choice([-1, 1])])
        edges = np.concatenate([np.column_stack([ring, np.roll(ring, -1, axis=0)]) for ring in rings])
        out = np.empty(2)
        kernels.doubled(edges, np.argsort(np.minimum(edges[:, 0], edges[:, 2]), kind="stable"), 1e-9, out)
        found.append(np.isfinite(out).all())
        assert found[-1] == runs_twice(rings)
    assert 0.1 < np.mean(found) < 0.9


@pytest.mark.small
def test_places_outside_of_a_ring():
    rng = np.random.default_rng(0)
    for tolerance in (1e-9, 30.0):
        places = CENTRE + rng.uniform(-500.0, 500.0, (400, 2))
        is_out = ~winds_round(STAR, places) & (distance(STAR, places) > tolerance)
        edges = np.column_stack([STAR, np.roll(STAR, -1, axis=0)])
        out = np.empty(1, np.int64)
        for place, is_far in zip(places, is_out, strict=True):
            kernels.outside(edges, place[np.newaxis], tolerance, out)
            assert out[0] == (0 if is_far else -1)
        np.testing.assert_array_equal(winding.holds(STAR, places), winds_round(STAR, places))
        assert 0.2 < is_out.mean() < 0.8


@pytest.mark.parametrize("way", [1, -1])
def test_holes_and_spikes_may_run_along_a_line_to_and_fro(way):
    """A hole beside the outline, a way to a hole within one ring, a spike, an outline that starts anew."""
    like = grid()
    outline, hole = square(-300, -300, 500), square(-300, -200, 200)
    inner = square(-200, -200, 200, True)
    keyhole = np.concatenate([outline, outline[:1], inner, inner[:1]])
    spike = np.insert(outline, 1, [outline[1] + [200, 0], outline[1] - [50, 0]], axis=0)
    again = np.concatenate([outline, outline[:2]])
    for rings, holes in (
        ([outline, hole], [hole]), ([keyhole], [inner]), ([spike], []), ([again], []),
    ):  # fmt: skip
        found = polygons.inside(geojson([ring[::way] for ring in rings], crs="EPSG:32632"), like, "f", "polygons")
        np.testing.assert_array_equal(found, expected(like, [(outline, *holes)]))


# --------------------------------------------------------------------------------------------------------- any source


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: geojson(),
        lambda folder: geojson(heights=True),
        lambda folder: geojson(crs="urn:ogc:def:crs:EPSG::32632"),
        lambda folder: [geojson((STAR, HOLE)), geojson((BOX,), crs="EPSG:32632")],
        lambda folder: shapefile(folder / "a.shp"),
        lambda folder: str(shapefile(folder / "a.SHP", kind=15)),
        lambda folder: Geometry(geojson(crs="EPSG:32632"), crs=UTM),
        lambda folder: Geometry(geojson(), crs="EPSG:4326"),
    ],
)
def test_all_sources_give_the_same(make, tmp_path):
    like = grid()
    np.testing.assert_array_equal(polygons.inside(make(tmp_path), like, "f", "polygons"), expected(like))


def test_geojson_files(tmp_path):
    like = grid()
    collection = {"type": "GeometryCollection", "geometries": [each["geometry"] for each in geojson()["features"]]}
    for data in (geojson(), collection, {"type": "Feature", "geometry": collection, "properties": {}}):
        path = tmp_path / "a.geojson"
        path.write_text(json.dumps(data), encoding="utf-8-sig")
        np.testing.assert_array_equal(polygons.inside(path, like, "f", "polygons"), expected(like))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("extra", [0, 1000, 2**31])
def test_well_known_binary(order, extra):
    found = polygons.outlines._of_wkb(wkb([(STAR, HOLE), (BOX,)], order, extra))
    assert [len(rings) for rings in found] == [2, 1]
    np.testing.assert_array_equal(found[0][1][:-1], HOLE)


def test_geopackage(tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    shapes = np.array([wkb([(STAR, HOLE)]), wkb([(BOX,)])], dtype=object)
    for suffix in ("gpkg", "fgb"):
        path = tmp_path / f"a.{suffix}"
        pyogrio.raw.write(
            path, shapes, [], np.array([]), geometry_type="MultiPolygon", crs="EPSG:32632", layer="glaciers"
        )
        like = grid()
        np.testing.assert_array_equal(polygons.inside(path, like, "f", "polygons"), expected(like))
    pyogrio.raw.write(
        tmp_path / "a.gpkg", shapes, [], np.array([]), geometry_type="MultiPolygon", crs="EPSG:32632", layer="lakes"
    )
    with pytest.raises(ValueError, match=r"needs one layer.*glaciers.*lakes.*Save the one"):
        polygons.inside(tmp_path / "a.gpkg", like, "f", "polygons")


def test_edges_that_turn_into_curves_stay_where_they_were():
    """A parallel of 3 degrees bulges by 800 m in UTM."""
    box = [[6.0, 46.9], [12.0, 46.9], [12.0, 47.1], [6.0, 47.1], [6.0, 46.9]]
    like = grid().assign_coords(x=300_000.0 + 4000.0 * np.arange(100), y=5_230_000.0 - 400.0 * np.arange(100))
    found = polygons.inside({"type": "Polygon", "coordinates": [box]}, like, "f", "polygons")
    places = np.meshgrid(like.x, like.y)
    longitude, latitude = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True).transform(*places)
    np.testing.assert_array_equal(found, (longitude > 6) & (longitude < 12) & (latitude > 46.9) & (latitude < 47.1))


def test_edges_that_cross_their_chord_in_the_middle_are_curves_too():
    """From the south-west to the north-east over the middle of a zone and the equator: one way, then the other."""
    tilted = np.array([[6.0, -3.0], [12.0, 3.0], [6.0, 3.0]])
    to_utm = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    edge = np.column_stack(to_utm.transform(np.linspace(6.0, 12.0, 801), np.linspace(-3.0, 3.0, 801)))
    assert distance(polygons._turned_ring(tilted, to_utm), edge).max() < 2.0


def test_a_grid_without_crs_takes_its_own_coordinates():
    like = grid(crs=None)
    bare = geojson(crs="EPSG:32632") | {"crs": None}
    for source in (bare, Geometry(bare)):
        np.testing.assert_array_equal(polygons.inside(source, like, "f", "polygons"), expected(like))
    with pytest.raises(ValueError, match=r"needs a grid with a CRS.*got one without.*write_crs"):
        polygons.inside(geojson(crs="EPSG:32632"), like, "f", "polygons")


# -------------------------------------------------------------------------------------------------------- what does not


@pytest.mark.small
def test_a_slip_of_the_hand_is_cut_off(caplog):
    """Where the end of an outline overshoots its start by little, as in drawn ones, nobody doubts what is meant."""
    slip = np.concatenate([STAR[0] + [[1.0, -1.0]], STAR[1:], STAR[0] + [[3.0, -4.0], [-2.0, -9.0]]])
    like = grid(15.0)
    with caplog.at_level(logging.WARNING):
        found = polygons.inside(geojson((slip,), crs="EPSG:32632"), like, "f", "polygons")
    assert "crosses itself" in caplog.text
    assert (found != expected(like, [(STAR,)])).sum() < 5


@pytest.mark.small
def test_rings_that_touch_are_fine():
    """A hole may touch the outline in a corner of either, and an outline itself."""
    outline = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0]])
    holes = [np.array([[4.0, 0.0], [5.0, 3.0], [3.0, 3.0]]), np.array([[0.0, 8.0], [1.0, 5.0], [2.0, 6.0]])]
    like = xr.DataArray(np.zeros((8, 8)), dims=("y", "x"), coords={"y": np.arange(8) + 0.3, "x": np.arange(8) + 0.4})
    for hole in holes:
        source = Geometry({"type": "Polygon", "coordinates": [outline.tolist(), hole.tolist()]})
        found = polygons.inside(source, like, "f", "polygons")
        np.testing.assert_array_equal(found, expected(like, [(outline, hole)]))


def crossing_at_a_corner():
    return CENTRE + np.array([[0.0, 0.0], [400.0, 0.0], [400.0, 200.0], [200.0, 0.0], [200.0, -200.0], [0.0, -200.0]])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda folder: geojson((BOWTIE,)), ValueError, r"does not cross itself; got one.*Repair it"),
        (lambda folder: geojson((BOWTIE,), crs="EPSG:32632"), ValueError, r"at \(600050, 5200050\).*make_valid"),
        (lambda folder: geojson((crossing_at_a_corner(),)), ValueError, r"does not cross itself"),
        (lambda folder: geojson((BOX, BOX + 60.0)), ValueError, r"does not cross itself"),
        (lambda folder: geojson((STAR, STAR)), ValueError, r"hole that leaves nothing of it.*MultiPolygon"),
        (lambda folder: geojson((STAR, STAR[::-1])), ValueError, r"hole that leaves nothing of it"),
        (lambda folder: geojson((STAR, BOX), crs="EPSG:32632"), ValueError, r"reaches out of its outline.*Multi"),
        (
            lambda folder: geojson((square(-300, -300, 300), square(-150, -300, 300)), crs="EPSG:32632"),
            ValueError,
            r"reaches out of its outline",
        ),
        (lambda folder: geojson((np.tile(STAR, (2, 1)),)), ValueError, r"runs twice along a line.*make_valid"),
        (lambda folder: geojson((STAR, HOLE, HOLE)), ValueError, r"runs twice along a line"),
        (
            lambda folder: geojson((STAR, HOLE, np.add(HOLE, [30.0, 0.0])), crs="EPSG:32632"),
            ValueError,
            r"runs twice along a line|cross itself",
        ),
        (
            lambda folder: shapefile(folder / "a.shp", [(STAR, STAR[::-1])], as_is=True),
            ValueError,
            r"hole that leaves nothing|needs rings",
        ),
        (
            lambda folder: {
                "type": "Polygon", "coordinates": [[[179.0, 1.0], [-179.0, 1.0], [-179.0, 2.0], [179.0, 1.0]]]
            },
            ValueError,
            r"\(179, 1\) over 358 degrees\. Split the polygon.*190 for -170",
        ),
        (lambda folder: geojson() | {"crs": {"type": "name", "properties": None}}, ValueError, r"pyproj knows; got"),
        (lambda folder: {"type": "FeatureCollection", "features": [None]}, ValueError, r"got 'NoneType'\. Draw"),
        (lambda folder: {"type": "FeatureCollection", "features": {"a": 1}}, ValueError, r"list as 'features'.*Save"),
        (lambda folder: {"type": "Feature", "geometry": []}, ValueError, r"got 'list'\. Draw areas"),
        (lambda folder: {"type": "Polygon", "coordinates": [5]}, ValueError, r"rings of corners.*got \[5\]\. Save"),
        (lambda folder: {"type": "MultiPolygon", "coordinates": [5]}, ValueError, r"rings of corners.*got 5\. Save"),
        (lambda folder: {"type": "Polygon", "coordinates": 5}, ValueError, r"list as 'coordinates'.*Save"),
        (lambda folder: Geometry(geojson()), ValueError, r"whose CRS is known; got polygons without.*GeoSeries"),
        (lambda folder: geojson() | {"crs": None}, ValueError, r"whose CRS is known; got polygons without.*State it"),
        (lambda folder: shapefile(folder / "a.shp", crs=None), ValueError, r"CRS is known; got .*a.shp without.*prj"),
        (
            lambda folder: {k: v for k, v in geojson(crs="EPSG:32632").items() if k != "crs"},
            ValueError,
            r"WGS 84.*with corners such as \(600000, 5200450\).*State the CRS",
        ),
        (lambda folder: geojson(crs="EPSG:1"), ValueError, r"that pyproj knows; got 'EPSG:1'. Correct it"),
        (lambda folder: geojson((STAR + 5000.0,)), ValueError, r"reach the grid; got polygons from.*Check the CRS"),
        (lambda folder: geojson((CENTRE + 0.1 * (STAR - CENTRE) / 450,)), ValueError, r"centre of a pixel.*Draw them"),
        (lambda folder: {"type": "FeatureCollection", "features": []}, ValueError, r"at least one polygon.*got none"),
        (lambda folder: {"type": "Feature", "geometry": None}, ValueError, r"at least one polygon.*got none"),
        (lambda folder: {"type": "Polygon", "coordinates": []}, ValueError, r"at least one polygon.*got none"),
        (lambda folder: [], ValueError, r"got an empty list"),
        (lambda folder: geojson((STAR[:2],)), ValueError, r"rings of three corners.*Remove what"),
        (lambda folder: geojson((STAR * np.nan,), crs="EPSG:32632"), ValueError, r"rings of three corners"),
        (lambda folder: {"type": "Point", "coordinates": [9.0, 47.0]}, ValueError, r"got 'Point'. Draw areas"),
        (lambda folder: {"type": "Polygon", "coordinates": [[1, 2]]}, ValueError, r"rings of corners.*Save"),
        (lambda folder: folder / "none.shp", FileNotFoundError, r"there is none at .*none.shp. Check the path"),
        (lambda folder: shapefile(folder / "a.shp", kind=3), ValueError, r"shapes of type 3.*Save the polygons"),
        (lambda folder: 5, TypeError, r"got int. Save them as GeoJSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(make, error, match, tmp_path):
    with pytest.raises(error, match=r"(?s)^f\(\) needs .*" + match):
        polygons.inside(make(tmp_path), grid(), "f", "polygons")


def cut_shapefile(folder, words=None):
    """A Shapefile of two shapes without the second, or whose first record tells of another length."""
    path = shapefile(folder / "a.shp", [(STAR,), (BOX,)])
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from(">i", data, 104)
    if words is None:
        data = data[: 108 + 2 * first]
    else:
        struct.pack_into(">i", data, 104, words)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("words", [None, -4, 0, 1, 10_000])
def test_a_shapefile_that_ends_early_or_goes_astray_is_refused(words, tmp_path):
    with pytest.raises(ValueError, match=r"needs a Shapefile of polygons.*bytes.*copy the file again"):
        polygons.inside(cut_shapefile(tmp_path, words), grid(), "f", "polygons")


@pytest.mark.parametrize(("place", "number"), [(144, -1), (144, 10**6), (148, 10**9), (152, 3)])
def test_shapes_that_count_wrong_are_refused(place, number, tmp_path):
    """Numbers of parts and corners, and where the first part starts."""
    path = shapefile(tmp_path / "a.shp")
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, place, number)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"needs a Shapefile of polygons.*copy the file again"):
        polygons.inside(path, grid(), "f", "polygons")


@pytest.mark.parametrize("size", [0, 50, 108, 300])
def test_damaged_files_are_refused(size, tmp_path):
    path = shapefile(tmp_path / "a.shp")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"needs a Shapefile.*damaged|at least one polygon"):
        polygons.inside(path, grid(), "f", "polygons")
    (tmp_path / "a.geojson").write_text(json.dumps(geojson())[: size or 3])
    with pytest.raises(ValueError, match=r"what is no JSON"):
        polygons.inside(tmp_path / "a.geojson", grid(), "f", "polygons")


def test_without_pyogrio_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyogrio", None)
    (tmp_path / "a.gpkg").touch()
    with pytest.raises(ImportError, match=r"needs pyogrio.*xoffset\[vector\].*GeoJSON or Shapefile"):
        polygons.inside(tmp_path / "a.gpkg", grid(), "f", "polygons")


# ----------------------------------------------------------------------------------------------------------------- real


@pytest.mark.data
def test_static_ground_of_kaskawulsh(data_folder):
    """Its pixels with a velocity were counted when the data were published: 46 677."""
    folder = data_folder / "kaskawulsh_velocity"
    velocity = xr.open_dataarray(folder / "20180304-20180405_velo-raw_vx.tif", engine="rasterio")[0]
    inside = polygons.inside(folder / "bedrock_V2.shp", velocity, "f", "polygons")
    assert np.isfinite(velocity.values[inside]).sum() == 46_677


@pytest.mark.data
def test_drawn_polygons_of_kaiserberg(data_folder, caplog):
    folder = data_folder / "kaiserberg_rock_glacier"
    image = xr.open_dataarray(folder / "ortho_2020.tif", engine="rasterio")[0]
    moving, stable = (
        polygons.inside(folder / f"{name}_area.geojson", image, "f", name) for name in ("moving", "stable")
    )
    assert "moving_area.geojson crosses itself" in caplog.text
    assert (moving & stable).mean() < 1e-3
    assert 0.25 < moving.mean() < 0.3
    assert 0.25 < stable.mean() < 0.3


def test_polygons_at_the_seam_of_the_grid_are_refused():
    """Turned they would reach around the whole Earth, and hold all that they do not."""
    turn = pyproj.Transformer.from_crs(4326, 6933, always_xy=True)
    x, y = turn.transform(10.0, -17.0)
    sides = {"y": np.round(y) - 2000.0 * np.arange(40), "x": np.round(x) + 2000.0 * np.arange(40)}
    far = xr.DataArray(np.zeros((40, 40)), dims=("y", "x"), coords=sides)
    far = far.assign_coords(spatial_ref=grids.spatial_ref(pyproj.CRS(6933)))
    fiji = {"type": "Polygon", "coordinates": [[(179, -18), (181, -18), (181, -16), (179, -16), (179, -18)]]}
    with pytest.raises(ValueError, match=r"do not cross the seam of .*Cut it to the surroundings"):
        polygons.inside(fiji, far, "f", "polygons")


@pytest.mark.parametrize("leak", [0.0, 1e-6, 0.1, 5.0])
def test_a_hole_of_a_shapefile_that_leaks_stays_a_hole(tmp_path, leak):
    """It is refused, or within rounding a hole; never an area."""
    outline, hole = square(-300, -300, 500, True), square(-100, -200, 300)
    hole[hole[:, 0] == hole[:, 0].max(), 0] += leak
    path = shapefile(tmp_path / "a.shp", [[outline, hole]], as_is=True)
    if leak > 0.01:
        with pytest.raises(ValueError, match=r"reaches out of its outline|does not cross itself"):
            polygons.inside(path, grid(), "f", "polygons")
    else:
        found = polygons.inside(path, grid(), "f", "polygons")
        np.testing.assert_array_equal(found, expected(grid(), [(square(-300, -300, 500), square(-100, -200, 300))]))


def test_a_hole_as_large_as_its_outline_is_refused(tmp_path):
    path = shapefile(tmp_path / "a.shp", [[square(-300, -300, 500, True), square(-300, -300, 500)]], as_is=True)
    with pytest.raises(ValueError, match="leaves nothing of it"):
        polygons.inside(path, grid(), "f", "polygons")


def test_a_hole_in_a_hole_is_refused():
    rings = square(-300, -300, 500), square(-200, -200, 300, True), square(-150, -150, 100)
    with pytest.raises(ValueError, match="lies in another hole"):
        polygons.inside(geojson(rings, crs="EPSG:32632"), grid(), "f", "polygons")


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("turned", [False, True])
def test_outlines_that_cross_at_their_corners_are_refused(way, turned):
    """A bow tie, and a star, whose crossings are corners; two areas that touch at one are none."""
    angle = np.radians(90.0 + 144.0 * np.arange(5))
    tips = 300.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    inner = np.roll(tips, -1, axis=0)
    star = []
    for k in range(5):
        other = [(tips[m], inner[m]) for m in range(5) if m not in (k, (k + 1) % 5, (k - 1) % 5)]
        places = []
        for a, b in other:
            share = np.linalg.solve(np.column_stack([inner[k] - tips[k], a - b]), a - tips[k])[0]
            places.append((share, tips[k] + share * (inner[k] - tips[k])))
        star += [tips[k], *(place for _, place in sorted(places, key=lambda each: each[0]))]
    tie = np.array([(-200, -200), (0, 0), (200, 200), (200, -200), (0, 0), (-200, 200)], dtype=float)
    touching = np.array([(-200, -200), (0, 0), (200, -200), (200, 200), (0, 0), (-200, 200)], dtype=float)
    middle = np.array([grid().x.values.mean(), grid().y.values.mean()])
    for ring, is_right in ((np.round(star, 9), False), (tie, False), (touching, True)):
        ring = (ring[:, ::-1] if turned else ring)[::way] + middle
        source = geojson((np.vstack([ring, ring[:1]]),), crs="EPSG:32632")
        if is_right:
            assert polygons.inside(source, grid(), "f", "polygons").any()
            continue
        with pytest.raises(ValueError, match="does not cross itself"):
            polygons.inside(source, grid(), "f", "polygons")
