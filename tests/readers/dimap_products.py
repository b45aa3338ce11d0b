"""Small complete DIMAP products of Pléiades and SPOT 6/7, as folders or zip files, for tests and examples."""

import zipfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from scipy.ndimage import gaussian_filter

UTM = 32632
CORNER = (300_000.0, 5_000_000.0)
# sun azimuth and elevation, azimuth and incidence of the view [degrees]
ANGLES = (157.25, 58.5, 180.5, 12.75)
GAINS = {"B0": 9.1, "B1": 9.2, "B2": 10.3, "B3": 15.4, "P": 11.5}
IRRADIANCES = {"B0": 1915.0, "B1": 1830.0, "B2": 1594.0, "B3": 1060.0, "P": 1548.0}


def ground(shape, bands=1, seed=0):
    """Textured numbers (band, y, x) from 1 on, uint16."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=(bands, *shape)), (0, 1.2, 1.2))
    return (1 + 4000 * (values - values.min()) / np.ptp(values)).astype("uint16")


def write(
    folder,
    *,
    time="2020-07-17T10:30:12.345Z",
    mission=("PHR", "1A"),
    spectral="PMS",
    shape=(60, 80),
    pixel=0.5,
    tiles=(1, 1),
    driver="GTiff",
    pixels=None,
    level="ORTHO",
    radiometry="REFLECTANCE",
    produced="2020-07-20T08:00:00Z",
    epsg=UTM,
    corner=CORNER,
    has_index=True,
    has_center=True,
    dem="SRTM",
):
    """Write a product into IMG_..._001 of a folder; returns the path of its DIM file and its pixels (band, y, x)."""
    bands = ["P"] if spectral == "P" else ["B2", "B1", "B0", "B3"]
    pixels = ground(shape, len(bands)) if pixels is None else np.asarray(pixels)
    stamp = time[:-1].replace("-", "").replace("T", "").replace(":", "").replace(".", "")
    label = f"{''.join(mission)}_{spectral}_{stamp}_ORT_C1"
    inside = Path(folder) / f"IMG_{''.join(mission)}_{spectral}_001"
    inside.mkdir(parents=True)
    suffix, format_name = {"GTiff": (".TIF", "image/tiff"), "JP2OpenJPEG": (".JP2", "image/jp2")}[driver]
    height, width = -(-shape[0] // tiles[0]), -(-shape[1] // tiles[1])
    files = []
    for row in range(tiles[0]):
        for column in range(tiles[1]):
            name = f"IMG_{label}_R{row + 1}C{column + 1}{suffix}"
            part = pixels[:, row * height : (row + 1) * height, column * width : (column + 1) * width]
            place = Affine(pixel, 0, corner[0] + column * width * pixel, 0, -pixel, corner[1] - row * height * pixel)
            options = {"quality": 100, "reversible": "YES", "YCC": "NO"} if driver != "GTiff" else {}
            with rasterio.open(
                inside / name, "w", driver=driver, count=len(bands), dtype="uint16", height=part.shape[1],
                width=part.shape[2], crs=f"EPSG:{epsg}", transform=place, **options,
            ) as file:  # fmt: skip
                file.write(part)
            files.append(
                f'<Data_File tile_R="{row + 1}" tile_C="{column + 1}"><DATA_FILE_PATH href="{name}"/></Data_File>'
            )
    text = _DOCUMENT.format(
        profile=f"{'PHR' if mission[0] == 'PHR' else 'S' + mission[1]}_{level}", label=label, mission=mission[0],
        index=mission[1], level=level, spectral=spectral, radiometry=radiometry, produced=produced, epsg=epsg, dem=dem,
        x=corner[0], y=corner[1], pixel=pixel, rows=shape[0], columns=shape[1], n=len(bands), format=format_name,
        geometry="SENSOR" if level == "SENSOR" else "GROUND",
        tiled=str(tiles != (1, 1)).lower(), files="".join(files), n_tiles=tiles[0] * tiles[1], height=height,
        width=width, n_rows=tiles[0], n_columns=tiles[1], display=_display(bands),
        indices=_indices(bands) if has_index else "", radiometries="".join(map(_radiometry, bands)),
        date=time[:10], time_of_day=time[11:], located=_located(time) if has_center else "",
    )  # fmt: skip
    path = inside / f"DIM_{label}.XML"
    path.write_text(text, encoding="utf-8")
    (Path(folder) / "VOL_PHR.XML").write_text(_VOLUME.format(path=f"{inside.name}/{path.name}"), encoding="utf-8")
    return path, pixels


def pack(folder):
    """Zip file of a folder, beside it; the folder is left."""
    path = Path(folder).with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(Path(folder).parent).as_posix())
    return path


def _display(bands):
    channels = ("RED", "GREEN", "BLUE", "ALPHA")
    return "".join(f"<{name}_CHANNEL>{band}</{name}_CHANNEL>" for name, band in zip(channels, bands, strict=False))


def _indices(bands):
    inside = "".join(
        f"<Raster_Index><BAND_ID>{band}</BAND_ID><BAND_INDEX>{number}</BAND_INDEX></Raster_Index>"
        for number, band in enumerate(bands, start=1)
    )
    return f"<Raster_Index_List>{inside}</Raster_Index_List>"


def _radiometry(band):
    return f"""
        <Band_Radiance><BAND_ID>{band}</BAND_ID><GAIN>{GAINS[band]}</GAIN><BIAS>0.5</BIAS></Band_Radiance>
        <Band_Solar_Irradiance><BAND_ID>{band}</BAND_ID><VALUE>{IRRADIANCES[band]}</VALUE></Band_Solar_Irradiance>
        <Band_Reflectance><BAND_ID>{band}</BAND_ID><GAIN>10000</GAIN><BIAS>0.01</BIAS></Band_Reflectance>"""


def _located(time):
    sun_azimuth, sun_elevation, azimuth, incidence = ANGLES
    texts = []
    for k, name in enumerate(("TopCenter", "Center", "BottomCenter")):
        texts.append(f"""
      <Located_Geometric_Values>
        <LOCATION_TYPE>{name}</LOCATION_TYPE><TIME>{time if name == "Center" else time[:17] + "59.9Z"}</TIME>
        <Acquisition_Angles>
          <AZIMUTH_ANGLE unit="deg">{azimuth + k - 1}</AZIMUTH_ANGLE>
          <VIEWING_ANGLE unit="deg">{incidence - 1}</VIEWING_ANGLE>
          <INCIDENCE_ANGLE unit="deg">{incidence + k - 1}</INCIDENCE_ANGLE>
        </Acquisition_Angles>
        <Solar_Incidences>
          <SUN_AZIMUTH unit="deg">{sun_azimuth + k - 1}</SUN_AZIMUTH>
          <SUN_ELEVATION unit="deg">{sun_elevation + k - 1}</SUN_ELEVATION>
        </Solar_Incidences>
      </Located_Geometric_Values>""")
    return "".join(texts)


_VOLUME = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
  <Metadata_Identification>
    <METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT><METADATA_PROFILE>VOLUME</METADATA_PROFILE>
  </Metadata_Identification>
  <Dataset_Content><Dataset_Components><Component>
    <COMPONENT_TYPE version="2.0">DIMAP</COMPONENT_TYPE><COMPONENT_PATH href="{path}"/>
  </Component></Dataset_Components></Dataset_Content>
</Dimap_Document>
"""

_DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
  <Metadata_Identification>
    <METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT>
    <METADATA_PROFILE>{profile}</METADATA_PROFILE>
    <METADATA_SUBPROFILE>PRODUCT</METADATA_SUBPROFILE>
  </Metadata_Identification>
  <Dataset_Identification>
    <DATASET_TYPE>RASTER_ORTHO</DATASET_TYPE>
    <DATASET_NAME version="1.0">DS_{label}</DATASET_NAME>
  </Dataset_Identification>
  <Product_Information>
    <Delivery_Identification><PRODUCTION_DATE>{produced}</PRODUCTION_DATE></Delivery_Identification>
  </Product_Information>
  <Coordinate_Reference_System>
    <Projected_CRS>
      <PROJECTED_CRS_NAME>EPSG {epsg}</PROJECTED_CRS_NAME>
      <PROJECTED_CRS_CODE>urn:ogc:def:crs:EPSG::{epsg}</PROJECTED_CRS_CODE>
    </Projected_CRS>
  </Coordinate_Reference_System>
  <Geoposition>
    <Raster_CRS><RASTER_GEOMETRY>{geometry}</RASTER_GEOMETRY><PIXEL_ORIENTATION>UL</PIXEL_ORIENTATION></Raster_CRS>
    <Geoposition_Insert>
      <ULXMAP unit="m">{x}</ULXMAP><ULYMAP unit="m">{y}</ULYMAP>
      <XDIM unit="m">{pixel}</XDIM><YDIM unit="m">{pixel}</YDIM>
    </Geoposition_Insert>
  </Geoposition>
  <Processing_Information>
    <Product_Settings>
      <PROCESSING_LEVEL>{level}</PROCESSING_LEVEL>
      <SPECTRAL_PROCESSING>{spectral}</SPECTRAL_PROCESSING>
      <Geometric_Settings>
        <GEOMETRIC_PROCESSING>{level}</GEOMETRIC_PROCESSING>
        <GROUND_SETTING>true</GROUND_SETTING><GROUND_DESC>R3D_ORTHO</GROUND_DESC>
        <VERTICAL_SETTING>true</VERTICAL_SETTING><VERTICAL_DESC>{dem}</VERTICAL_DESC>
      </Geometric_Settings>
      <Radiometric_Settings><RADIOMETRIC_PROCESSING>{radiometry}</RADIOMETRIC_PROCESSING></Radiometric_Settings>
    </Product_Settings>
  </Processing_Information>
  <Raster_Data>
    <Data_Access>
      <DATA_FILE_ORGANISATION>BAND_COMPOSITE</DATA_FILE_ORGANISATION>
      <DATA_FILE_FORMAT>{format}</DATA_FILE_FORMAT>
      <DATA_FILE_TILES>{tiled}</DATA_FILE_TILES>
      <Data_Files>{files}</Data_Files>
    </Data_Access>
    <Raster_Dimensions>
      <NROWS>{rows}</NROWS><NCOLS>{columns}</NCOLS><NBANDS>{n}</NBANDS>
      <Tile_Set>
        <NTILES>{n_tiles}</NTILES>
        <Regular_Tiling>
          <NTILES_SIZE nrows="{height}" ncols="{width}"/><NTILES_COUNT ntiles_R="{n_rows}" ntiles_C="{n_columns}"/>
          <OVERLAP_ROW>0</OVERLAP_ROW><OVERLAP_COL>0</OVERLAP_COL>
        </Regular_Tiling>
      </Tile_Set>
    </Raster_Dimensions>
    <Raster_Encoding><DATA_TYPE>INTEGER</DATA_TYPE><NBITS>16</NBITS><SIGN>UNSIGNED</SIGN></Raster_Encoding>
    <Raster_Display>
      {indices}
      <Band_Display_Order>{display}</Band_Display_Order>
      <Special_Value><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_COUNT>0</SPECIAL_VALUE_COUNT></Special_Value>
      <Special_Value><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_COUNT>4095</SPECIAL_VALUE_COUNT></Special_Value>
    </Raster_Display>
  </Raster_Data>
  <Radiometric_Data><Radiometric_Calibration><Instrument_Calibration><Band_Measurement_List>{radiometries}
  </Band_Measurement_List></Instrument_Calibration></Radiometric_Calibration></Radiometric_Data>
  <Geometric_Data><Use_Area>{located}</Use_Area></Geometric_Data>
  <Dataset_Sources>
    <Source_Identification>
      <SOURCE_ID>DS_{label}</SOURCE_ID>
      <Strip_Source>
        <MISSION>{mission}</MISSION><MISSION_INDEX>{index}</MISSION_INDEX>
        <IMAGING_DATE>{date}</IMAGING_DATE><IMAGING_TIME>{time_of_day}</IMAGING_TIME>
      </Strip_Source>
    </Source_Identification>
  </Dataset_Sources>
</Dimap_Document>
"""
