"""Catalogues: items from wherever they are, what they tell, what is chosen of them, and servers that fail."""

import copy
import json
import logging
import sys
import time

import numpy as np
import pystac
import pytest
import rioxarray  # noqa: F401, registers `.rio`
import stac_items
import xarray as xr
from stac_items import CORNER, landsat, pixels, save, sentinel2, without_files
from unreliable_server import serving

import xoffset
from xoffset import open_stac
from xoffset.readers import patience
from xoffset.readers.stac import assets
from xoffset.readers.stac.items import Query, collect
from xoffset.readers.stac.scenes import band_of, scale_of, told_by

DATES = [f"2021-07-{day:02}T10:20:31" for day in (2, 12, 22)]
# in degrees, well inside of the images of `stac_items`
INSIDE = (9.003, 45.140, 9.015, 45.148)


def report(stack):
    return json.loads(stack.attrs["selection"])


@pytest.fixture
def three(tmp_path):
    """Items of three dates whose files lie beside them; nothing is said in their order."""
    return [sentinel2(tmp_path, date) for date in (DATES[1], DATES[0], DATES[2])]


@pytest.fixture
def saved(tmp_path, three):
    return save(tmp_path / "items.json", *three)


@pytest.fixture
def served(tmp_path):
    """A server of three items, of which JSON says where it is."""
    found = [sentinel2(tmp_path, date, root="{root}") for date in DATES]
    save(tmp_path / "items.json", *found)
    with serving(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE", 0.0)


# ---------------------------------------------------------------------------------------------------------- where from


def test_pixels_dates_and_coordinates(saved):
    stack = open_stac(saved, band="B04")
    np.testing.assert_array_equal(stack.time, np.array(DATES, dtype="datetime64[us]"))
    for k, date in enumerate(DATES):
        np.testing.assert_array_equal(stack[k], pixels(int(date[:10].replace("-", ""))))
    np.testing.assert_allclose(stack.x[:2], [CORNER[0] + 5, CORNER[0] + 15])
    np.testing.assert_allclose(stack.y[:2], [CORNER[1] - 5, CORNER[1] - 15])
    assert stack.rio.crs.to_epsg() == stac_items.EPSG
    assert stack.dtype == np.float32
    told = {
        "platform": "S2A", "relative_orbit": 65, "tile": "32TMR", "level": "L2A", "collection": "sentinel-2-l2a",
        "processing_baseline": "03.01", "refinement": "unknown", "cloud_cover": 12.5, "sun_elevation": 65.0,
        "sun_azimuth": 150.0, "radiometric_offset": 0.0, "quantification": 10_000.0,
        "geometry": "baseline 03.00 or alike, refinement unknown, DEM unknown",
    }  # fmt: skip
    for name, value in told.items():
        assert stack[name].values.tolist() == [value] * 3, name
    assert stack.scene.values[0].startswith("S2A_MSIL2A_20210702")
    assert report(stack)["images"] == 3


def test_a_stack_goes_on_like_any_other(saved, tmp_path):
    stack = open_stac(saved, band="red", chunks=100)
    assert stack.chunks == ((1, 1, 1), (100, 100, 40), (100, 100, 40))
    shifts = stack.offset.correlate(stack.offset.pairs(), search=4)
    assert np.isfinite(shifts.score.compute()).any()
    stack.to_zarr(tmp_path / "stack.zarr", consolidated=False)
    xr.testing.assert_equal(xoffset.open_stack(tmp_path / "stack.zarr").compute(), stack.compute())


def test_items_in_every_form(saved, three, tmp_path):
    expected = open_stac(saved, band="B04")
    for name, item in zip("abc", three, strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps(item))
    there = [str(tmp_path / f"{name}.json") for name in "abc"]
    read = [pystac.Item.from_file(place) for place in there]
    links = [{"rel": "item", "href": f"../{name}.json"} for name in "abc"]
    child = {"type": "Collection", "id": "child", "stac_version": "1.0.0", "links": links}
    (tmp_path / "child").mkdir()
    save(tmp_path / "child" / "collection.json", child)
    links = [
        {"rel": "child", "href": "./child/collection.json"},
        {"rel": "self", "href": "https://nowhere.example/c.json"},
    ]
    save(tmp_path / "catalog.json", {"type": "Catalog", "id": "root", "stac_version": "1.0.0", "links": links})
    absolute = copy.deepcopy(three)
    for item in absolute:
        for entry in item["assets"].values():
            entry["href"] = str(tmp_path / entry["href"])
    sources = (
        there, read, pystac.ItemCollection(read), tmp_path / "catalog.json", absolute,
        {"type": "FeatureCollection", "features": absolute}, [there[0], read[1], absolute[2], there[0]],
    )  # fmt: skip
    for source in sources:
        np.testing.assert_array_equal(open_stac(source, band="B04"), expected)


def test_paths_that_are_written_as_addresses(saved, three, tmp_path):
    expected = open_stac(saved, band="B04")
    found = copy.deepcopy(three)
    for item in found:
        item["assets"]["B04"]["href"] = (tmp_path / item["assets"]["B04"]["href"]).as_uri()
    linked = [each | {"links": [{"rel": "self", "href": (tmp_path / "an item.json").as_uri()}]} for each in three]
    for source in ((tmp_path / "items.json").as_uri(), found, linked):
        np.testing.assert_array_equal(open_stac(source, band="B04"), expected)


def test_files_on_a_server(served, saved):
    lazy = open_stac(f"{served.address}/ok/items.json", band="B04", chunks=64)
    assert [each[1] for each in served.requests()] == ["/ok/items.json"]  # items tell enough
    part = lazy.isel(time=1, y=slice(0, 60), x=slice(0, 60)).compute()
    asked = [each for each in served.requests() if each[1].endswith("B04.tif")]
    assert {each[1] for each in asked} == {f"/ok/{lazy.scene.values[1]}_B04.tif"}
    assert all(each[2] for each in asked if each[0] == "GET"), "parts of files only"
    np.testing.assert_array_equal(part, pixels(20210712)[:60, :60])
    np.testing.assert_array_equal(lazy, open_stac(f"{served.address}/ok/items.json", band="B04"))


def test_pages_of_a_collection(tmp_path):
    found = [sentinel2(tmp_path, date, root="{root}") for date in DATES]
    pages = {
        "type": "FeatureCollection", "features": found[:2], "links": [{"rel": "next", "href": "second.json?page=2"}],
    }  # fmt: skip
    save(tmp_path / "first.json", pages)
    following = {
        "type": "FeatureCollection",
        "features": found[2:],
        "links": [{"rel": "next", "href": "{root}/first.json"}],
    }
    save(tmp_path / "second.json", following)
    with serving(tmp_path) as server:
        assert open_stac(f"{server.address}/ok/first.json", band="B04", chunks=-1).sizes["time"] == 3


@pytest.fixture
def api(tmp_path):
    """A server that answers a search with three items."""
    found = [sentinel2(tmp_path, date, root="{root}") for date in DATES]
    save(tmp_path / "search.json", {"type": "FeatureCollection", "features": found, "links": []})
    conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    links = [
        {"rel": "self", "href": "{root}/index.json"},
        {"rel": "root", "href": "{root}/index.json"},
        {"rel": "search", "href": "{root}/search.json", "method": "POST", "type": "application/geo+json"},
    ]
    front = {"type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "An API."}
    save(tmp_path / "index.json", front | {"conformsTo": conforms, "links": links})
    with serving(tmp_path) as server:
        yield server


def test_search_of_an_api(api):
    stack = open_stac(
        f"{api.address}/ok/index.json", band="B04", collection="sentinel-2-l2a", bbox=INSIDE, datetime="2021-07",
        chunks=-1,
    )  # fmt: skip
    assert stack.sizes["time"] == 3
    (body,) = (json.loads(each[2]) for each in api.requests() if each[0] == "POST")
    assert body["collections"] == ["sentinel-2-l2a"]
    assert body["bbox"] == list(INSIDE)
    assert body["datetime"] == "2021-07-01T00:00:00.000Z/2021-07-31T23:59:59.999Z"


def test_a_server_that_is_busy_for_a_moment(api):
    found = open_stac(
        f"{api.address}/503x2-a/index.json", band="B04", collection="sentinel-2-l2a", bbox=INSIDE, chunks=-1
    )
    assert found.sizes["time"] == 3


def test_a_search_needs_limits(api):
    place = f"{api.address}/ok/index.json"
    with pytest.raises(ValueError, match=r"needs collection= to search .* Pass collection='sentinel-2-l2a'"):
        open_stac(place, band="B04", bbox=INSIDE)
    with pytest.raises(ValueError, match=r"needs bbox= in degrees .* Pass bbox=\(west, south"):
        open_stac(place, band="B04", collection="x", bbox=(5e5, 49e5, 51e4, 5e6))


def test_a_search_without_the_client(api, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystac_client", None)
    with pytest.raises(ImportError, match=r"needs pystac-client .* pip install 'xoffset\[stac\]'"):
        open_stac(f"{api.address}/ok/index.json", band="B04", collection="x", bbox=INSIDE)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1]", "needs a JSON object"),
        ("{", "what is no JSON"),
        ('{"type": "Point"}', "got 'Point' .* Give the address of an item"),
        ('{"type": "Feature", "id": "a", "properties": {}}', "with id, properties and assets"),
        ('{"type": "FeatureCollection", "features": []}', "needs items; got none"),
    ],
)
def test_documents_that_are_none(tmp_path, content, told):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises((ValueError, OSError), match=told):
        open_stac(tmp_path / "a.json", band="B04")


def test_sources_that_are_none():
    with pytest.raises(FileNotFoundError, match=r"there is none at nowhere\.json"):
        open_stac("nowhere.json", band="B04")
    with pytest.raises(TypeError, match="needs items, or the path"):
        open_stac(3, band="B04")
    with pytest.raises(ValueError, match="at http addresses; got s3://a"):
        open_stac("s3://a/b.json", band="B04")


def test_relative_files_of_items_from_nowhere(three):
    with pytest.raises(ValueError, match="relative to nothing that is known"):
        open_stac(three, band="B04")


# ---------------------------------------------------------------------------------------------------- servers that fail


def behaving(served, tmp_path, behaviour):
    """Address of items whose files are behind a behaviour."""
    text = (tmp_path / "items.json").read_text().replace("{root}", f"{served.address}/{behaviour}")
    (tmp_path / "other.json").write_text(text)
    return str(tmp_path / "other.json")


@pytest.mark.parametrize("behaviour", ["503x2-a", "500x3-b", "429x1-c", "dropx2-d"])
def test_failures_that_pass(served, tmp_path, behaviour):
    stack = open_stac(behaving(served, tmp_path, behaviour), band="B04", datetime="2021-07-02")
    np.testing.assert_array_equal(stack[0], pixels(20210702))


@pytest.mark.parametrize(
    ("behaviour", "tries", "told"),
    [
        ("500", 4, r"'HTTP response code: 500' of http.*B04\.tif after 4 tries. The server may be busy"),
        ("404", 2, r"404' of http.*B04\.tif after 2 tries. The catalogue names what is not there"),
        ("403", 2, r"403' of .* needs a signature, or that has expired: pass modify="),
        ("cut", 4, r"after 4 tries. The server may be busy, or the file damaged"),
        ("drop", 4, r"after 4 tries. The server may be busy, or the file damaged"),
    ],
)
def test_failures_that_stay(served, tmp_path, behaviour, tries, told):
    place = behaving(served, tmp_path, behaviour)
    with pytest.raises(OSError, match=told):
        open_stac(place, band="B04", datetime="2021-07-02")
    if behaviour.isdigit():
        asked = [each for each in served.requests() if f"/{behaviour}/" in each[1]]
        assert tries <= len(asked) <= 2 * tries
    lazy = open_stac(place, band="B04", chunks=-1)
    with pytest.raises(OSError, match=told):
        lazy[0].compute()


def test_a_file_that_comes_later(served, tmp_path):
    place = behaving(served, tmp_path, "404x2-later")
    with pytest.raises(OSError, match="404"):
        open_stac(place, band="B04", datetime="2021-07-02")
    assert np.isfinite(open_stac(place, band="B04", datetime="2021-07-02")).all()


def test_a_server_that_is_silent(served, tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "SILENCE", 1)
    monkeypatch.setattr(patience, "TRIES", 2)
    start = time.perf_counter()
    with pytest.raises(OSError, match="after 2 tries"):
        open_stac(behaving(served, tmp_path, "slow"), band="B04", datetime="2021-07-02")
    with pytest.raises(OSError, match="after 2 tries"):
        open_stac(f"{served.address}/slow/items.json", band="B04")
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    ("behaviour", "told"), [("404", "2 tries"), ("500", "4 tries"), ("cut", "what is no JSON"), ("drop", "4 tries")]
)
def test_documents_that_do_not_come(served, behaviour, told):
    with pytest.raises(OSError, match=told):
        open_stac(f"{served.address}/{behaviour}/items.json", band="B04")


def test_a_server_that_is_gone(served, saved, tmp_path):
    text = (tmp_path / "items.json").read_text().replace('"./', '"http://127.0.0.1:9/')
    (tmp_path / "gone.json").write_text(text)
    with pytest.raises(OSError, match="after 4 tries"):
        open_stac(tmp_path / "gone.json", band="B04", datetime="2021-07-02")


# ----------------------------------------------------------------------------------------------------------- signatures


def test_addresses_are_signed_when_they_are_read(served, tmp_path):
    signed = []

    def sign(address):
        signed.append(address)
        return f"{address}?sig=secret"

    lazy = open_stac(behaving(served, tmp_path, "ok"), band="B04", modify=sign, chunks=-1)
    assert not signed
    lazy[0].compute()
    assert signed == [f"{served.address}/ok/{lazy.scene.values[0]}_B04.tif"]
    assert any(each[1].endswith("B04.tif?sig=secret") for each in served.requests())


def test_signatures_are_in_no_message(served, tmp_path):
    for behaviour in ("404", "cut"):
        place = behaving(served, tmp_path, behaviour)
        with pytest.raises(OSError, match="open_stac") as caught:
            open_stac(place, band="B04", datetime="2021-07-02", modify=lambda address: f"{address}?sig=secret")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "st=2021-01-01T00%3A00%3A00Z&se=2021-01-02T00%3A00%3A00Z&sig=abc",
        "X-Amz-Date=20210101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=abc",
        "X-Goog-Date=20210101T000000Z&X-Goog-Expires=3600&X-Goog-Signature=abc",
        "Expires=1609459200&Signature=abc",
    ],
)
def test_expired_signatures(served, tmp_path, three, query):
    text = (
        (tmp_path / "items.json").read_text().replace("{root}", f"{served.address}/ok").replace(".tif", f".tif?{query}")
    )
    (tmp_path / "expired.json").write_text(text)
    before = len(served.requests())
    with pytest.raises(ValueError, match=r"expired on 2021-01-0\S+ UTC. Search again, or pass modify=") as caught:
        open_stac(tmp_path / "expired.json", band="B04", chunks=-1)
    assert "abc" not in str(caught.value)
    with pytest.raises(ValueError, match="sign addresses that hold no signature yet"):
        open_stac(tmp_path / "expired.json", band="B04", modify=lambda address: address)
    assert len(served.requests()) == before
    stack = open_stac(tmp_path / "expired.json", band="B04", modify=lambda address: address.split("?")[0])
    assert np.isfinite(stack).all()


def test_signatures_that_hold():
    assert patience.expiry("https://a/b.tif?sig=a") is None
    assert patience.expiry("https://a/b.tif") is None
    assert patience.expiry("https://a/b?se=2999-01-01&sig=a") == np.datetime64("2999-01-01")
    assert patience.expiry("https://a/b?X-Amz-Date=20210101T000000Z&X-Amz-Expires=60") == np.datetime64(
        "2021-01-01T00:01"
    )


def test_what_signs_nothing(served, tmp_path):
    with pytest.raises(TypeError, match="takes an address and returns it signed; got NoneType"):
        open_stac(behaving(served, tmp_path, "ok"), band="B04", modify=lambda address: None)


# ------------------------------------------------------------------------------------------------ what items tell wrong


def changed(three, tmp_path, change):
    for item in three:
        change(item)
    return save(tmp_path / "changed.json", *three)


def test_items_without_projection(three, saved, tmp_path):
    def forget(item):
        item["properties"].pop("proj:epsg", None)
        for entry in item["assets"].values():
            entry.update({"proj:shape": None, "proj:transform": None})

    expected = open_stac(saved, band="B04")
    for chunks in (None, -1):
        found = open_stac(changed(three, tmp_path, forget), band="B04", chunks=chunks)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found.x, expected.x)


def test_items_whose_projection_is_that_of_other_pixels(three, saved, tmp_path):
    def move(item):
        entry = item["assets"]["B04"]
        item["properties"] |= {"proj:shape": [120, 120], "proj:transform": [20.0, 0, 5e5, 0, -20.0, 5e6]}
        del entry["proj:shape"], entry["proj:transform"]

    np.testing.assert_array_equal(open_stac(changed(three, tmp_path, move), band="B04"), open_stac(saved, band="B04"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"proj:transform": [10.0, 0, 500_005.0, 0, -10.0, 5e6]},
        {"proj:transform": [20.0, 0, 5e5, 0, -20.0, 5e6], "gsd": 20, "proj:shape": [120, 120]},
        {"proj:shape": [241, 240]},
        {"proj:code": "EPSG:32633"},
    ],
)
def test_items_that_are_wrong_about_their_files(three, tmp_path, wrong):
    place = changed(three, tmp_path, lambda item: item["assets"]["B04"].update(wrong))
    with pytest.raises(ValueError, match=r"places .*B04.tif at .* and it lies at .* Delete proj:transform"):
        open_stac(place, band="B04", chunks=-1)[0].compute()


def test_items_that_are_wrong_about_the_type(tmp_path):
    item = sentinel2(tmp_path)
    stac_items.write_tiff(tmp_path / item["assets"]["B04"]["href"], pixels().astype(np.float64), nodata=None)
    with pytest.raises(ValueError, match=r"holds float64\. Delete data_type"):
        open_stac(save(tmp_path / "a.json", item), band="B04")


def test_nodata(tmp_path):
    values = pixels()
    values[:50] = 0
    values[50:60] = 7
    item = sentinel2(tmp_path, values=values)
    name = tmp_path / item["assets"]["B04"]["href"]
    place = save(tmp_path / "a.json", item)
    assert np.isnan(open_stac(place, band="B04")).values.sum() == 50 * 240
    stac_items.write_tiff(name, values, nodata=None)
    assert np.isnan(open_stac(place, band="B04")).values.sum() == 50 * 240  # 0 is none of Sentinel-2
    assert np.isnan(open_stac(place, band="B04", nodata=7)).values.sum() == 10 * 240
    item["assets"]["B04"]["raster:bands"] = [{"nodata": 7, "data_type": "uint16"}]
    assert np.isnan(open_stac(save(tmp_path / "a.json", item), band="B04")).values.sum() == 10 * 240


def test_zeros_that_nobody_declares(tmp_path, caplog):
    values = pixels()
    values[:50] = 0
    item = sentinel2(tmp_path, values=values)
    item["properties"]["platform"] = "another"
    item["id"] = "another"
    place = save(tmp_path / "a.json", item)
    assert "undeclared_zeros" not in open_stac(place, band="B04").attrs  # the file declares 0
    stac_items.write_tiff(tmp_path / item["assets"]["B04"]["href"], values, nodata=None)
    found = open_stac(place, band="B04")
    assert "undeclared_zeros" in found.attrs
    assert "areas of zeros look like nodata" in caplog.text
    assert not np.isnan(found).any()


def test_dates_that_are_none(three, tmp_path):
    place = changed(three, tmp_path, lambda item: item["properties"].update(datetime=None))
    with pytest.raises(ValueError, match="tells no datetime, or an interval longer than an hour"):
        open_stac(place, band="B04")


def test_the_middle_of_a_short_interval(tmp_path):
    item = sentinel2(tmp_path)
    item["properties"] |= {
        "datetime": None, "start_datetime": "2021-07-02T10:00:00Z", "end_datetime": "2021-07-02T10:00:20Z",
    }  # fmt: skip
    found = open_stac(save(tmp_path / "a.json", item), band="B04")
    assert found.time.values[0] == np.datetime64("2021-07-02T10:00:10")


# ------------------------------------------------------------------------------------------------------------- mixtures


def test_collections_are_not_mixed_unasked(tmp_path):
    found = [sentinel2(tmp_path), sentinel2(tmp_path, DATES[1], collection="sentinel-2-c1-l2a")]
    place = save(tmp_path / "a.json", *found)
    with pytest.raises(ValueError, match=r"got sentinel-2-c1-l2a \(1 items\), sentinel-2-l2a \(1 items\)"):
        open_stac(place, band="B04")
    both = open_stac(place, band="B04", collection=["sentinel-2-l2a", "sentinel-2-c1-l2a"])
    assert both.collection.values.tolist() == ["sentinel-2-l2a", "sentinel-2-c1-l2a"]
    one = open_stac(place, band="B04", collection="sentinel-2-l2a")
    assert list(report(one)["left_out"]) == ["of other collections"]
    with pytest.raises(ValueError, match="of 2 none is left: 2 of other collections"):
        open_stac(place, band="B04", collection="elsewhere")


def test_orbits_are_not_mixed_unasked(tmp_path):
    place = save(tmp_path / "a.json", sentinel2(tmp_path), sentinel2(tmp_path, DATES[1], orbit=108))
    with pytest.raises(
        ValueError, match=r"^open_stac\(\) needs .* one relative orbit; .*orbit=65 or orbit=\[65, 108\]"
    ):
        open_stac(place, band="B04")
    one = open_stac(place, band="B04", orbit=108)
    assert one.relative_orbit.values.tolist() == [108]
    assert report(one)["left_out"]["of another tile or orbit, or processed again"][0].startswith("2021-07-02")


def test_tiles_of_a_pass_side_by_side(tmp_path):
    found = [
        sentinel2(tmp_path, date, corner=corner, tile=tile)
        for date in DATES[:2]
        for corner, tile in ((CORNER, "32TMR"), ((CORNER[0] + 2000, CORNER[1]), "32TNR"))
    ]
    place = save(tmp_path / "a.json", *found)
    both = open_stac(place, band="B04")
    assert both.sizes == {"time": 2, "y": 240, "x": 440}
    assert both.tile.values.tolist() == ["32TMR + 32TNR"] * 2
    assert open_stac(place, band="B04", tile="32TNR").sizes["x"] == 240
    with pytest.raises(ValueError, match="needs the same tiles on every date"):
        open_stac(save(tmp_path / "a.json", *found[:3]), band="B04")


def test_baselines_are_told_and_an_offset_at_a_seam_is_refused(tmp_path, caplog):
    first, second = sentinel2(tmp_path), sentinel2(tmp_path, DATES[1], baseline="05.00")
    stack = open_stac(save(tmp_path / "a.json", first, second), band="B04")
    assert stack.radiometric_offset.values.tolist() == [0.0, -1000.0]
    assert stack.processing_baseline.values.tolist() == ["03.01", "05.00"]
    assert report(stack)["baselines"] == {"03.01": 1, "05.00": 1}
    assert "dates differ in processing_baseline (03.01, 05.00)" in caplog.text
    with pytest.raises(ValueError, match="one class of processing geometry"):
        stack.offset.pairs()
    beside = sentinel2(tmp_path, corner=(CORNER[0] + 2000, CORNER[1]), tile="32TNR", baseline="05.00")
    with pytest.raises(ValueError, match="one radiometric_offset"):
        open_stac(save(tmp_path / "a.json", first, beside), band="B04")


def test_what_was_processed_again(tmp_path, caplog):
    found = [sentinel2(tmp_path), sentinel2(tmp_path, processed="20230101T000000", baseline="05.00", values=pixels(99))]
    stack = open_stac(save(tmp_path / "a.json", *found), band="B04")
    np.testing.assert_array_equal(stack[0], pixels(99))
    assert len(report(stack)["left_out"]["of another tile or orbit, or processed again"]) == 1


def test_sensors_together(tmp_path):
    found = [*(sentinel2(tmp_path, date) for date in DATES), landsat(tmp_path)]
    place = save(tmp_path / "a.json", *found)
    kinds = ["sentinel-2-l2a", "landsat-c2-l2"]
    with pytest.raises(ValueError, match=r"one pixel grid; 1 of 4 .* Pass align='cubic'"):
        open_stac(place, band="red", collection=kinds)
    stack = open_stac(place, band="red", collection=kinds, align="cubic")
    assert stack.platform.values.tolist() == ["S2A", "LC08", "S2A", "S2A"]
    assert stack.native_pixel_size.values.tolist() == [10, 30, 10, 10]


def test_landsat(tmp_path):
    stack = open_stac(save(tmp_path / "a.json", landsat(tmp_path)), band="red")
    np.testing.assert_array_equal(stack[0], pixels(20210705, 80))
    assert stack.quantification.item() == 36363.6363636
    assert stack.radiometric_offset.item() == -7272.72727273
    assert (stack.tile.item(), stack.relative_orbit.item(), stack.level.item()) == ("195028", 195, "L2SP")


# ------------------------------------------------------------------------------------------------------ area and clouds


def test_boxes_in_degrees_and_metres(saved):
    whole = open_stac(saved, band="B04")
    metres = open_stac(saved, band="B04", bbox=(500_300, 4_998_100, 501_100, 4_998_900))
    np.testing.assert_array_equal(metres, whole.sel(x=slice(500_300, 501_100), y=slice(4_998_900, 4_998_100)))
    degrees = open_stac(saved, band="B04", bbox=INSIDE, chunks=-1)
    box = xr.Dataset(coords={"x": degrees.x, "y": degrees.y}).rio.write_crs(stac_items.EPSG).rio.transform_bounds(4326)
    assert box[0] < INSIDE[0] + 2e-4
    assert box[1] < INSIDE[1] + 2e-4
    assert box[2] > INSIDE[2] - 2e-4
    assert box[3] > INSIDE[3] - 2e-4
    assert degrees.size < whole.size


@pytest.mark.parametrize("bbox", [(10.0, 45.14, 10.1, 45.2), (600_000, 4_998_000, 601_000, 4_999_000)])
def test_boxes_that_nothing_shows(saved, bbox):
    with pytest.raises(ValueError, match="needs items that show the bbox; of 3 none is left: 3 outside of the bbox"):
        open_stac(saved, band="B04", bbox=bbox)


@pytest.mark.parametrize("bbox", [(9.1, 45.1, 9.0, 45.2), (1, 2, 3), "9 45 10 46", (float("nan"), 0, 1, 1)])
def test_boxes_that_are_none(saved, bbox):
    with pytest.raises(ValueError, match=r"needs bbox=\(west, south, east, north\) in degrees, or"):
        open_stac(saved, band="B04", bbox=bbox)


@pytest.mark.parametrize("bbox", [(-180, -90, 180, 90), (-15, 25, 25, 65), (0, 0, 90, 85), (8.0, 44.0, 10.0, 46.0)])
def test_boxes_much_larger_than_the_images(saved, bbox):
    xr.testing.assert_equal(open_stac(saved, band="B04", bbox=bbox), open_stac(saved, band="B04"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"nodata": "a"}, "needs a number as nodata; got 'a'"),
        ({"one_a_year": "no"}, "needs one_a_year to be True or False"),
        ({"refinement": 1}, "needs refinement to be True or False"),
        ({"modify": "token"}, "needs modify= as a function that signs addresses; got str"),
    ],
)
def test_options_that_are_none(saved, wrong, told):
    with pytest.raises(TypeError, match=told):
        open_stac(saved, band="B04", **wrong)


def test_swaths_that_miss_the_area(tmp_path):
    found = [sentinel2(tmp_path, date) for date in DATES]
    lon, lat = (np.array(found[0]["geometry"]["coordinates"][0])[:, k] for k in (0, 1))
    middle = (lon.min() + lon.max()) / 2
    found[1]["geometry"] = {
        "type": "Polygon",
        "coordinates": [[[lon.min(), lat.min()], [middle, lat.min()], [middle, lat.max()], [lon.min(), lat.max()]]],
    }
    place = save(tmp_path / "a.json", *found)
    east = (middle + 0.002, lat.min() + 0.005, middle + 0.008, lat.max() - 0.005)
    assert open_stac(place, band="B04", bbox=east).sizes["time"] == 2
    assert open_stac(place, band="B04", bbox=(east[0] - 0.01, *east[1:])).sizes["time"] == 3


def clouded(folder, *, shares, edge=0):
    """Items with clouds over a share of the west half, and all over the east half."""
    found = []
    for date, share in zip(DATES, shares, strict=True):
        classes = np.full((120, 120), 4, np.uint8)
        classes[:, 60:] = 9
        classes[: round(share * 120), :60] = 8
        classes[:edge] = 0
        found.append(sentinel2(folder, date, classes=classes, cloud=70.0))
    return save(folder / "clouds.json", *found)


WEST = (CORNER[0], CORNER[1] - 2400, CORNER[0] + 1200, CORNER[1])


def test_clouds_are_those_over_the_area(tmp_path):
    place = clouded(tmp_path, shares=(0.05, 0.5, 0.1))
    stack = open_stac(place, band="B04", bbox=WEST, max_cloud=10)
    np.testing.assert_array_equal(stack.time, np.array(DATES, dtype="datetime64[us]")[[0, 2]])
    np.testing.assert_allclose(stack.cloud_cover, [5.0, 10.0])
    assert stack.cloud_cover.attrs["long_name"] == "share of the area that clouds hide"
    assert report(stack)["left_out"]["cloudier than max_cloud"][0].startswith("2021-07-12")
    with pytest.raises(ValueError, match=r"no more than 1 % of clouds; the least of 3 has 5 %. Raise max_cloud"):
        open_stac(place, band="B04", bbox=WEST, max_cloud=1)
    # without an area it is what items tell of whole scenes
    assert open_stac(place, band="B04", max_cloud=70).cloud_cover.values.tolist() == [70.0] * 3


def test_clouds_are_shares_of_what_was_seen(tmp_path):
    place = clouded(tmp_path, shares=(0.5, 0.75, 1.0), edge=60)
    stack = open_stac(place, band="B04", bbox=WEST, max_cloud=50)
    np.testing.assert_allclose(stack.cloud_cover, [0.0, 50.0])
    box = (CORNER[0], CORNER[1] - 1000, CORNER[0] + 1200, CORNER[1])
    with pytest.raises(ValueError, match="images with pixels in the bbox; of 3 none is left: 3 without pixels"):
        open_stac(place, band="B04", bbox=box, max_cloud=50)


def test_clouds_of_landsat_and_of_scenes(tmp_path):
    quality = np.full((80, 80), 1 << 6, np.uint16)
    quality[:20] = 1 << 3
    quality[20:24] = 1 << 4  # shadow
    item = landsat(tmp_path, quality=quality)
    stack = open_stac(save(tmp_path / "a.json", item), band="red", bbox=(5e5, 4_997_600, 502_400, 5e6), max_cloud=30)
    assert stack.cloud_cover.item() == 25.0
    del item["assets"]["qa_pixel"]
    stack = open_stac(save(tmp_path / "a.json", item), band="red", bbox=WEST, max_cloud=30)
    assert stack.cloud_cover.item() == 3.0
    assert stack.cloud_cover.attrs["long_name"] == "share of the scene that clouds hide"
    del item["properties"]["eo:cloud_cover"]
    with pytest.raises(ValueError, match="has neither a layer of classes nor eo:cloud_cover"):
        open_stac(save(tmp_path / "a.json", item), band="red", bbox=WEST, max_cloud=30)
    with pytest.raises(ValueError, match="max_cloud in percent"):
        open_stac(save(tmp_path / "a.json", item), band="red", max_cloud=101)


# ---------------------------------------------------------------------------------------------------------------- bands


def test_bands_that_are_not_there(saved):
    with pytest.raises(ValueError, match=r"needs items with band 'B08'; .* It has B04 \(red\)"):
        open_stac(saved, band="B08")
    with pytest.raises(TypeError, match="needs the name of a band; got 4"):
        open_stac(saved, band=4)


def test_items_that_lack_the_band_are_told(three, tmp_path):
    del three[0]["assets"]["B04"]
    stack = open_stac(save(tmp_path / "a.json", *three), band="B04")
    assert stack.sizes["time"] == 2
    assert report(stack)["left_out"]["without the band"][0].startswith("2021-07-12")


def item_of(entries, **properties):
    properties = {"datetime": "2021-07-02T10:20:31Z", "platform": "sentinel-2a"} | properties
    document = {"type": "Feature", "id": "S2A_32TMR_20210702_0_L2A", "properties": properties, "assets": entries}
    (item,) = collect(document, Query())
    return item


def test_files_of_bands():
    kind = {"href": "https://a/b.tif", "type": "image/tiff; application=geotiff"}
    item = item_of({
        "red": kind | {"eo:bands": [{"name": "B04", "common_name": "red"}]},
        "red-jp2": kind | {"type": "image/jp2", "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "visual": kind | {"eo:bands": [{"name": "B04", "common_name": "red"}, {"name": "B03"}], "roles": ["visual"]},
        "B05": kind | {"eo:bands": [{"name": "B05", "common_name": "rededge"}]},
        "B06": kind | {"eo:bands": [{"name": "B06", "common_name": "rededge"}]},
        "image": kind | {"data_type": "int16", "bands": [{"name": "x"}, {"name": "y", "nodata": -9}]},
    })  # fmt: skip
    for name in ("red", "B04", "b04", "RED"):
        assert assets.find(item, name).key == "red"
    assert (assets.find(item, "y").key, assets.find(item, "y").number) == ("image", 2)
    assert assets.nodata_of(assets.find(item, "y")) == -9
    assert assets.dtype_of(assets.find(item, "y")) == np.int16
    assert assets.find(item, "nir") is None
    with pytest.raises(ValueError, match="several: B05, B06"):
        assets.find(item, "rededge")


def test_names_of_bands():
    assert band_of(["red", "B04"], "red", "S2A") == "B04"
    assert band_of(["B8A_20m"], None, "S2A") == "B8A"
    assert band_of(["nir"], "nir", "S2A") == "B08"
    assert band_of(["red", "OLI_B4"], "red", "LC08") == "B4"
    assert band_of(["SR_B4.TIF"], None, "LC08") == "SR_B4"
    assert band_of(["nir08"], "nir08", "LE07") == "B4"
    assert band_of(["image"], None, "PlanetScope") == "image"


@pytest.mark.parametrize(
    ("properties", "stated", "expected"),
    [
        ({"s2:processing_baseline": "02.12"}, {}, (0.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09"}, {}, (-1000.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09"}, {"scale": 0.0001, "offset": -0.1}, (-1000.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, {"scale": 0.0001, "offset": -0.1},
         (0.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, {}, (0.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": "false"}, {}, (-1000.0, 10_000.0)),
        ({"s2:processing_baseline": "05.09"}, {"scale": 0.0001}, (None, 10_000.0)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, {"scale": 0.0001},
         (0.0, 10_000.0)),
        ({"s2:processing_baseline": "02.12"}, {"scale": 0.0001}, (0.0, 10_000.0)),
        ({}, {"scale": 0.0001}, (0.0, 10_000.0)),
        ({}, {}, (None, None)),
    ],
)  # fmt: skip
def test_offsets_of_sentinel2(properties, stated, expected):
    assert scale_of(told_by(item_of({}, **properties)), "B04", stated) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "refined"), ("REFINED", "refined"), ("NOT_REFINED", "not refined"), (False, "not refined")],
)
def test_refinement_where_a_catalogue_tells_it(value, expected):
    told = told_by(item_of({}, **{"s2:image_refining": value, "s2:processing_baseline": "05.09"}))
    assert told.refined == expected
    assert told.scene.geometry == f"baseline 05.00 or alike, {expected}, DEM unknown"


@pytest.mark.parametrize("flag", ["REFINED", "NOT_REFINED", None])
def test_refinement_from_the_data_strip(tmp_path, flag):
    item = sentinel2(tmp_path, root="{root}")
    item["assets"]["datastrip-metadata"] = {"href": "{root}/MTD_DS.xml", "type": "application/xml"}
    text = "" if flag is None else f'<Image_Refining flag="{flag}">'
    (tmp_path / "MTD_DS.xml").write_text(f"<a>{text}{'x' * 3_000_000}</a>")
    save(tmp_path / "a.json", item)
    expected = {"REFINED": "refined", "NOT_REFINED": "not refined", None: "unknown"}[flag]
    with serving(tmp_path) as server:
        place = f"{server.address}/503x1-a/a.json"
        stack = open_stac(place, band="B04", refinement=True, modify=lambda address: f"{address}?sig=a", chunks=-1)
        assert stack.refinement.values.tolist() == [expected]
        told = "refinement unknown" if flag is None else expected
        assert stack.geometry.item() == f"baseline 03.00 or alike, {told}, DEM unknown"
        assert server.requests()[-1][1].endswith("MTD_DS.xml?sig=a")
        assert open_stac(place, band="B04", chunks=-1).refinement.item() == "unknown"
        (tmp_path / "MTD_DS.xml").unlink()
        with pytest.raises(OSError, match="404"):
            open_stac(place, band="B04", refinement=True, chunks=-1)


# ---------------------------------------------------------------------------------------------------- speed, real items


def test_hundreds_of_items_are_planned_in_seconds():
    found = without_files(500)
    start = time.process_time()
    stack = open_stac(found, band="B04", chunks=64)
    assert time.process_time() - start < 3
    assert stack.sizes["time"] == 500
    yearly = open_stac(found, band="B04", chunks=64, one_a_year=True, season=("06-01", "09-30"))
    years = yearly.time.dt.year.values.tolist()
    assert years == list(range(2016, 2023))
    assert np.ptp(yearly.time.dt.dayofyear.values) <= 4
    assert len(report(yearly)["left_out"]["less like the other years"]) == report(yearly)["passes"] - 7


def test_gaps(caplog):
    caplog.set_level(logging.INFO)
    found = without_files(20)
    stack = open_stac([*found[:7], *found[9:]], band="B04", chunks=-1)
    assert report(stack)["passes_without_item"] == ["2016-02-05 S2B orbit 65", "2016-02-10 S2A orbit 65"]
    assert "2 passes of the satellites have no item" in caplog.text
    # what was left out has an item
    stack = open_stac(found, band="B04", chunks=-1, datetime="2016-01-20/..")
    assert report(stack)["passes_without_item"] == []
    assert len(report(stack)["left_out"]["outside of datetime"]) == 4
    yearly = open_stac([*without_files(60), *without_files(300)[230:]], band="B04", chunks=-1, one_a_year=True)
    assert report(yearly)["years_without_image"] == [2017, 2018]


REAL = [
    ("LC08_L2SP_028030_20200114_20200824_02_T1_SR.json", "red", "LC08", 28, "028030", "L2SP", 32615),
    ("LE07_L2SP_044033_20210329_20210424_02_T1_SR.json", "nir08", "LE07", 44, "044033", "L2SP", 32610),
    ("S2A_28QCH_20200714_0_L2A.json", "red", "S2A", 123, "28QCH", "L2A", 32628),
    ("S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json", "B04", "S2B", 43, "06VVN", "L2A", 32606),
    ("S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531_raster_ext.json", "red", "S2B", 43, "06VVN", "L2A", 32606),
    ("ga_ls8c_ard_3-1-0_088080_2020-05-25_final.stac-item.json", "nbart_red", "LC08", 88, "088080", "L1TP", 32656),
    ("LC08_L2SR_081119_20200101_20200823_02_T2.json", "SR_B4.TIF", "LC08", 81, "081119", "L2SR", 3031),
]


@pytest.mark.data
@pytest.mark.parametrize(("file", "band", "platform", "orbit", "tile", "level", "epsg"), REAL)
def test_real_items(data_folder, file, band, platform, orbit, tile, level, epsg):
    place = data_folder / "stac_and_landsat_metadata" / "stac" / file
    item = json.loads(place.read_text())
    stack = open_stac(place, band=band, chunks=4096)
    found = (stack.platform.item(), stack.relative_orbit.item(), stack.tile.item(), stack.level.item())
    assert found == (platform, orbit, tile, level)
    assert stack.rio.crs.to_epsg() == epsg
    entry = item["assets"].get(band) or item["assets"]["B04"]
    shape, transform = (entry.get(name, item["properties"].get(name)) for name in ("proj:shape", "proj:transform"))
    assert stack.shape == (1, *shape)
    np.testing.assert_allclose(
        (stack.x[0], stack.y[0]), (transform[2] + transform[0] / 2, transform[5] + transform[4] / 2)
    )
    assert str(stack.time.values[0])[:19] == item["properties"]["datetime"][:19]


@pytest.mark.data
def test_a_real_collection_of_items(data_folder):
    place = data_folder / "stac_and_landsat_metadata" / "stac" / "site2-2020_jun_jul-35MNM.geojson"
    stack = open_stac(place, band="red", chunks=2048)
    assert stack.sizes == {"time": 13, "y": 10980, "x": 10980}
    assert report(stack)["baselines"] == {"02.12": 13}
    assert report(stack)["passes_without_item"] == []
    assert stack.radiometric_offset.values.tolist() == [0.0] * 13
    clear = open_stac(place, band="red", chunks=2048, max_cloud=5)
    assert clear.sizes["time"] == 9
    part = open_stac(place, band="red", chunks=2048, bbox=(27.2, -7.9, 27.4, -7.7), datetime="2020-07-01/2020-07-16")
    assert part.sizes["time"] == 4
    assert part.sizes["x"] * 10 == pytest.approx(22_060, abs=60)


@pytest.mark.data
def test_a_real_item_without_projection(data_folder):
    place = (
        data_folder / "stac_and_landsat_metadata" / "landsat" / "LC08_L2SP_047027_20201204_20210313_02_T1_SR_stac.json"
    )
    item = json.loads(place.read_text())
    item["assets"]["SR_B4.TIF"]["href"] = "http://127.0.0.1:9/SR_B4.TIF"
    with pytest.raises(OSError, match="after 4 tries"):  # the file would tell
        open_stac(item, band="SR_B4.TIF", chunks=-1)
