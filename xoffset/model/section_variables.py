"""Variables of how motion changes from place to place: strain, sections, paths."""

from __future__ import annotations

from xoffset.model.tables import Variable, errors_of, flags, table

_HALF_TURN = 180.0  # [degree] after which an axis, which has no head, is the same again
_ANY_MAPS = ("...", "y", "x")

_STRAIN_NAMES = {
    "exx": "extension along x",
    "eyy": "extension along y",
    "exy": "shear strain of x and y",
    "dilatation": "change of area",
    "rotation": "rotation, counterclockwise, in radians",
    "max_shear": "largest shear strain",
    "e1": "larger principal extension",
    "e2": "smaller principal extension",
}

_STRAIN_ERRORS = ("exx", "eyy", "exy", "dilatation", "rotation")

_AZIMUTH = {"azimuth": ("degree", "direction of the larger principal extension, clockwise from grid north")}


def _strain_table(units: str, suffix: str) -> dict[str, Variable]:
    rows = {name: (units, f"{text}{suffix}") for name, text in _STRAIN_NAMES.items()}
    values = table(_ANY_MAPS, rows, signed=(*_STRAIN_ERRORS, "e1", "e2"))
    errors = errors_of({name: values[name] for name in _STRAIN_ERRORS}, "standard error: ")
    azimuth = table(_ANY_MAPS, _AZIMUTH, periods={"azimuth": _HALF_TURN})
    return values | errors | azimuth | flags(_ANY_MAPS)


STRAIN = _strain_table("1", "")
STRAIN_RATE = _strain_table("yr-1", ", per year")


def _profile_table(units: str, noun: str) -> dict[str, Variable]:
    dims = ("...", "distance")
    rows = {
        "parallel": (units, f"{noun} toward the strike"),
        "normal": (units, f"{noun} toward the right of the strike"),
    }
    values = table(dims, rows, signed=tuple(rows))
    return values | errors_of(values, "standard error: ") | flags(dims)


PROFILE = _profile_table("m", "displacement")
PROFILE_RATE = _profile_table("m yr-1", "velocity")


TRAJECTORY = table(
    ("point", "time"),
    {
        "x": ("m", "x coordinate of the place of the point"),
        "y": ("m", "y coordinate of the place of the point"),
        "dx": ("m", "displacement along x since the start, along the path of the point"),
        "dy": ("m", "displacement along y since the start, along the path of the point"),
        "sigma_dx": ("m", "standard error of the displacement along x since the start"),
        "sigma_dy": ("m", "standard error of the displacement along y since the start"),
        "dx_eulerian": ("m", "displacement along x since the start of what passed the place of the start"),
        "dy_eulerian": ("m", "displacement along y since the start of what passed the place of the start"),
    },
    signed=("dx", "dy", "dx_eulerian", "dy_eulerian"),
) | flags(("point", "time"))
