"""Variables of what tells how good vectors are: statistics of stable ground, means over areas, comparisons."""

from __future__ import annotations

from xoffset.model.flags import flag_attrs
from xoffset.model.tables import Rows, Variable, components_of, table


def _flags(dims: tuple[str, ...]) -> dict[str, Variable]:
    return table(dims, {"flags": (None, flag_attrs()["long_name"])})


def _statistics_of_stable_ground(
    names: tuple[str, str], units: str, noun: str, strain: str | None
) -> dict[str, Variable]:
    """Statistics of vectors on stable ground; the strain along the flow is in units of its own."""
    found: dict[str, Variable] = {}
    for name, axis in zip(names, "xy", strict=True):
        of = f"{noun} along {axis} on stable ground"
        found |= table(
            ("...",),
            {
                f"median_{name}": (units, f"median of the {of}"),
                f"nmad_{name}": (units, f"spread of the {of}, 1.4826 times the median absolute deviation"),
                f"rmse_{name}": (units, f"root mean square of the {of}"),
                f"sigma_ratio_{name}": ("1", f"spread of the {of} in units of its standard errors"),
                f"uncertainty_{name}": (units, f"half width of the density of the {of} at two standard deviations"),
                f"bias_{name}": (units, f"peak of the density of the {of}"),
            },
            signed=(f"median_{name}", f"bias_{name}"),
        )
        if units == "m":
            found |= table(
                ("...",),
                {f"locking_{name}": ("1", f"preference of the {noun} along {axis} for whole pixels")},
                signed=(f"locking_{name}",),
            )
            text = f"share of the vectors by the part of a pixel of the {noun} along {axis}"
            found |= table(("...", "fraction"), {f"fraction_{name}": ("1", text)})
    half_width = "half width at two standard deviations of the density of the"
    return found | table(
        ("...",),
        {
            "n_stable": (None, "number of nodes on stable ground with a vector"),
            "valid_share": ("1", "share of the nodes that have a vector"),
            "wrong_share": ("1", "share of the vectors on stable ground far from the peak of their density"),
            "along_flow_normal": (strain, f"{half_width} extension along the flow"),
            "along_flow_shear": (strain, f"{half_width} shear along the flow"),
        },
    )


STABLE = _statistics_of_stable_ground(("dx", "dy"), "m", "displacement", "1")
STABLE_RATE = _statistics_of_stable_ground(("vx", "vy"), "m yr-1", "velocity", "yr-1")


def _of_tuning(units: str, noun: str) -> dict[str, Variable]:
    """What combinations of options make of a sample of scenes."""
    return table(
        ("trial",),
        {
            "spread": (units, f"spread of the {noun} of single matches on stable ground"),
            "coverage": ("1", "share of the nodes on stable ground with a match"),
            "retention": ("1", "median share of the planted motion that matches show"),
            "found": ("1", "share of the nodes in planted motion with a match that shows it"),
            "error": (units, f"error of the {noun} by which the choice is made"),
            "is_chosen": (None, "whether it has the least error"),
        },
    )


TUNING, TUNING_EVENT = _of_tuning("m yr-1", "velocity"), _of_tuning("m", "displacement")

AREA_MEAN = (
    components_of(("...",), "d{}", "m", "mean over the area of the displacement")
    | components_of(("...",), "v{}", "m yr-1", "mean over the area of the velocity")
    | table(
        ("...",),
        {
            "cov_dxdy": ("m2", "covariance of the means of the displacement along x and y"),
            "cov_vxvy": ("m2 yr-2", "covariance of the means of the velocity along x and y"),
            "n_nodes": (None, "number of nodes in the area with a vector"),
            "valid_share": ("1", "share of the nodes that have a vector"),
            "n_effective_x": ("1", "number of independent vectors that the mean along x is as good as"),
            "n_effective_y": ("1", "number of independent vectors that the mean along y is as good as"),
        },
        signed=("cov_dxdy", "cov_vxvy"),
    )
    | _flags(("...",))
)


def _comparison(units: str, noun: str) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for way in ("east", "north"):
        rows = {
            way: (units, f"{noun} toward true {way}, metres of ground"),
            f"table_{way}": (units, f"{noun} toward true {way} of the table, metres of ground"),
            f"residual_{way}": (units, f"{noun} toward true {way} less that of the table"),
        }
        errors = {
            f"sigma_{way}": (units, f"standard error of the {noun} toward true {way}"),
            f"table_sigma_{way}": (units, f"standard error of the {noun} toward true {way} of the table"),
            f"sigma_residual_{way}": (units, f"standard error of the residual toward true {way}"),
        }
        found |= table(("point",), rows | errors, signed=tuple(rows))
        summary = {
            f"bias_{way}": (units, f"mean residual toward true {way}"),
            f"rmse_{way}": (units, f"root mean square residual toward true {way}"),
            f"coverage_{way}": ("1", f"share of the residuals toward true {way} within 1.96 of their standard errors"),
        }
        found |= table((), summary, signed=(f"bias_{way}",))
    summary_of_both: Rows = {
        "n": (None, "number of points compared"),
        "rmse": (units, "root mean square length of the residuals"),
    }
    return found | table((), summary_of_both) | _flags(("point",))


COMPARISON = _comparison("m", "displacement")
COMPARISON_RATE = _comparison("m yr-1", "velocity")
