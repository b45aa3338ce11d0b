"""View and sun angles of Landsat from the angle coefficient file of a scene.

Of the push-broom sensors (Landsat 8 and 9) the file holds, band by band, rational polynomials: which line and sample of
which sensor chip saw a place of the product, and what the unit vectors to satellite and sun are there, at the mean
height of the scene. They agree with the orbit in the same file to 0.002 degrees. Of the whisk-broom sensors the
satellite is taken where it was closest to the pixel: sensor chips and bands look some tenths of a degree ahead or
behind of that (0.2 degrees on average for the panchromatic band of Landsat 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xoffset._arrays.scenes import directions
from xoffset._arrays.scenes.orbits import DEGREE, Track, local_axes
from xoffset.model.variables import ANGLES
from xoffset.readers.grids import Grid
from xoffset.readers.landsat import mtl

if TYPE_CHECKING:
    from rasterio.crs import CRS

# Rows that are computed together.
_ROWS = 256
# Samples by which the edge of a chip may bend between two rows.
_MARGIN = 10
# The band of which the product itself has rasters of angles.
_USUAL = "4"
# No Landsat pixel is seen at a larger zenith angle, degrees.
_STEEPEST = 12.0


@dataclass(frozen=True)
class Coefficients:
    """Content of an angle coefficient file."""

    groups: mtl.Groups
    name: str

    def numbers(self, group: str, key: str, count: int) -> np.ndarray:
        """List of numbers, which must have a length; any if that is 0."""
        text = self.groups.get(group, {}).get(key)
        if text is None:
            raise mtl.failure(self.name, f"no {key}")
        try:
            values = np.array([float(part) for part in text.strip("()").split(",")])
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all() or (count and len(values) != count):
            raise mtl.failure(self.name, f"{key} = {text[:40]}")
        return values

    def prefix(self, band: str | None) -> str | None:
        """What the keys of a band start with, None if the file does not have it."""
        # the two gains of the thermal band of Landsat 7 are 61 and 62
        number = _USUAL if band is None else band.replace("_VCID_", "")
        prefix = f"BAND{number:0>2}"
        return prefix if f"RPC_{prefix}" in self.groups else None

    def mean_view(self, band: str | None) -> tuple[float | None, float | None]:
        """Azimuth and zenith angle of the mean vector to the satellite, None where the file does not tell it."""
        prefix = self.prefix(band) if band else None
        key = f"{prefix}_MEAN_SAT_VECTOR"
        if prefix is None or key not in self.groups[f"RPC_{prefix}"]:
            return None, None
        azimuth, zenith = directions.angles(*self.numbers(f"RPC_{prefix}", key, 3))
        return float(azimuth), float(zenith)


def read(content: bytes, name: str) -> Coefficients:
    """Angle coefficients; `name` is that of the file, for messages."""
    groups = mtl.odl(content, name)
    is_nested = any(isinstance(value, dict) for values in groups.values() for value in values.values())
    if "FILE_HEADER" not in groups or len(groups) < 2 or is_nested:
        raise mtl.failure(name, "a file without angle coefficients")
    # the groups of this file have no root around them, so that their values stand where groups would
    return Coefficients(groups, name)  # type: ignore[arg-type]


def on_grid(coefficients: Coefficients, band: str | None, grid: Grid) -> dict[str, np.ndarray]:
    """Angles at the pixels of a grid, float32 (rows, columns) [degrees], NaN outside of the scene.

    Azimuths are from true north. Empty where the file has nothing of the band.
    """
    prefix = coefficients.prefix(band)
    if prefix is None or grid.crs is None:
        return {}
    out = {name: np.full((grid.height, grid.width), np.nan, dtype=np.float32) for name in ANGLES}
    is_push_broom = f"{prefix}_SCA_LIST" in coefficients.groups[f"RPC_{prefix}"]
    model = _Polynomials(coefficients, prefix) if is_push_broom else _Orbit(coefficients)
    for rows, x, y in _strips(grid):
        view, sun = model.vectors(x, y, grid.crs)
        out["view_azimuth"][rows], out["view_zenith"][rows] = directions.angles(*view)
        azimuth, zenith = directions.angles(*sun)
        out["sun_azimuth"][rows], out["sun_elevation"][rows] = azimuth, 90 - zenith
    return out


def _strips(grid: Grid) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    for top in range(0, grid.height, _ROWS):
        rows = slice(top, min(top + _ROWS, grid.height))
        x, y = np.meshgrid(grid.x_centres, grid.y_centres[rows])
        yield rows, x, y


# ------------------------------------------------------------------------------------------------- rational polynomials


class _Polynomials:
    """Vectors by the rational polynomials of a band."""

    def __init__(self, coefficients: Coefficients, prefix: str) -> None:
        self._prefix = prefix
        self._group = f"RPC_{prefix}"
        self._file = coefficients
        self._crs = _crs_of(coefficients)
        self._corner = coefficients.numbers("PROJECTION", "UL_CORNER", 2)  # centre of the first pixel
        self._size = self._of("PIXEL_SIZE", 1)[0]
        self._lines, self._samples = self._of("NUM_L1R_LINES", 1)[0], self._of("NUM_L1R_SAMPS", 1)[0]
        self._chips = self._of("SCA_LIST", 0).astype(int).tolist()

    def vectors(self, x: np.ndarray, y: np.ndarray, crs: CRS) -> tuple[np.ndarray, np.ndarray]:
        """Vectors to satellite and sun; means of both chips where two overlap, NaN where none saw the place."""
        x, y = _transformed(x, y, crs, self._crs)
        line, sample = (self._corner[1] - y) / self._size, (x - self._corner[0]) / self._size
        found = {kind: np.zeros((3, *x.shape)) for kind in ("SAT", "SUN")}
        count = np.zeros(x.shape)
        for number, chip in enumerate(self._chips):
            part = np.s_[:, self._columns(f"SCA{chip:02}_", line, sample)]
            raw_line, raw_sample = self._seen(f"SCA{chip:02}_", line[part], sample[part])
            inside = (raw_line >= 0) & (raw_line < self._lines) & (raw_sample >= 0) & (raw_sample < self._samples)
            count[part] += inside
            raw = raw_line[inside], raw_sample[inside] + number * self._samples
            for kind, total in found.items():
                total[:, *part][:, inside] += self._vector(kind, line[part][inside], sample[part][inside], *raw)
        count[count == 0] = np.nan
        return found["SAT"] / count, found["SUN"] / count

    def _of(self, key: str, count: int) -> np.ndarray:
        return self._file.numbers(self._group, f"{self._prefix}_{key}", count)

    def _seen(self, chip: str, line: np.ndarray, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Line and sample of a chip that saw a place of the product."""
        middle = self._of(f"{chip}MEAN_L1T_LINE_SAMP", 2)
        height = self._of("MEAN_HEIGHT", 1)[0] - self._of(f"{chip}MEAN_HEIGHT", 1)[0]
        line, sample = line - middle[0], sample - middle[1]
        found = []
        for key, mean in zip(("LINE", "SAMP"), self._of(f"{chip}MEAN_L1R_LINE_SAMP", 2), strict=True):
            terms = (line, sample, height, line * sample)
            a, b = self._of(f"{chip}{key}_NUM_COEF", 5), self._of(f"{chip}{key}_DEN_COEF", 4)
            found.append(mean + _ratio(a, b, terms))
        return found[0], found[1]

    def _columns(self, chip: str, line: np.ndarray, sample: np.ndarray) -> slice:
        """Columns in which a chip may have seen something, told by the first and the last row."""
        _, seen = self._seen(chip, line[[0, -1]], sample[[0, -1]])
        near = np.flatnonzero((seen.max(axis=0) >= -_MARGIN) & (seen.min(axis=0) < self._samples + _MARGIN))
        return slice(near[0], near[-1] + 1) if near.size else slice(0)

    def _vector(
        self, kind: str, line: np.ndarray, sample: np.ndarray, raw_line: np.ndarray, raw_sample: np.ndarray
    ) -> np.ndarray:
        """Unit vector to the satellite or the sun from a place at the mean height."""
        middle, raw_middle = self._of("MEAN_L1T_LINE_SAMP", 2), self._of("MEAN_L1R_LINE_SAMP", 2)
        line, sample = line - middle[0], sample - middle[1]
        raw_line, raw_sample = raw_line - raw_middle[0], raw_sample - raw_middle[1]
        terms = (
            line, sample, 0.0, raw_line, line * line, line * sample, sample * sample,
            raw_sample * raw_line * raw_line, raw_line * raw_line * raw_line,
        )  # fmt: skip
        vector = np.stack(
            [
                mean + _ratio(self._of(f"{kind}_{axis}_NUM_COEF", 10), self._of(f"{kind}_{axis}_DEN_COEF", 9), terms)
                for axis, mean in zip("XYZ", self._of(f"MEAN_{kind}_VECTOR", 3), strict=True)
            ]
        )
        vector /= np.linalg.norm(vector, axis=0)
        return vector


def _ratio(above: np.ndarray, below: np.ndarray, terms: tuple[np.ndarray | float, ...]) -> np.ndarray:
    numerator = above[0] + sum(a * term for a, term in zip(above[1:], terms, strict=True))
    quotient: np.ndarray = numerator / (1 + sum(b * term for b, term in zip(below, terms, strict=True)))
    return quotient


# ---------------------------------------------------------------------------------------------------------------- orbit


class _Orbit:
    """Vectors by the orbit: the satellite is where it was closest to a pixel."""

    def __init__(self, coefficients: Coefficients) -> None:
        self._satellite = _track(coefficients, "EPHEMERIS", "EPHEMERIS_TIME", "EPHEMERIS_ECEF_")
        self._sun = _track(coefficients, "SOLAR_VECTOR", "SAMPLE_TIME", "SOLAR_ECEF_")

    def vectors(self, x: np.ndarray, y: np.ndarray, crs: CRS) -> tuple[np.ndarray, np.ndarray]:
        """Vectors to satellite and sun, NaN where the orbit does not reach."""
        ground, axes = _ground(x, y, crs)
        seconds = self._satellite.closest(ground)
        view = (axes * (self._satellite.at(seconds) - ground)).sum(axis=1)
        sun = (axes * self._sun.at(seconds)).sum(axis=1)
        is_known = self._satellite.covers(seconds) & (directions.angles(*view)[1] < _STEEPEST)
        return np.where(is_known, view, np.nan), np.where(is_known, sun, np.nan)


def _track(coefficients: Coefficients, group: str, times: str, axis: str) -> Track:
    """Path of the satellite or the sun, from the positions in a group."""
    seconds = coefficients.numbers(group, times, 0)
    if len(seconds) <= DEGREE:
        raise mtl.failure(coefficients.name, f"{len(seconds)} points of {times}")
    return Track(seconds, [coefficients.numbers(group, f"{axis}{name}", len(seconds)) for name in "XYZ"])


def _ground(x: np.ndarray, y: np.ndarray, crs: CRS) -> tuple[np.ndarray, np.ndarray]:
    """Positions (3, ...) of places on the ellipsoid, and the axes (3, 3, ...) to east, north and up there."""
    import pyproj

    longitude, latitude = _transformed(x, y, crs, pyproj.CRS.from_epsg(4326))
    to_centre = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    ground = np.stack(to_centre.transform(longitude, latitude, np.zeros(x.shape)))
    return ground, local_axes(longitude, latitude)


def _crs_of(coefficients: Coefficients) -> object:
    """CRS of the product: UTM, of the north everywhere, or polar stereographic in Antarctica."""
    import pyproj

    projection = coefficients.groups.get("PROJECTION", {}).get("MAP_PROJECTION")
    if projection == "PS":
        return pyproj.CRS.from_epsg(3031)
    if projection != "UTM":
        raise mtl.failure(coefficients.name, f"MAP_PROJECTION = {projection}")
    zone = int(coefficients.numbers("PROJECTION", "UTM_ZONE", 1)[0])
    if not 1 <= abs(zone) <= 60:
        raise mtl.failure(coefficients.name, f"UTM_ZONE = {zone}")
    return pyproj.CRS.from_epsg(32600 + abs(zone))


def _transformed(x: np.ndarray, y: np.ndarray, source: CRS, target: object) -> tuple[np.ndarray, np.ndarray]:
    import pyproj

    origin = pyproj.CRS.from_wkt(source.to_wkt())
    if origin == target:
        return x, y
    found = pyproj.Transformer.from_crs(origin, target, always_xy=True).transform(x, y)
    return np.asarray(found[0]), np.asarray(found[1])
