"""Small complete Sentinel-2 products in the EOPF Zarr format, with known pixels, times, angles and masks.

Layout and attributes are those of the products that EOPF-CPM 2.5.6 (Zarr 2) and 3.0.0 (Zarr 3) write; only the sizes
are smaller.
"""

import atexit
import functools
import hashlib
import json
import pickle
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyproj
import zarr

SIDE = 1200.0  # of the tile, m
CORNER = (600_000.0, 5_200_020.0)
EPSG = 32632
NAME = "S2A_MSIL2A_20220428T100601_N0400_R022_T32TPS_20220428T141313"
TEN = ("b02", "b03", "b04", "b08")
TWENTY = ("b05", "b06", "b07", "b8a", "b11", "b12")
SIXTY = ("b01", "b09", "b10")
BANDS = ("b01", "b02", "b03", "b04", "b05", "b06", "b07", "b08", "b8a", "b09", "b10", "b11", "b12")
NATIVE = dict.fromkeys(TEN, 10) | dict.fromkeys(TWENTY, 20) | dict.fromkeys(SIXTY, 60)
DETECTORS = (4, 5)
NAN = "AAAAAAAA+H8="  # as xarray writes NaN into the attributes of Zarr 3


def names(day, *, level="L2A", platform="S2A", baseline="0400", orbit=22, tile="32TPS"):
    """Name of a product of a day such as "20220428"."""
    return f"{platform}_MSI{level}_{day}T100601_N{baseline}_R{orbit:03}_T{tile}_{day}T141313"


def product(name=NAME, *, seed=0, offset=-0.1, shift=(0, 0)):
    """What is to be written: pixels as numbers (0 where there are none), angles and masks, all by their place."""
    level = name[7:10]
    random = np.random.default_rng(seed)
    sizes = {step: round(SIDE / step) for step in (10, 20, 60)}
    x, y = CORNER[0] + 10.0 * shift[0], CORNER[1] - 10.0 * shift[1]
    shown = {step: [band for band in BANDS if NATIVE[band] == step] for step in (10, 20, 60)}
    if level == "L2A":
        shown[20] = [band for band in BANDS if band not in ("b08", "b09", "b10")]
        shown[60] = [band for band in BANDS if band not in ("b08", "b10")]
    pixels = {}
    for step, bands in shown.items():
        for band in bands:
            values = random.integers(1, 12_000, (sizes[step], sizes[step])).astype(np.uint16)
            values[:, -sizes[step] // 10 :] = 0  # beyond the swath
            values[2, 3] = 1000  # reflectance 0
            pixels[step, band] = values
    detectors = {}
    for band, step in NATIVE.items():
        columns = np.arange(sizes[step])
        footprint = np.where(columns < sizes[step] // 2, *DETECTORS)
        footprint[-sizes[step] // 10 :] = 0
        detectors[band] = np.tile(footprint.astype(np.uint8), (sizes[step], 1))
    nodes = 3
    ramp = 0.5 * np.arange(nodes)[:, None] + 0.25 * np.arange(nodes)
    view = np.full((len(BANDS), len(DETECTORS), 2, nodes, nodes), np.nan)
    for number in range(len(DETECTORS)):
        view[:, number, 0] = 3.0 + number + ramp
        view[:, number, 1] = 100.0 + 10 * number + ramp
    mean_view = np.stack([np.linspace(3.0, 4.0, len(BANDS)), np.linspace(100.0, 112.0, len(BANDS))], axis=1)
    return SimpleNamespace(
        name=name,
        level=level,
        offset=offset,
        corner=(x, y),
        pixels=pixels,
        detectors=detectors,
        scl=random.integers(0, 12, (sizes[20], sizes[20])).astype(np.uint8),
        classes=random.integers(0, 8, (sizes[60], sizes[60])).astype(np.uint8),
        sun=np.stack([40.0 + ramp, 150.0 + ramp]),
        view=view,
        mean_sun=np.array([41.0, 151.0]),
        mean_view=mean_view,
        sensed=f"{name[11:15]}-{name[15:17]}-{name[17:19]}T10:16:23.123456Z",
    )


def write(folder, content=None, *, zarr_format=2, is_zipped=False, is_consolidated=True, chunk=60, upper=False):
    """Write a product as NAME.zarr in a folder, or NAME.zarr.zip; its path."""
    content = content or product()
    options = {"zarr_format": zarr_format, "is_consolidated": is_consolidated, "chunk": chunk, "upper": upper}
    key = hashlib.sha256(pickle.dumps((content, options, is_zipped))).hexdigest()
    before = _written() / key / f"{content.name}.zarr"
    if not before.parent.exists():
        _write_new(before, content, **options)
        if is_zipped:
            _pack(before)
    path = Path(folder, before.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_zipped:
        packed = path.with_name(f"{path.name}.zip")
        shutil.copyfile(before.with_name(packed.name), packed)
        return str(packed)
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(before, path, copy_function=shutil.copyfile)
    return str(path)


@functools.cache
def _written():
    """Folder of all that this process has written: to copy it costs a tenth."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _write_new(path, content, *, zarr_format, is_consolidated, chunk, upper):
    with warnings.catch_warnings():
        # strings and summaries are no part of the specification of Zarr 3 yet
        warnings.simplefilter("ignore")
        root = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
        root.attrs.update(attributes(content, zarr_format))
        _write_measurements(root, content, chunk, upper)
        _write_geometry(root, content)
        _write_masks(root, content, chunk, upper)
        if is_consolidated:
            zarr.consolidate_metadata(str(path), zarr_format=zarr_format)


def _pack(path):
    """Put a product into an archive beside it."""
    with zipfile.ZipFile(path.with_name(f"{path.name}.zip"), "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path).as_posix())


def attributes(content, zarr_format):
    """Attributes of the root, as the two versions of the processor name them."""
    stamp = f"{content.name[11:15]}-{content.name[15:17]}-{content.name[17:19]}"
    baseline = f"{content.name[28:30]}.{content.name[30:32]}"
    x, y = content.corner
    properties = {
        "platform": f"sentinel-{content.name[1:3].lower()}",
        "processing:level": content.level,
        "product:type": f"S02MSI{content.level}",
        "proj:bbox": [x, y - SIDE, x + SIDE, y],
        "sat:relative_orbit": int(content.name[34:37]),
        "created": f"{stamp}T14:13:13+00:00",
        "start_datetime": f"{stamp}T10:06:01.024000+00:00",
    }
    geocoding = {
        "mean_sensing_time": content.sensed,
        "geometric_refinement": {"spacecraft_rotation": {"X": {"coefficients": "null", "degree": "null"}}},
    }
    if zarr_format == 2:
        properties |= {"datetime": None, "proj:epsg": EPSG, "eopf:baseline": baseline}
        geocoding |= {
            "horizontal_CRS_code": f"EPSG:{EPSG}",
            "UTM_zone_identification": f"{content.name[:3]}_OPER_MSI_{content.level}_TL_ATOS_{stamp.replace('-', '')}"
            f"T141313_A035769_{content.name[38:44]}_N{baseline}",
        }
    else:
        datatake = f"GS{content.name[1:3]}_{content.name[11:26]}_035769_N{baseline}"
        properties |= {
            "datetime": f"{stamp}T10:06:01.024000Z", "proj:code": f"EPSG:{EPSG}", "eopf:datatake_id": datatake,
        }  # fmt: skip
        geocoding |= {"horizontal_crs_code": f"EPSG:{EPSG}", "utm_zone_identification": "UTM zone 32N"}
    discovery = {"id": f"{content.name}.SAFE", "type": "Feature", "properties": properties}
    return json.loads(json.dumps({"stac_discovery": discovery, "other_metadata": geocoding}))


def _array(group, name, values, dims, attrs=(), *, chunks=None, fill=None):
    is_old = group.metadata.zarr_format == 2
    values = np.asarray(values)
    options = {} if is_old else {"dimension_names": dims}
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks or values.shape,
        fill_value=fill,
        attributes=dict(attrs) | ({"_ARRAY_DIMENSIONS": list(dims)} if is_old else {}),
        # version 3.0.0 leaves chunks out that hold nothing but the fill value
        config={"write_empty_chunks": is_old},
        **options,
    )
    array[...] = values


def _axes(group, content, step, size, *, is_centred=True):
    is_old = group.metadata.zarr_format == 2
    dtype, attrs = (np.int64, {}) if is_old else (np.float32, {"_FillValue": NAN, "units": "m"})
    half = step / 2 if is_centred else 0.0
    fill = None if is_old else np.float32(np.nan)
    _array(group, "x", (content.corner[0] + half + step * np.arange(size)).astype(dtype), ("x",), attrs, fill=fill)
    _array(group, "y", (content.corner[1] - half - step * np.arange(size)).astype(dtype), ("y",), attrs, fill=fill)


def _write_measurements(root, content, chunk, upper):
    reflectance = root.create_group("measurements").create_group("reflectance")
    is_old = root.metadata.zarr_format == 2
    for step in (10, 20, 60):
        group = reflectance.create_group(f"r{step}m")
        bands = {band: values for (at, band), values in content.pixels.items() if at == step}
        _axes(group, content, step, round(SIDE / step))
        for band, values in bands.items():
            packing = {"scale_factor": 0.0001, "add_offset": content.offset, "dtype": "<u2", "fill_value": 0}
            packing |= {"units": "digital_counts"}
            attrs = packing | {"long_name": f"reflectance at band {band}", "valid_min": 1, "valid_max": 6553}
            if is_old:
                x, y = content.corner
                attrs |= {
                    "_eopf_attrs": packing | {"coordinates": ["x", "y"], "dimensions": ["y", "x"]},
                    "proj:epsg": EPSG,
                    "proj:wkt2": pyproj.CRS(EPSG).to_wkt("WKT1_GDAL"),
                    "proj:shape": list(values.shape),
                    "proj:transform": [step, 0.0, x, 0.0, -step, y, 0.0, 0.0, 1.0],
                }
            name = band.upper() if upper else band
            _array(group, name, values, ("y", "x"), attrs, chunks=(chunk, chunk), fill=0)


def _write_geometry(root, content):
    group = root.create_group("conditions").create_group("geometry")
    is_old = root.metadata.zarr_format == 2
    attrs = {} if is_old else {"_FillValue": NAN, "units": "degrees"}
    _axes(group, content, 5000, content.sun.shape[-1], is_centred=False)
    _array(group, "angle", np.array(["zenith", "azimuth"]), ("angle",))
    if is_old:
        _array(group, "band", np.array(BANDS), ("band",))
        _array(group, "detector", np.array(DETECTORS), ("detector",))
    else:
        _array(group, "band", np.array(BANDS, dtype="S3"), ("band",))
        _array(group, "detector", np.array([f"d{number:02}" for number in DETECTORS], dtype="S3"), ("detector",))
    grid = ("angle", "y", "x")
    _array(group, "mean_sun_angles", content.mean_sun, ("angle",), attrs, fill=np.nan)
    _array(group, "mean_viewing_incidence_angles", content.mean_view, ("band", "angle"), attrs, fill=np.nan)
    _array(group, "sun_angles", content.sun, grid, attrs, fill=np.nan)
    _array(group, "viewing_incidence_angles", content.view, ("band", "detector", *grid), attrs, fill=np.nan)


def _write_masks(root, content, chunk, upper):
    masks = root["conditions"].create_group("mask")
    is_old = root.metadata.zarr_format == 2
    footprints = masks.create_group("detector_footprint")
    for step in (10, 20, 60):
        group = footprints.create_group(f"r{step}m")
        _axes(group, content, step, round(SIDE / step))
        for band in (band for band in BANDS if NATIVE[band] == step):
            name = band.upper() if upper else band
            fill = None if is_old else 0
            attrs = {"dtype": "<u1"}
            _array(group, name, content.detectors[band], ("y", "x"), attrs, chunks=(chunk, chunk), fill=fill)
    group = masks.create_group("l1c_classification").create_group("r60m")
    _axes(group, content, 60, round(SIDE / 60))
    attrs = {"dtype": "<u1", "flag_masks": [1, 2, 4], "flag_meanings": ["opaque", "cirrus", "snow_ice"]}
    _array(group, "b00", content.classes, ("y", "x"), attrs, fill=None if is_old else 0)
    if content.level == "L2A":
        group = masks.create_group("l2a_classification").create_group("r20m")
        _axes(group, content, 20, round(SIDE / 20))
        attrs = {"scale_factor": 1, "add_offset": 0, "dtype": "<u1", "fill_value": 0, "valid_min": 1}
        _array(group, "scl", content.scl, ("y", "x"), attrs, fill=0)
