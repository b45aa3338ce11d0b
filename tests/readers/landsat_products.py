"""Small complete Landsat scenes: every satellite, collection, notation of the metadata and way of delivery."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

CRS = "EPSG:32607"
CORNER = (480_000.0, 6_700_000.0)
SHAPE = (40, 50)  # pixels of 30 m
SUN = (159.61050887, 49.49229894)
HEIGHT = 705_000.0
_SENSORS = {"C": "OLI_TIRS", "E": "ETM", "T": "TM", "M": "MSS"}
_BANDS = {
    "C": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"),
    "E": ("1", "2", "3", "4", "5", "6_VCID_1", "6_VCID_2", "7", "8"),
    "T": ("1", "2", "3", "4", "5", "6", "7"),
}
_THERMAL = ("10", "11", "6_VCID_1", "6_VCID_2", "6")


@dataclass
class Written:
    """What was written: the place to open, and all that is to come back."""

    place: Path
    folder: Path
    name: str
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    quality: np.ndarray | None = None
    angles: dict[str, np.ndarray] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def bands_of(platform: str) -> tuple[str, ...]:
    """Numbers of the bands of a satellite."""
    if platform[1] == "M":
        return ("4", "5", "6", "7") if int(platform[2:]) <= 3 else ("1", "2", "3", "4")
    return _BANDS[platform[1]]


def name_of(
    platform: str, collection: str, level: str, path: int, row: int, time: datetime, processed: datetime
) -> str:
    """Name of a scene as its collection has it."""
    if collection == "pre":
        return f"L{platform[1]}{platform[3]}{path:03}{row:03}{time:%Y%j}LGN00"
    return f"{platform}_{level}_{path:03}{row:03}_{time:%Y%m%d}_{processed:%Y%m%d}_{collection}_T1"


def write_scene(
    root: Path,
    *,
    platform: str = "LC08",
    collection: str = "02",
    level: str = "L1TP",
    path: int = 63,
    row: int = 18,
    time: str = "2016-07-18T20:37:06.3391580",
    processed: str = "2016-07-18T23:59:57",
    notations: tuple[str, ...] = ("txt",),
    is_flat: bool = False,
    packed: str | None = None,
    slc: str | None = None,
    has_gaps: bool = False,
    has_angles: bool = False,
    coefficients: str | None = None,
    seed: int = 0,
) -> Written:
    """Write a scene into a folder of its name, or flat, or into an archive with a suffix such as ".tar.gz"."""
    when, made = datetime.fromisoformat(time[:26]), datetime.fromisoformat(processed)
    name = name_of(platform, collection, level, path, row, when, made)
    folder = root if is_flat else root / name
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(folder, folder, name)
    files = _write_bands(written, platform, collection, level, has_gaps, seed)
    files |= _write_quality(written, collection, level, seed)
    if has_angles:
        files |= _write_angles(written, seed)
    if coefficients:
        _text(written, f"{name}_ANG.txt", odl(coefficient_groups(coefficients, platform)))
    record = {"platform": platform, "level": level, "path": path, "row": row, "time": time, "processed": processed}
    groups = metadata_groups(name, collection, record, files, written.scales, slc)
    for notation in notations:
        _text(written, f"{name}_MTL.{notation}", RENDER[notation](groups))
    if packed:
        written.place = root / f"{name}{packed}"
        pack(written.place, written.files)
        for file in written.files:
            file.unlink()
    return written


def pack(archive: Path, files: list[Path]) -> None:
    """Put files into a tar, compressed if its name says so."""
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as tar:
        for file in files:
            tar.add(file, arcname=file.name)


def write_image(path: Path, values: np.ndarray, size: float = 30.0, nodata: float | None = None) -> None:
    """Write a band whose first pixel starts at the corner of the scene."""
    path.unlink(missing_ok=True)  # GDAL would delete the metadata beside it too
    profile = {"driver": "GTiff", "crs": CRS, "count": 1, "dtype": values.dtype.name, "nodata": nodata}
    transform = Affine(size, 0, CORNER[0], 0, -size, CORNER[1])
    with rasterio.open(
        path, "w", height=values.shape[0], width=values.shape[1], transform=transform, **profile
    ) as file:
        file.write(values, 1)


def _text(written: Written, name: str, text: str) -> None:
    written.files.append(written.folder / name)
    written.files[-1].write_text(text)


def _image(written: Written, suffix: str, values: np.ndarray, **how: float) -> str:
    file = written.folder / f"{written.name}_{suffix}.TIF"
    write_image(file, values, **how)
    written.files.append(file)
    return file.name


def _write_bands(
    written: Written, platform: str, collection: str, level: str, has_gaps: bool, seed: int
) -> dict[str, str]:
    """Bands with a collar of fill values, and gaps along slanted lines; {key of the file: name}."""
    random = np.random.default_rng(seed)
    is_level_2, files = level.startswith("L2"), {}
    dtype = "uint16" if is_level_2 or platform[1] == "C" else "uint8"
    for number in bands_of(platform):
        if is_level_2 and number in ("8", "9", "11", "6_VCID_2"):
            continue
        is_thermal, size = number in _THERMAL, 15.0 if number == "8" else 30.0
        shape = tuple(int(side * 30 / size) for side in SHAPE)
        values = random.integers(1, 250 if dtype == "uint8" else 60_000, shape).astype(dtype)
        values[:3], values[:, -2:] = 0, 0
        if has_gaps:
            y, x = np.indices(shape)
            values[(y + x // 8) % 12 < 3] = 0
        thermal = "6" if number.startswith("6") else number
        suffix = f"B{number}" if not is_level_2 else f"ST_B{thermal}" if is_thermal else f"SR_B{number}"
        key = f"BAND_ST_B{thermal}" if is_level_2 and is_thermal else f"BAND_{number}"
        files[f"FILE_NAME_{key}"] = _image(written, suffix, values, size=size)
        written.pixels[suffix] = values
        if not is_thermal:
            written.scales[number] = (2.75e-5, -0.2) if is_level_2 else (2e-5, -0.1)
    return files


def _write_quality(written: Written, collection: str, level: str, seed: int) -> dict[str, str]:
    """Bits at random, and fill in the collar; before the collections the scanners had no such layer."""
    values = np.random.default_rng(seed + 1).integers(0, 2**16, SHAPE).astype("uint16") & np.uint16(0xFFFE)
    values[:3], values[:, -2:] = 1, 1
    written.quality = values
    if collection == "02":
        return {"FILE_NAME_QUALITY_L1_PIXEL": _image(written, "QA_PIXEL", values, nodata=1.0)}
    return {"FILE_NAME_BAND_QUALITY": _image(written, "BQA", values)}


def _write_angles(written: Written, seed: int) -> dict[str, str]:
    """Rasters of angles in hundredths of degrees, 0 in the collar."""
    random, files = np.random.default_rng(seed + 2), {}
    kinds = {"SAA": ("SOLAR_AZIMUTH", -18000, 18000), "SZA": ("SOLAR_ZENITH", 3000, 8000)}
    kinds |= {"VAA": ("SENSOR_AZIMUTH", -18000, 18000), "VZA": ("SENSOR_ZENITH", 0, 800)}
    for layer, (kind, low, high) in kinds.items():
        values = random.integers(low, high, SHAPE).astype("int16")
        values[5, 5] = 0 if layer != "SZA" else 4000  # due north at nadir: an angle as any other
        values[:3], values[:, -2:] = 0, 0
        files[f"FILE_NAME_ANGLE_{kind}_BAND_4"] = _image(written, layer, values, nodata=0.0)
        written.angles[layer] = values
    return files


# ------------------------------------------------------------------------------------------------------------ metadata


def metadata_groups(
    name: str,
    collection: str,
    record: dict[str, object],
    files: dict[str, str],
    scales: dict[str, tuple[float, float]],
    slc: str | None = None,
) -> dict[str, dict[str, dict[str, object]]]:
    """Groups of the metadata in the layout of a collection."""
    day, clock = str(record["time"]).split("T")
    platform, level = str(record["platform"]), str(record["level"])
    acquired = {
        "SPACECRAFT_ID": f"LANDSAT_{platform[3]}",
        "SENSOR_ID": _SENSORS[platform[1]],
        "WRS_PATH": f"{record['path']:03}" if collection == "02" else record["path"],
        "WRS_ROW": f"{record['row']:03}" if collection == "02" else record["row"],
        "DATE_ACQUIRED": day,
        "SCENE_CENTER_TIME": f"{clock}Z",
    } | ({"SENSOR_MODE_SLC": slc} if slc else {})
    sun = {"CLOUD_COVER": 44.14, "SUN_AZIMUTH": SUN[0], "SUN_ELEVATION": SUN[1]}
    rescaling = {f"REFLECTANCE_MULT_BAND_{band}": f"{scale[0]:.4E}" for band, scale in scales.items()}
    rescaling |= {f"REFLECTANCE_ADD_BAND_{band}": f"{scale[1]:.6f}" for band, scale in scales.items()}
    if collection != "02":
        info = {"LANDSAT_SCENE_ID": name} if collection == "pre" else {"LANDSAT_PRODUCT_ID": name}
        info |= {} if collection == "pre" else {"COLLECTION_NUMBER": "01"}
        info |= {"FILE_DATE": f"{record['processed']}Z"}
        product = {"DATA_TYPE": level, "ELEVATION_SOURCE": "GLS2000"} | acquired | files
        return {
            "L1_METADATA_FILE": {
                "METADATA_FILE_INFO": info,
                "PRODUCT_METADATA": product,
                "IMAGE_ATTRIBUTES": sun,
                "RADIOMETRIC_RESCALING": rescaling,
            }
        }
    contents = {"LANDSAT_PRODUCT_ID": name, "PROCESSING_LEVEL": level, "COLLECTION_NUMBER": "02"}
    contents |= files | {"FILE_NAME_ANGLE_COEFFICIENT": f"{name}_ANG.txt"}
    made = {"DATE_PRODUCT_GENERATED": f"{record['processed']}Z"}
    first = {"PROCESSING_LEVEL": "L1TP", "DATA_SOURCE_ELEVATION": "GLS2000"}
    first |= {"FILE_NAME_BAND_1": f"{name.replace('L2SP', 'L1TP')}_B1.TIF"}
    groups = {"PRODUCT_CONTENTS": contents, "IMAGE_ATTRIBUTES": acquired | sun}
    if level.startswith("L2"):
        groups |= {"LEVEL2_PROCESSING_RECORD": made, "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": rescaling}
        made, rescaling = (
            {"DATE_PRODUCT_GENERATED": "2001-01-01T00:00:00Z"},
            {key: "1.0E-05" if "MULT" in key else "-0.5" for key in rescaling},
        )  # of the input, not of the product
    else:
        first["PROCESSING_LEVEL"] = level
    groups |= {"LEVEL1_PROCESSING_RECORD": first | made, "LEVEL1_RADIOMETRIC_RESCALING": rescaling}
    return {"LANDSAT_METADATA_FILE": groups}


def odl(groups: dict) -> str:
    """Lines of keys and values in groups."""

    def lines(values: dict, depth: int) -> list[str]:
        found: list[str] = []
        for key, value in values.items():
            indent = "  " * depth
            if isinstance(value, dict):
                found += [f"{indent}GROUP = {key}", *lines(value, depth + 1), f"{indent}END_GROUP = {key}"]
            else:
                is_bare = not isinstance(value, str) or value[:1] in "-(0123456789"
                is_bare = is_bare and not str(value).endswith("Z")
                found.append(f"{indent}{key} = {value if is_bare else chr(34) + value + chr(34)}")
        return found

    return "\n".join([*lines(groups, 0), "END", ""])


def xml(groups: dict) -> str:
    """The same as XML."""
    (root, inner), *_ = groups.items()
    body = "".join(
        f"  <{group}>\n" + "".join(f"    <{key}>{value}</{key}>\n" for key, value in values.items()) + f"  </{group}>\n"
        for group, values in inner.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n{body}</{root}>\n'


def as_json(groups: dict) -> str:
    """The same as JSON, where every value is a text."""
    (root, inner), *_ = groups.items()
    return json.dumps({root: {group: {k: str(v) for k, v in values.items()} for group, values in inner.items()}})


RENDER = {"txt": odl, "xml": xml, "json": as_json}


# --------------------------------------------------------------------------------------------------- angle coefficients


def coefficient_groups(kind: str, platform: str) -> dict[str, dict[str, object]]:
    """Groups of an angle coefficient file.

    "chips": two chips side by side over the left and the right half of the scene; a unit vector to the satellite whose
    x falls by 1e-4 a sample and whose y grows by 1e-5 a line. "orbit": a straight track northward over the middle of
    the scene at a height of `HEIGHT`.
    """
    groups: dict[str, dict[str, object]] = {
        "FILE_HEADER": {"LANDSAT_SCENE_ID": "X", "SPACECRAFT_ID": f"LANDSAT_{platform[3]}", "NUMBER_OF_BANDS": 1},
        "PROJECTION": {
            "MAP_PROJECTION": "UTM",
            "UTM_ZONE": 7,
            "UL_CORNER": f"({CORNER[0] + 15:.3f}, {CORNER[1] - 15:.3f})",
        },
    }
    groups |= _orbit()
    for band in bands_of(platform):
        number = band.replace("_VCID_", "").zfill(2)
        prefix = f"BAND{number}_"
        values = _chips() if kind == "chips" else {"MEAN_SAT_VECTOR": "(0.03, -0.04, 0.99875)"}
        groups[f"RPC_BAND{number}"] = {prefix + key: value for key, value in values.items()}
    return groups


def _listed(values: object) -> str:
    return "(" + ", \n     ".join(f"{float(value): .12e}" for value in np.ravel(np.asarray(values, dtype=float))) + ")"


def _chips() -> dict[str, object]:
    half, zeros = SHAPE[1] // 2, np.zeros(10)
    values: dict[str, object] = {
        "NUM_L1R_LINES": SHAPE[0],
        "NUM_L1R_SAMPS": half,
        "PIXEL_SIZE": "30.000",
        "MEAN_HEIGHT": "100.000",
        "MEAN_L1R_LINE_SAMP": "(0.000, 0.000)",
        "MEAN_L1T_LINE_SAMP": "(20.000, 25.000)",
        "MEAN_SAT_VECTOR": "(0.03, -0.04, 0.99875)",
        "MEAN_SUN_VECTOR": "(0.3, -0.5, 0.812403840)",
        "SCA_LIST": "(1, 2)",
    }
    slopes = {
        "SAT_X": (0, -1e-4),
        "SAT_Y": (1e-5, 0),
        "SAT_Z": (0, 0),
        "SUN_X": (0, 0),
        "SUN_Y": (0, 0),
        "SUN_Z": (0, 0),
    }
    for axis, (line, sample) in slopes.items():
        values[f"{axis}_NUM_COEF"] = _listed([0, line, sample, *zeros[:7]])
        values[f"{axis}_DEN_COEF"] = _listed(zeros[:9])
    for chip in (1, 2):
        values |= {
            f"SCA{chip:02}_MEAN_HEIGHT": "100.000",
            f"SCA{chip:02}_MEAN_L1R_LINE_SAMP": "(0.000, 0.000)",
            f"SCA{chip:02}_MEAN_L1T_LINE_SAMP": f"(0.000, {(chip - 1) * half}.000)",
            f"SCA{chip:02}_LINE_NUM_COEF": _listed([0, 1, 0, 0, 0]),
            f"SCA{chip:02}_LINE_DEN_COEF": _listed(zeros[:4]),
            f"SCA{chip:02}_SAMP_NUM_COEF": _listed([0, 0, 1, 0, 0]),
            f"SCA{chip:02}_SAMP_DEN_COEF": _listed(zeros[:4]),
        }
    return values


def _orbit() -> dict[str, dict[str, object]]:
    """Track over the middle of the scene, and the sun in the equatorial plane."""
    from pyproj import Transformer

    seconds = np.arange(0.0, 41.0)
    middle = CORNER[0] + SHAPE[1] * 15
    northing = CORNER[1] - SHAPE[0] * 15 + (seconds - 20) * 6_800
    longitude, latitude = Transformer.from_crs(CRS, 4326, always_xy=True).transform(np.full(41, middle), northing)
    xyz = Transformer.from_crs(4979, 4978, always_xy=True).transform(longitude, latitude, np.full(41, HEIGHT))
    track: dict[str, object] = {"NUMBER_OF_POINTS": 41, "EPHEMERIS_TIME": _listed(seconds)}
    track |= {f"EPHEMERIS_ECEF_{axis}": _listed(values) for axis, values in zip("XYZ", xyz, strict=True)}
    sun: dict[str, object] = {"NUMBER_OF_POINTS": 41, "SAMPLE_TIME": _listed(seconds)}
    sun |= {
        f"SOLAR_ECEF_{axis}": _listed(np.full(41, value)) for axis, value in zip("XYZ", (-0.8, -0.6, 0), strict=True)
    }
    return {"EPHEMERIS": track, "SOLAR_VECTOR": sun}
