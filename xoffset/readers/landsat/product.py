"""Landsat scenes of every collection: folders, flat folders of many scenes, MTL files, tar archives read in place."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from xoffset.model.variables import ANGLES
from xoffset.readers import archives
from xoffset.readers.archives import Tree
from xoffset.readers.grids import Grid
from xoffset.readers.landsat import angles, bands, mtl
from xoffset.readers.landsat.angles import Coefficients
from xoffset.readers.pixels import RasterImage, describe, image_at
from xoffset.readers.positions import check_crs
from xoffset.readers.scenes import Classes, Contents, Layer, NoSuchTile, Product, Scene, percent

_logger = logging.getLogger(__name__)

_MTL = re.compile(r"(?P<scene>[^.].*)_MTL\.(?P<notation>txt|xml|json)", re.IGNORECASE)
_NOTATIONS = ("txt", "xml", "json")
# Names of scenes since the collections, before them, and before 2012.
_NAMED = re.compile(r"(?:L[COTEM](?:0\d_[A-Z0-9]{4}_\d{6}_\d{8}|\d{14}[A-Z]{3}\d\d)|L[1-9]\d{6,7}_\d{11})")
# Layers of angles; that of the sun is its zenith angle.
_ANGLE_LAYERS = {"sun_azimuth": "SAA", "sun_elevation": "SZA", "view_azimuth": "VAA", "view_zenith": "VZA"}
_LARGEST = 36000  # hundredths of degrees
_IMAGES = (".tif", ".tiff")
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")


def is_product(place: str) -> bool:
    """Whether a path is a Landsat scene: its folder, its MTL file or an archive; quick, and never an error."""
    with suppress(OSError, ValueError):
        path = Path(place).expanduser()
        if path.is_dir():
            return any(_MTL.fullmatch(file.name) for file in path.iterdir())
        return path.is_file() and (_MTL.fullmatch(path.name) is not None or _is_archive(path))
    return False


def _is_archive(path: Path) -> bool:
    if not path.name.lower().endswith(_ARCHIVES):
        return False
    if _NAMED.match(path.name):
        return True
    names = [PurePosixPath(name).name for name in archives.first_names(str(path))]
    # names of a compressed tar are not told where its first files are large
    is_silent = not names and archives.kind_of(str(path)).startswith("tar")
    return is_silent or any(_MTL.fullmatch(name) or _NAMED.match(name) for name in names)


def open_product(place: str, tile: Sequence[str] | None) -> list[Product]:
    """The scenes in a place, or those of the tiles (path and row) wanted."""
    path = Path(place).expanduser().absolute()
    own = _MTL.fullmatch(path.name) if path.is_file() else None
    tree = archives.open_tree(str(path.parent if own else path))
    names = [path.name] if own else _metadata_files(tree, is_flat=path.is_dir())
    if not names:
        raise ValueError(
            f"open_stack() needs Landsat scenes with their metadata; got {path.name} without any file *_MTL.txt, "
            "*_MTL.xml or *_MTL.json. Fetch the whole scene, or give its images, such as 'scenes/*_B8.TIF'."
        )
    _tell_of_bare_images(tree, names if own is None else ())
    scenes = [_LandsatScene.read(tree, name) for name in names]
    wanted: list[Product] = [scene for scene in scenes if tile is None or scene.metadata.tile in tile]
    if not wanted:
        there = ", ".join(sorted({scene.metadata.tile for scene in scenes}))
        raise NoSuchTile(
            f"open_stack() needs tile {' or '.join(tile or ())}; {path} has {there}. Pass tile= one of these: path "
            "and row of a scene in three digits each."
        )
    return wanted


def _metadata_files(tree: Tree, *, is_flat: bool) -> list[str]:
    """MTL file of every scene in a tree, the plainest of its notations; of a folder those that lie directly in it."""
    found: dict[str, dict[str, str]] = {}
    for name in tree.names:
        match = _MTL.fullmatch(PurePosixPath(name).name)
        if match and not (is_flat and "/" in name):
            scene = str(PurePosixPath(name).with_name(match["scene"]))
            found.setdefault(scene, {})[match["notation"].lower()] = name
    return [next(files[notation] for notation in _NOTATIONS if notation in files) for files in found.values()]


def _tell_of_bare_images(tree: Tree, metadata: Sequence[str]) -> None:
    """Tell which scenes, by the names of their images, have no metadata among those of others."""
    known = [name[: name.upper().rindex("_MTL.")].lower() for name in metadata]
    folders = {PurePosixPath(name).parent for name in metadata}
    bare = {
        match[0]
        for name in tree.names
        if PurePosixPath(name).parent in folders
        and name.lower().endswith(_IMAGES)
        and (match := _NAMED.match(PurePosixPath(name).name))
        and not name.lower().startswith(tuple(known))
    }
    if bare:
        _logger.warning(
            "open_stack() took the scenes in %s that have their metadata; there are images without any of %s.",
            tree.place,
            ", ".join(sorted(bare)),
        )


@dataclass(frozen=True)
class _LandsatScene:
    """A scene in a folder or an archive; `folder` is where its files lie in it."""

    tree: Tree
    folder: PurePosixPath
    metadata: mtl.Metadata

    @classmethod
    def read(cls, tree: Tree, name: str) -> _LandsatScene:
        """Scene of an MTL file in a tree."""
        metadata = mtl.read(tree.text(name, mtl.LIMIT), f"{PurePosixPath(name).name} of {tree.place}")
        return cls(tree, PurePosixPath(name).parent, metadata)

    @property
    def place(self) -> str:
        """Path of the folder or archive, and the name of the scene."""
        return f"{self.tree.place} ({self.metadata.name})"

    @property
    def scenes(self) -> list[Scene]:
        """What is known of the acquisition without a band."""
        return [_scene(self.metadata)]

    @property
    def contents(self) -> Contents:
        """Its bands, those that are missing, and the share of clouds."""
        names = [name for name in self.metadata.files if bands.number(name) is not None]
        files = self.metadata.files
        missing = tuple(name for name in names if self._member(files[name]) is None and self._cut(name) is None)
        return Contents(dict.fromkeys(names), missing, percent(self.metadata.clouds))

    def layers(self, band: int | str | None, nodata: float | None) -> list[Layer]:
        """Image of a band."""
        name = bands.find(band, self.metadata)
        image = self._image(name, nodata)
        if self.metadata.has_gaps:
            _logger.info(
                "%s was taken after the scan line corrector failed: NaN in its gaps, up to 14 pixels of 30 m wide",
                self.metadata.name,
            )
        # values of a file that was made from that of the band need not be those
        is_whole = self._member(self.metadata.files[name]) is not None
        offset, quantification = bands.scale(name, self.metadata) if is_whole else (None, None)
        azimuth, zenith = self._mean_view(name)
        scene = replace(
            _scene(self.metadata),
            band=name,
            radiometric_offset=offset,
            quantification=quantification,
            view_azimuth=azimuth,
            view_zenith=zenith,
        )
        return [Layer(scene, image)]

    def detectors(self, band: str | None, grid: Grid) -> np.ndarray:
        """Refused: Landsat products do not tell which detector saw a pixel."""
        raise ValueError(
            f"detectors() needs products that tell which detector saw a pixel; got the Landsat scene {self.place}, "
            "which does not. Use it without, or take angles(), whose view angles Landsat tells."
        )

    def angles(self, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
        """Angles of sun and view at each pixel of a grid, azimuths from true north as Landsat has them.

        From the rasters of angles where the scene has them; else from the angle coefficients, see `angles`;
        else the sun of the scene's centre, and NaN for the view.
        """
        name = None if band is None else bands.find(band, self.metadata)
        found = self._rasters_of_angles(grid)
        missing = [angle for angle in ANGLES if angle not in found]
        coefficients = self._coefficients() if missing else None
        if coefficients is not None:
            found = angles.on_grid(coefficients, bands.number(name), grid) | found
        sun = {"sun_azimuth": self.metadata.sun_azimuth, "sun_elevation": self.metadata.sun_elevation}
        shape = grid.height, grid.width
        for angle in (angle for angle in ANGLES if angle not in found):
            value = sun.get(angle)
            found[angle] = np.full(shape, np.nan if value is None else value, dtype=np.float32)
        return {angle: found[angle] for angle in ANGLES}

    def class_layer(self, grid: Grid) -> Classes:
        """Bits of quality of each pixel: QA_PIXEL of Collection 2, BQA before it; outside of the scene "fill"."""
        name, bits = bands.quality(self.metadata)
        if name not in self.metadata.files:
            raise ValueError(
                f"class_layer() needs a scene with a layer of quality, {name}; got {self.place} without. "
                "Fetch one of a collection, or leave it out."
            )
        image = replace(self._image(name, None), nodata=None)
        values = image_at(image, grid)
        values[np.isnan(values)] = bits["fill"]
        return Classes(values.astype(np.uint16), bits, True, image.grid.crs)

    def _image(self, name: str, nodata: float | None) -> RasterImage:
        """Image of a band or layer, whose fill value is nodata."""
        file = self._member(self.metadata.files[name]) or self._cut(name)
        if file is None:
            raise FileNotFoundError(
                f"open_stack() needs the files that the metadata of a scene name; {self.metadata.files[name]} is "
                f"missing in {self.tree.place}. Fetch it, give it the name it had, or take the metadata away; "
                "images of other names can be opened by a pattern, such as 'scenes/*_B8_crop.tif'."
            )
        image = describe(self.tree.gdal_path(file), 1, nodata, None)
        return replace(image, nodata=bands.fill(name)) if image.nodata is None else image

    def _member(self, name: str) -> str | None:
        """File of the scene in the tree, whatever the case of its letters."""
        wanted = self.folder / name
        if str(wanted) in self.tree.names:
            return str(wanted)
        same = [file for file in self.tree.names if file.lower().endswith(name.lower())]
        exact = [file for file in same if PurePosixPath(file) == wanted]
        found = exact or [file for file in same if file.lower() == str(wanted).lower()]
        return found[0] if len(found) == 1 else None

    def _cut(self, name: str) -> str | None:
        """File that was cut out of that of a band and named after it, if there is one alone: `..._B8_crop.tif`."""
        start = str(self.folder / PurePosixPath(self.metadata.files[name]).stem).lower() + "_"
        found = [each for each in self.tree.names if each.lower().startswith(start) and each.lower().endswith(_IMAGES)]
        return found[0] if len(found) == 1 else None

    def _rasters_of_angles(self, grid: Grid) -> dict[str, np.ndarray]:
        """Angles from the rasters of level 1 of Collection 2, in hundredths of degrees."""
        found: dict[str, np.ndarray] = {}
        for angle, layer in _ANGLE_LAYERS.items():
            file = self.metadata.files.get(layer)
            if file is not None and self._member(file) is not None:
                image = replace(self._image(layer, None), nodata=None)
                check_crs(grid, image.grid.crs, image.name)
                found[angle] = image_at(image, grid)
        # 0 is an angle too, but not in all of them
        is_empty = np.all([np.nan_to_num(values) == 0 for values in found.values()], axis=0)
        for angle, hundredths in found.items():
            degrees = np.where(is_empty | (abs(hundredths) > _LARGEST), np.nan, hundredths / np.float32(100))
            if angle.endswith("azimuth"):
                degrees %= 360
            found[angle] = 90 - degrees if angle == "sun_elevation" else degrees
        return found

    def _coefficients(self) -> Coefficients | None:
        """What the angle coefficient file tells, None if the scene has none."""
        file = self._member(self.metadata.angle_file or f"{self.metadata.name}_ANG.txt")
        if file is None:
            return None
        content = self.tree.text(file, mtl.LIMIT)
        return angles.read(content, f"{PurePosixPath(file).name} of {self.tree.place}")

    def _mean_view(self, name: str) -> tuple[float | None, float | None]:
        """Mean view angles of a band, where the angle coefficients tell them."""
        coefficients = self._coefficients()
        return (None, None) if coefficients is None else coefficients.mean_view(bands.number(name))


def _scene(metadata: mtl.Metadata) -> Scene:
    return Scene(
        name=metadata.name,
        date=metadata.date,
        platform=metadata.platform,
        relative_orbit=metadata.path,
        tile=metadata.tile,
        level=metadata.level,
        geometry=metadata.geometry,
        processed=metadata.processed,
        sun_azimuth=metadata.sun_azimuth,
        sun_elevation=metadata.sun_elevation,
        has_gaps=metadata.has_gaps,
    )


def scene_beside(path: str) -> Scene | None:
    """Scene of an image beside whose file lies the MTL file of the scene after which it is named, else None.

    `LC80630182016200LGN00_B8_crop.tif` belongs to `LC80630182016200LGN00_MTL.txt`. Neither the values nor the extent
    of such a file need be those of the scene, so that only what holds for every part of it is told.
    """
    file = Path(path)
    if not _NAMED.match(file.name):
        return None
    ends = [match.start() for match in re.finditer("[_.]", file.name)]
    beside = (file.with_name(f"{file.name[:end]}_MTL.{notation}") for end in reversed(ends) for notation in _NOTATIONS)
    owner = next((each for each in beside if each.is_file()), None)
    if owner is None:
        return None
    metadata = mtl.read(owner.read_bytes(), owner.name)
    rest = file.stem[len(owner.stem) - len("_MTL") + 1 :]
    named = [name for name in metadata.files if f"{rest}_".startswith(f"{name}_")]
    return replace(_scene(metadata), name=file.stem, band=max(named, key=len, default=None))


def _scenes_around(file: Path) -> list[Path]:
    """Paths of the scenes, without any ending, that a file may belong to by its name; the longest first."""
    ends = [match.start() for match in re.finditer("[_.]", file.name)]
    return [file.with_name(file.name[:end]) for end in reversed(ends) if end]


def without_parts(places: Sequence[str]) -> list[str]:
    """Places less the files of scenes whose metadata are among them, of which one notation is kept."""
    metadata: dict[Path, dict[str, str]] = {}
    for place in places:
        match = _MTL.fullmatch(Path(place).name)
        if match:
            scene = Path(place).with_name(match["scene"])
            metadata.setdefault(scene, {})[match["notation"].lower()] = place
    kept = {next(files[notation] for notation in _NOTATIONS if notation in files) for files in metadata.values()}
    is_part = (any(scene in metadata for scene in _scenes_around(Path(place))) for place in places)
    return [place for place, is_one in zip(places, is_part, strict=True) if place in kept or not is_one]
