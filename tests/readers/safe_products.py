"""Small Sentinel-2 products, complete in files and metadata, and what is true of them.

`write` makes a product of one tile, `write_old` one of several tiles with the names of before December 2016.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
SIZES = dict.fromkeys(("B02", "B03", "B04", "B08"), 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
# Detectors that share the tile, from west to east.
DETECTORS = (5, 6)
_NODES = 5


@dataclass(frozen=True)
class Truth:
    """What a product holds. Arrays have their first row in the north; angles are in degrees.

    `pixels`, `detectors` and `classes` are by band and pixel size, as in "B04_10m"; 0 of pixels and of detectors is
    nodata. `classes` are "SCL_20m" of L2A, else booleans "opaque", "cirrus" and "snow" of 60 m. `sun` and `view` are
    (zenith, azimuth) at the nodes of a grid (rows, columns), `step` [m] apart, the first at the upper left corner;
    `view` by band and detector, NaN far from the detector.
    """

    path: Path
    name: str
    tile: str
    date: np.datetime64
    epsg: int
    corner: tuple[float, float]
    size: int
    offset: float
    quantification: float
    sun: tuple[np.ndarray, np.ndarray]
    view: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]
    mean_sun: tuple[float, float]
    mean_view: dict[str, tuple[float, float]]
    step: float
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    detectors: dict[str, np.ndarray] = field(default_factory=dict)
    classes: dict[str, np.ndarray] = field(default_factory=dict)


def write(
    folder,
    *,
    date="2021-07-17T10:20:31.024",
    tile="31TGK",
    level="L1C",
    baseline="04.00",
    platform="S2A",
    orbit=65,
    size=240,
    bands=("B04", "B11"),
    pixels=None,
    corner=None,
    refined=False,
    dem="S2__OPER_DEM_GLOBEF_PDMC_19800101T000000_S19800101T000000",
    processed=None,
    strip=None,
    masks=None,
    overlap=0.0,
    seed=0,
    as_zip=False,
    compression=zipfile.ZIP_STORED,
    **told,
) -> Truth:
    """Product of one tile in a folder NAME.SAFE or a file NAME.zip, with the names of since December 2016.

    `size` is the side of the tile in pixels of 10 m, a multiple of 6. `pixels` are those of 10 m of a band, of which
    coarser ones are means; else noise. `strip` is when the data strip starts, else the date. `refined` None leaves the
    metadata of the data strip out. `masks` are "gml" or "jp2", that of the baseline if not told. Footprints of polygons
    overlap by `overlap` metres. `told` are other texts of the metadata: `offset`, `quantification`.
    """
    acquired, made = _stamp(date), _stamp(processed or np.datetime64(date, "s") + np.timedelta64(2, "h"))
    name = f"{platform}_MSI{level}_{acquired}_N{baseline.replace('.', '')}_R{orbit:03}_T{tile}_{made}"
    root = Path(folder) / f"{name}.SAFE"
    granule = f"GRANULE/{level}_T{tile}_A031710_{acquired}"
    known = _truth(root, name, tile, date, level, baseline, size, bands, pixels, corner, seed, told)
    ids = {
        "platform": platform,
        "level": level,
        "baseline": baseline,
        "made": made,
        "tile": tile,
        "strip": _stamp(strip or date),
    }
    kind = masks or ("jp2" if baseline >= "04" else "gml")
    images = _write_images(root / granule / "IMG_DATA", known, level, f"T{tile}_{acquired}")
    _write_masks(root / granule / "QI_DATA", known, level, kind, overlap, "MSK_{}_{}.{}")
    _put(root / granule / "MTD_TL.xml", _tile_xml(known, ids))
    if refined is not None:
        _put(root / f"DATASTRIP/DS_2BPS_{made}_S{acquired}/MTD_DS.xml", _datastrip_xml(refined))
    listed = [f"{granule}/IMG_DATA/{image}" for image in images]
    _put(root / f"MTD_MSI{level}.xml", _product_xml(known, ids, listed, orbit, dem, "IMAGE_FILE"))
    _put(root / "manifest.safe", _manifest(root))
    return _zipped(known, compression) if as_zip else known


def write_old(
    folder,
    *,
    date="2016-07-01T20:46:43.000",
    tiles=("04MGV", "05MKP"),
    baseline="02.04",
    orbit=71,
    size=240,
    bands=("B04", "B11"),
    seed=0,
    as_zip=False,
    compression=zipfile.ZIP_DEFLATED,
) -> dict[str, Truth]:
    """Product of several tiles, which may lie in different zones, with the names of before December 2016.

    Each tile was seen ten seconds after the one before.
    """
    acquired, made = _stamp(date), _stamp(np.datetime64(date, "s") + np.timedelta64(70, "D"))
    name = f"S2A_OPER_PRD_MSIL1C_PDMC_{made}_R{orbit:03}_V{acquired}_{acquired}"
    root = Path(folder) / f"{name}.SAFE"
    found, listed = {}, []
    for number, tile in enumerate(tiles):
        seen = np.datetime64(date, "us") + np.timedelta64(10 * number, "s")
        known = _truth(root, name, tile, seen, "L1C", baseline, size, bands, None, None, seed + number, {})
        stem = f"S2A_OPER_{{}}_L1C_TL_EPA__{made}_A005359_T{tile}"
        granule = root / f"GRANULE/{stem.format('MSI')}_N{baseline}"
        images = _write_images(granule / "IMG_DATA", known, "L1C", stem.format("MSI"))
        masked = f"S2A_OPER_MSK_{{}}_EPA__{made}_A005359_T{tile}_{{}}_MSIL1C.{{}}"
        _write_masks(granule / "QI_DATA", known, "L1C", "gml", 0.0, masked)
        ids = {"platform": "S2A", "level": "L1C", "baseline": baseline, "made": made, "tile": tile, "strip": acquired}
        _put(granule / f"{stem.format('MTD')}.xml", _tile_xml(known, ids))
        listed += images
        found[tile] = known
    strip = f"L1C_DS_EPA__{made}_S{acquired}"
    _put(root / f"DATASTRIP/S2A_OPER_MSI_{strip}_N{baseline}/S2A_OPER_MTD_{strip}.xml", _datastrip_xml(False))
    product = f"S2A_OPER_MTD_SAFL1C_PDMC_{made}_R{orbit:03}_V{acquired}_{acquired}.xml"
    dem = "S2__OPER_DEM_GLOBEF_PDMC_19800101T000000_S19800101T000000"
    _put(root / product, _product_xml(known, ids, listed, orbit, dem, "IMAGE_ID"))
    _put(root / "manifest.safe", _manifest(root))
    if as_zip:
        path = _zipped(known, compression).path
        found = {tile: Truth(**{**vars(truth), "path": path}) for tile, truth in found.items()}
    return found


# ---------------------------------------------------------------------------------------------------------------- truth


def _truth(root, name, tile, date, level, baseline, size, bands, pixels, corner, seed, told):
    rng = np.random.default_rng(seed)
    epsg = (32600 if tile[2] >= "N" else 32700) + int(tile[:2])
    if corner is None:
        corner = 199980.0 + 100_000 * (ord(tile[3]) % 6), 2_000_040.0 + 100_000 * (ord(tile[4]) % 20)
    extent = size * 10.0
    step = extent / (_NODES - 1)
    rows, columns = np.mgrid[:_NODES, :_NODES] * step
    sun = 30 + columns * 1e-4 - rows * 2e-4, 150 + columns * 3e-4 + rows * 1e-4
    view = {
        (band, detector): _view(detector, number, columns - _edge(rows, extent), step)
        for number, band in enumerate(BANDS)
        for detector in DETECTORS
    }
    means = {
        band: tuple(float(np.nanmean([view[band, each][k] for each in DETECTORS])) for k in (0, 1)) for band in BANDS
    }
    offset = -1000.0 if baseline >= "04" else 0.0
    known = Truth(
        root, name, tile, np.datetime64(date, "us"), epsg, corner, size, told.get("offset", offset),
        told.get("quantification", 10000.0), sun, view, (float(sun[0].mean()), float(sun[1].mean())), means, step,
    )  # fmt: skip
    for band in bands:
        fine = (pixels or {}).get(band)
        if fine is None:
            fine = rng.integers(500, 4000, (size, size))
        known.pixels.update(_images(band, np.asarray(fine), known, level))
    for side in (10, 20, 60):
        known.detectors[f"{side}m"] = _detectors(known, side)
    return _with_classes(known, level, rng)


def _view(detector, number, beyond_edge, step):
    """Zenith and azimuth that a detector sees; nodes further than two steps beyond its edge have none."""
    side = -1 if detector == DETECTORS[0] else 1
    zenith = 5.0 + 0.1 * number + 0.3 * side + beyond_edge * 1e-4
    azimuth = (100.0 if side < 0 else 290.0) + number + beyond_edge * 2e-4
    far = side * beyond_edge < -2 * step
    return np.where(far, np.nan, zenith), np.where(far, np.nan, azimuth)


def _edge(down, extent):
    """Distance of the edge between the detectors from the west of the tile, at a distance from its north [m]."""
    return 0.55 * extent - 0.1 * down


def _end(down, extent):
    """Distance of the edge of the swath from the west of the tile, at a distance from its north [m]."""
    return 0.95 * extent - 0.1 * down


def _places(known, side):
    """Distances of pixel centres from the north and the west of the tile [m]."""
    count = known.size * 10 // side
    return (np.mgrid[:count, :count] + 0.5) * side


def _detectors(known, side):
    down, right = _places(known, side)
    extent = known.size * 10.0
    out = np.where(right < _edge(down, extent), DETECTORS[0], DETECTORS[1])
    return np.where(right < _end(down, extent), out, 0).astype(np.uint8)


def _images(band, fine, known, level):
    native = SIZES.get(band, 20)
    sides = [side for side in (10, 20, 60) if side >= native] if level == "L2A" else [native]
    found = {}
    for side in sides:
        factor, count = side // 10, known.size * 10 // side
        coarse = fine.reshape(count, factor, count, factor).mean(axis=(1, 3)).round()
        found[f"{band}_{side}m"] = np.where(_detectors(known, side) > 0, coarse, 0).astype(np.uint16)
    return found


def _with_classes(known, level, rng):
    if level == "L2A":
        for side in (20, 60):
            seen = _detectors(known, side) > 0
            known.classes[f"SCL_{side}m"] = np.where(seen, rng.integers(1, 12, seen.shape), 0).astype(np.uint8)
    else:
        down, right = _places(known, 60) / (known.size * 10.0)
        known.classes["opaque"] = (down > 0.2) & (down < 0.4) & (right > 0.1) & (right < 0.5)
        known.classes["cirrus"] = (down > 0.6) & (right < 0.25)
        known.classes["snow"] = (down < 0.1) & (right > 0.3) & (right < 0.7)
    return known


# ---------------------------------------------------------------------------------------------------------------- files


def _write_images(folder, known, level, stem):
    names = []
    for key, values in known.pixels.items():
        band, side = key.split("_")
        name = f"R{side}/{stem}_{key}" if level == "L2A" else f"{stem}_{band}"
        _write_jp2(folder / f"{name}.jp2", values[np.newaxis], known, int(side[:-1]))
        names.append(name)
    for key, values in known.classes.items():
        if key.startswith("SCL"):
            name = f"R{key[4:]}/{stem}_{key}"
            _write_jp2(folder / f"{name}.jp2", values[np.newaxis], known, int(key[4:-1]))
            names.append(name)
    side = 20 if level == "L2A" else 10
    picture = np.full((3, known.size * 10 // side, known.size * 10 // side), 7, np.uint8)
    name = f"R{side}m/{stem}_TCI_{side}m" if level == "L2A" else f"{stem}_TCI"
    _write_jp2(folder / f"{name}.jp2", picture, known, side)
    return [*names, name]


def _write_masks(folder, known, level, kind, overlap, naming):
    names = sorted({key.split("_")[0] for key in known.pixels})
    for band in names:
        side = SIZES.get(band, 20)
        path = folder / naming.format("DETFOO", band, kind)
        if kind == "jp2":
            _write_jp2(path, known.detectors[f"{side}m"][np.newaxis], known, side)
        else:
            _put(path, _gml(_footprints(known, band, overlap), known.epsg))
    path = folder / naming.format("CLASSI" if kind == "jp2" else "CLOUDS", "B00", kind)
    if kind == "jp2":
        empty = np.zeros((known.size // 6,) * 2, bool)
        layers = [known.classes.get(each, empty) for each in ("opaque", "cirrus", "snow")]
        _write_jp2(path, np.array(layers, np.uint8), known, 60)
    elif level == "L1C":
        _put(path, _gml(_clouds(known), known.epsg))
    if level == "L2A":
        for each in ("CLDPRB", "SNWPRB"):
            values = np.zeros((1, known.size // 2, known.size // 2), np.uint8)
            _write_jp2(folder / f"MSK_{each}_20m.jp2", values, known, 20)


def _write_jp2(path, values, known, side):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "JP2OpenJPEG", "count": count, "height": height, "width": width, "dtype": values.dtype.name}
    profile |= {"crs": f"EPSG:{known.epsg}", "transform": Affine(side, 0, known.corner[0], 0, -side, known.corner[1])}
    block = 96 if width <= 1024 else 1024  # several tiles; whole images have them of 1024 px
    profile |= {"blockxsize": min(block, width), "blockysize": min(block, height)}
    with rasterio.open(path, "w", **profile, QUALITY="100", REVERSIBLE="YES", YCBCR420="NO") as dataset:
        dataset.write(values)


def _zipped(known, compression):
    path = known.path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(known.path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(known.path.parent))
    shutil.rmtree(known.path)
    return Truth(**{**vars(known), "path": path})


def _put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _stamp(date):
    return str(np.datetime64(date, "s")).replace("-", "").replace(":", "")


# ------------------------------------------------------------------------------------------------------------- polygons


def _footprints(known, band, overlap):
    """Outline of each detector, in metres from the north west corner of the tile: right and down."""
    extent = known.size * 10.0
    edge, end = [_edge(down, extent) for down in (0, extent)], [_end(down, extent) for down in (0, extent)]
    half = overlap / 2
    first = [(0, 0), (edge[0] + half, 0), (edge[1] + half, extent), (0, extent)]
    second = [(edge[0] - half, 0), (end[0], 0), (end[1], extent), (edge[1] - half, extent)]
    return [
        (f"detector_footprint-{band}-{detector:02}-{number}", "DETECTOR_FOOTPRINT", _ring(known, corners))
        for number, (detector, corners) in enumerate(zip(DETECTORS, (first, second), strict=True))
    ]


def _clouds(known):
    found = []
    for kind in ("opaque", "cirrus"):
        rows, columns = np.nonzero(known.classes[kind])
        top, left, bottom, right = (
            60.0 * each for each in (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        )
        ring = _ring(known, [(left, top), (right, top), (right, bottom), (left, bottom)])
        found.append((f"{kind.upper()}.0", kind.upper(), ring))
    return found


def _ring(known, corners):
    x, y = known.corner
    return " ".join(f"{x + right:.10g} {y - down:.10g}" for right, down in [*corners, corners[0]])


def _gml(features, epsg):
    members = "".join(
        f'<eop:MaskFeature gml:id="{name}"><eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{kind}</eop:maskType>'
        f'<eop:extentOf><gml:Polygon gml:id="{name}_Polygon"><gml:exterior><gml:LinearRing>'
        f'<gml:posList srsDimension="2">{ring}</gml:posList></gml:LinearRing>'
        "</gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature>\n"
        for name, kind, ring in features
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" '
        'xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="mask"><gml:boundedBy><gml:Envelope '
        f'srsName="urn:ogc:def:crs:EPSG:8.7:{epsg}"><gml:lowerCorner>0 0</gml:lowerCorner><gml:upperCorner>1 1'
        f"</gml:upperCorner></gml:Envelope></gml:boundedBy><eop:maskMembers>{members}</eop:maskMembers></eop:Mask>\n"
    )


# ------------------------------------------------------------------------------------------------------------- metadata


def _tile_xml(known, ids):
    level, stem = ids["level"], "{platform}_OPER_MSI_{level}_TL_2BPS_{made}_A031710_T{tile}_N{baseline}".format(**ids)
    counts = {side: known.size * 10 // side for side in (10, 20, 60)}
    sizes = "".join(
        f'<Size resolution="{side}"><NROWS>{count}</NROWS><NCOLS>{count}</NCOLS></Size>'
        f'<Geoposition resolution="{side}"><ULX>{known.corner[0]:.10g}</ULX><ULY>{known.corner[1]:.10g}</ULY>'
        f"<XDIM>{side}</XDIM><YDIM>-{side}</YDIM></Geoposition>"
        for side, count in counts.items()
    )
    views = "".join(
        f'<Viewing_Incidence_Angles_Grids bandId="{BANDS.index(band)}" detectorId="{detector}">'
        f"{_angles(values, known.step)}</Viewing_Incidence_Angles_Grids>"
        for (band, detector), values in known.view.items()
    )
    means = "".join(
        f'<Mean_Viewing_Incidence_Angle bandId="{BANDS.index(band)}">{_mean(*values)}</Mean_Viewing_Incidence_Angle>'
        for band, values in known.mean_view.items()
    )
    strip = f"S2A_OPER_MSI_{level}_DS_2BPS_{ids['made']}_S{ids['strip']}_N{ids['baseline']}"
    strip = f"<DATASTRIP_ID>{strip}</DATASTRIP_ID>"
    l1c = f"<L1C_TILE_ID>{stem.replace('_L2A_', '_L1C_')}</L1C_TILE_ID>" if level == "L2A" else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<n1:Level-{level[1:]}_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/tile.xsd"><n1:General_Info>{l1c}'
        f'<TILE_ID metadataLevel="Brief">{stem}</TILE_ID>{strip}<SENSING_TIME metadataLevel="Standard">{known.date}Z'
        f"</SENSING_TIME></n1:General_Info><n1:Geometric_Info><Tile_Geocoding><HORIZONTAL_CS_NAME>WGS84 / UTM"
        f"</HORIZONTAL_CS_NAME><HORIZONTAL_CS_CODE>EPSG:{known.epsg}</HORIZONTAL_CS_CODE>{sizes}</Tile_Geocoding>"
        f"<Tile_Angles><Sun_Angles_Grid>{_angles(known.sun, known.step)}</Sun_Angles_Grid><Mean_Sun_Angle>"
        f"{_mean(*known.mean_sun)}</Mean_Sun_Angle>{views}<Mean_Viewing_Incidence_Angle_List>{means}"
        "</Mean_Viewing_Incidence_Angle_List></Tile_Angles></n1:Geometric_Info>"
        f"</n1:Level-{level[1:]}_Tile_ID>\n"
    )


def _angles(values, step):
    return "".join(
        f'<{name}><COL_STEP unit="m">{step:.10g}</COL_STEP><ROW_STEP unit="m">{step:.10g}</ROW_STEP><Values_List>'
        + "".join(f"<VALUES>{' '.join(_number(value) for value in row)}</VALUES>" for row in grid)
        + f"</Values_List></{name}>"
        for name, grid in zip(("Zenith", "Azimuth"), values, strict=True)
    )


def _number(value):
    return "NaN" if np.isnan(value) else repr(float(value))


def _mean(zenith, azimuth):
    return f'<ZENITH_ANGLE unit="deg">{zenith!r}</ZENITH_ANGLE><AZIMUTH_ANGLE unit="deg">{azimuth!r}</AZIMUTH_ANGLE>'


def _product_xml(known, ids, images, orbit, dem, tag):
    level = ids["level"]
    made = f"{ids['made'][:4]}-{ids['made'][4:6]}-{ids['made'][6:11]}:{ids['made'][11:13]}:{ids['made'][13:]}.000Z"
    prefix, kind = ("BOA_", "BOA_ADD_OFFSET") if level == "L2A" else ("", "RADIO_ADD_OFFSET")
    quantification = (
        f'<{prefix}QUANTIFICATION_VALUE unit="none">{known.quantification:g}</{prefix}QUANTIFICATION_VALUE>'
    )
    if level == "L2A":
        quantification = f"<QUANTIFICATION_VALUES_LIST>{quantification}</QUANTIFICATION_VALUES_LIST>"
    offsets = ""
    if known.offset:
        told = "".join(f'<{kind} band_id="{number}">{known.offset:g}</{kind}>' for number in range(13))
        offsets = f"<Offset_List>{told}</Offset_List>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<n1:Level-{level[1:]}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/product.xsd">'
        f"<n1:General_Info><Product_Info><PRODUCT_URI>{known.name}.SAFE</PRODUCT_URI>"
        f"<PROCESSING_LEVEL>Level-{level[1:]}</PROCESSING_LEVEL><PROCESSING_BASELINE>{ids['baseline']}"
        f"</PROCESSING_BASELINE><GENERATION_TIME>{made}</GENERATION_TIME><Datatake><SPACECRAFT_NAME>Sentinel-"
        f"{ids['platform'][1:]}</SPACECRAFT_NAME><DATATAKE_SENSING_START>{known.date}Z</DATATAKE_SENSING_START>"
        f"<SENSING_ORBIT_NUMBER>{orbit}</SENSING_ORBIT_NUMBER></Datatake><Product_Organisation><Granule_List><Granule>"
        + "".join(f"<{tag}>{image}</{tag}>" for image in images)
        + "</Granule></Granule_List></Product_Organisation></Product_Info><Product_Image_Characteristics>"
        "<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>"
        f"</Special_Values>{quantification}{offsets}</Product_Image_Characteristics></n1:General_Info>"
        f"<n1:Auxiliary_Data_Info><PRODUCTION_DEM_TYPE>{dem}</PRODUCTION_DEM_TYPE></n1:Auxiliary_Data_Info>"
        f"</n1:Level-{level[1:]}_User_Product>\n"
    )


def _datastrip_xml(refined):
    flag = "REFINED" if refined else "NOT_REFINED"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<n1:Level-1C_DataStrip_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/datastrip.xsd"><n1:Image_Data_Info>'
        f'<Geometric_Info metadataLevel="Standard"><RGM>COMPUTED</RGM><Image_Refining flag="{flag}"/></Geometric_Info>'
        "</n1:Image_Data_Info></n1:Level-1C_DataStrip_ID>\n"
    )


def _manifest(root):
    hrefs = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
    objects = "".join(f'<dataObject><fileLocation locatorType="URL" href="{each}"/></dataObject>' for each in hrefs)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"><dataObjectSection>'
        f"{objects}</dataObjectSection></xfdu:XFDU>\n"
    )
