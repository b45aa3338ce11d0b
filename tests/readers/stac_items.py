"""Items of catalogues with their files, as providers lay them out: Sentinel-2 with SCL, Landsat with QA_PIXEL."""

import json
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

CORNER, SIDE, STEP = (500_000.0, 5_000_000.0), 240, 10.0
EPSG = 32632
ROOT = "."


def pixels(seed=0, side=SIDE):
    """An image without zeros."""
    return np.random.default_rng(seed).integers(100, 5000, (side, side)).astype(np.uint16)


def write_tiff(path, values, corner=CORNER, step=STEP, **profile):
    """Cloud-optimised GeoTIFF, as catalogues hold them."""
    profile = {"driver": "COG", "crs": f"EPSG:{EPSG}", "blocksize": 128, "nodata": 0, "compress": "NONE"} | profile
    place = Affine(step, 0, corner[0], 0, -step, corner[1])
    height, width = values.shape
    with rasterio.open(
        path, "w", height=height, width=width, count=1, dtype=values.dtype.name, transform=place, **profile
    ) as file:
        file.write(values, 1)


def projection(values, corner=CORNER, step=STEP):
    """What an item says of the place of a file."""
    return {
        "proj:shape": list(values.shape),
        "proj:transform": [step, 0.0, corner[0], 0.0, -step, corner[1], 0.0, 0.0, 1.0],
    }


def sentinel2(
    folder, date="2021-07-02T10:20:31", *, values=None, classes=None, corner=CORNER, tile="32TMR", orbit=65,
    platform="A", baseline="03.01", processed="20210703T000000", collection="sentinel-2-l2a", cloud=12.5, root=ROOT,
):  # fmt: skip
    """Item of Sentinel-2 L2A in a folder, with band B04 and, if given, scene classes of 20 m."""
    stamp = date.replace("-", "").replace(":", "")
    name = f"S2{platform}_MSIL2A_{stamp}_R{orbit:03}_T{tile}_{processed}"
    values = pixels(int(stamp[:8])) if values is None else values
    write_tiff(Path(folder, f"{name}_B04.tif"), values, corner)
    assets = {
        "B04": {
            "href": f"{root}/{name}_B04.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"], "gsd": 10, "eo:bands": [{"name": "B04", "common_name": "red"}],
        } | projection(values, corner),
        "preview": {"href": f"{root}/{name}.png", "type": "image/png", "roles": ["thumbnail"]},
        "safe-manifest": {"href": f"{root}/{name}/manifest.safe", "type": "application/xml", "roles": ["metadata"]},
    }  # fmt: skip
    if classes is not None:
        write_tiff(Path(folder, f"{name}_SCL.tif"), classes, corner, 20.0)
        entry = {
            "href": f"{root}/{name}_SCL.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "gsd": 20,
        }
        assets["SCL"] = entry | projection(classes, corner, 20.0)
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
        "geometry": footprint(corner), "bbox": [8.9, 45.0, 9.1, 45.3], "assets": assets,
        "properties": {
            "datetime": f"{date}Z", "platform": f"Sentinel-2{platform}", "proj:epsg": EPSG, "s2:mgrs_tile": tile,
            "sat:relative_orbit": orbit, "s2:processing_baseline": baseline, "eo:cloud_cover": cloud,
            "s2:mean_solar_zenith": 25.0, "s2:mean_solar_azimuth": 150.0,
        },
    }  # fmt: skip


def landsat(folder, date="2021-07-05T10:10:00", *, quality=None, cloud=3.0, root=ROOT):
    """Item of Landsat 8 Collection 2 Level 2 in a folder, with its red band and, if given, QA_PIXEL."""
    day = date[:10].replace("-", "")
    name = f"LC08_L2SP_195028_{day}_20211231_02_T1"
    values = pixels(int(day), 80)
    write_tiff(Path(folder, f"{name}_SR_B4.TIF"), values, step=30.0)
    kind = {"type": "image/vnd.stac.geotiff; cloud-optimized=true", "roles": ["data"]}
    assets = {
        "red": {"href": f"{root}/{name}_SR_B4.TIF", "eo:bands": [{"name": "OLI_B4", "common_name": "red"}]} | kind
    }
    assets["red"]["raster:bands"] = [{"scale": 2.75e-05, "offset": -0.2, "nodata": 0, "data_type": "uint16"}]
    if quality is not None:
        write_tiff(Path(folder, f"{name}_QA_PIXEL.TIF"), quality, step=30.0, nodata=1)
        assets["qa_pixel"] = {"href": f"{root}/{name}_QA_PIXEL.TIF"} | kind
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "landsat-c2-l2", "links": [],
        "geometry": None, "assets": assets,
        "properties": {
            "datetime": f"{date}Z", "platform": "landsat-8", "instruments": ["oli", "tirs"], "eo:cloud_cover": cloud,
            "landsat:wrs_path": "195", "landsat:wrs_row": "028", "landsat:correction": "L2SP",
            "landsat:collection_number": "02", "view:sun_azimuth": 140.0, "view:sun_elevation": 60.0,
            "proj:code": f"EPSG:{EPSG}",
        } | projection(values, step=30.0),
    }  # fmt: skip


def footprint(corner=CORNER, side=SIDE * STEP):
    """Outline of a square in degrees."""
    from rasterio.warp import transform

    x, y = corner
    lon, lat = transform(f"EPSG:{EPSG}", "EPSG:4326", [x, x + side, x + side, x, x], [y, y, y - side, y - side, y])
    return {"type": "Polygon", "coordinates": [[list(each) for each in zip(lon, lat, strict=True)]]}


def save(path, *found):
    """Write a collection of items, or what else it is."""
    document = (
        found[0] if len(found) == 1 and "assets" not in found[0] else {"type": "FeatureCollection", "features": found}
    )
    Path(path).write_text(json.dumps(document))
    return str(path)


def without_files(count, side=SIDE):
    """Items of a Sentinel-2 tile, one each five days, whose files do not exist."""
    kind = {"href": "https://a.example/{}.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    place = {"proj:shape": [side, side], "proj:transform": [STEP, 0.0, CORNER[0], 0.0, -STEP, CORNER[1]]}
    entries = {
        f"B{number:02}": kind
        | {"eo:bands": [{"name": f"B{number:02}"}], "href": f"https://a.example/B{number:02}.tif"}
        | place
        for number in range(1, 13)
    }
    found = []
    for k in range(count):
        when = np.datetime64("2016-01-01T10:20:31") + np.timedelta64(5 * k, "D")
        found.append({
            "type": "Feature", "id": f"item-{k}", "collection": "c", "assets": entries,
            "geometry": footprint(side=side * STEP),
            "properties": {
                "datetime": f"{when}Z", "platform": f"sentinel-2{'ab'[k % 2]}", "proj:code": f"EPSG:{EPSG}",
                "s2:mgrs_tile": "32TMR", "sat:relative_orbit": 65, "s2:processing_baseline": "05.00",
                "processing:level": "L2A", "eo:cloud_cover": 1.0,
            },
        })  # fmt: skip
    return found
