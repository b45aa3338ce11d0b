"""Small complete orders of PlanetScope orthoscenes with UDM2 masks, as folders or zip files, for tests and examples."""

import json
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from scipy.ndimage import gaussian_filter

UTM = 32632
CORNER = (300_000.0, 5_000_000.0)
# sun azimuth and elevation, azimuth and incidence of the view [degrees]
ANGLES = (145.1, 60.1, 102.1, 3.2)
COEFFICIENTS = (2.1e-5, 2.2e-5, 2.4e-5, 3.6e-5, 2.5e-5, 2.6e-5, 2.7e-5, 3.7e-5)
# columns in which the mask has each of its classes, from left to right
CLASSES = ("clear", "snow", "shadow", "light_haze", "heavy_haze", "cloud")


def ground(shape, bands, seed=0):
    """Textured numbers (band, y, x) from 1 on, uint16."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=(bands, *shape)), (0, 1.2, 1.2))
    return (1 + 4000 * (values - values.min()) / np.ptp(values)).astype("uint16")


def write(
    folder,
    item="20200717_102030_1032",
    *,
    kind="",
    tools="",
    level="3B",
    bands=4,
    shape=(60, 80),
    pixels=None,
    corner=CORNER,
    acquired=None,
    instrument="PS2",
    has_json=True,
    has_xml=True,
    has_mask=True,
    seed=0,
):
    """Write a scene into a folder; returns the path of its image, its pixels and its mask (band, y, x)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = ground(shape, bands, seed)
        pixels[:, :4] = 0
    pixels = np.asarray(pixels)
    when = f"{item[:4]}-{item[4:6]}-{item[6:8]}T{item[9:11]}:{item[11:13]}:{item[13:15]}.123456Z"
    acquired = when if acquired is None else acquired
    image = folder / f"{item}_{level}_AnalyticMS{kind}{tools}.tif"
    _save(image, pixels, corner, nodata=0)
    mask = np.zeros((8, *shape), dtype="uint8")
    for k, columns in enumerate(np.array_split(np.arange(shape[1]), len(CLASSES))):
        mask[k][:, columns] = 1
    mask[:6, :4] = 0
    mask[6] = 90
    mask[7, :4] = 1
    mask[7, 10, 10] = 4
    if has_mask:
        _save(folder / f"{item}_{level}_udm2{tools}.tif", mask, corner)
    sun_azimuth, sun_elevation, azimuth, incidence = ANGLES
    if has_json:
        properties = {
            "acquired": acquired, "ground_control": True, "instrument": instrument, "item_type": "PSScene",
            "provider": "planetscope", "published": "2020-07-18T10:20:05Z", "satellite_azimuth": azimuth,
            "satellite_id": item.rsplit("_", 1)[1], "sun_azimuth": sun_azimuth, "sun_elevation": sun_elevation,
            "view_angle": 3,
        }  # fmt: skip
        text = json.dumps({"id": item, "type": "Feature", "properties": properties})
        (folder / f"{item}_metadata.json").write_text(text)
    if has_xml:
        named = "_8b" if bands == 8 else ""
        text = _XML.format(
            item=item, acquired=acquired, instrument=instrument, satellite=item.rsplit("_", 1)[1], incidence=incidence,
            sun_azimuth=sun_azimuth, sun_elevation=sun_elevation, bands="".join(map(_band, range(1, bands + 1))),
        )  # fmt: skip
        (folder / f"{item}_{level}_AnalyticMS{named}_metadata{tools}.xml").write_text(text)
    return image, pixels, mask


def pack(folder):
    """Zip file of a folder, beside it; the folder is left."""
    path = Path(folder).with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


def _save(path, values, corner, **profile):
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), dtype=values.dtype.name, height=values.shape[1],
        width=values.shape[2], crs=f"EPSG:{UTM}", transform=Affine(3, 0, corner[0], 0, -3, corner[1]), **profile,
    ) as file:  # fmt: skip
        file.write(values)


def _band(number):
    return f"""
      <ps:bandSpecificMetadata>
        <ps:bandNumber>{number}</ps:bandNumber>
        <ps:radiometricScaleFactor>0.01</ps:radiometricScaleFactor>
        <ps:reflectanceCoefficient>{COEFFICIENTS[number - 1]}</ps:reflectanceCoefficient>
      </ps:bandSpecificMetadata>"""


_XML = """<?xml version="1.0" encoding="UTF-8"?>
<ps:EarthObservation xmlns:opt="http://earth.esa.int/opt" xmlns:gml="http://www.opengis.net/gml"
    xmlns:eop="http://earth.esa.int/eop" version="1.2.1"
    xmlns:ps="http://schemas.planet.com/ps/v1/planet_product_metadata_geocorrected_level">
  <gml:metaDataProperty><ps:EarthObservationMetaData>
    <eop:identifier>{item}_3B_AnalyticMS</eop:identifier><eop:productType>L3B</eop:productType>
  </ps:EarthObservationMetaData></gml:metaDataProperty>
  <gml:using><eop:EarthObservationEquipment>
    <eop:platform><eop:Platform>
      <eop:shortName>PlanetScope</eop:shortName><eop:serialIdentifier>{satellite}</eop:serialIdentifier>
    </eop:Platform></eop:platform>
    <eop:instrument><eop:Instrument><eop:shortName>{instrument}</eop:shortName></eop:Instrument></eop:instrument>
    <eop:acquisitionParameters><ps:Acquisition>
      <eop:incidenceAngle uom="deg">{incidence}</eop:incidenceAngle>
      <opt:illuminationAzimuthAngle uom="deg">{sun_azimuth}</opt:illuminationAzimuthAngle>
      <opt:illuminationElevationAngle uom="deg">{sun_elevation}</opt:illuminationElevationAngle>
      <ps:azimuthAngle uom="deg">8.2</ps:azimuthAngle>
      <ps:spaceCraftViewAngle uom="deg">-3.0</ps:spaceCraftViewAngle>
      <ps:acquisitionDateTime>{acquired}</ps:acquisitionDateTime>
    </ps:Acquisition></eop:acquisitionParameters>
  </eop:EarthObservationEquipment></gml:using>
  <gml:resultOf><ps:EarthObservationResult>{bands}
  </ps:EarthObservationResult></gml:resultOf>
</ps:EarthObservation>
"""
