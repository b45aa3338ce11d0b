"""Variables that corrections add to shifts."""

from __future__ import annotations

from xoffset.model.tables import table


def _of_axis(axis: str) -> dict[str, tuple[str | None, str]]:
    of = f"displacement along {axis} on stable ground"
    return {
        f"median_before_d{axis}": ("m", f"median of the {of} before the correction"),
        f"median_after_d{axis}": ("m", f"median of the {of} after the correction"),
        f"nmad_before_d{axis}": ("m", f"spread of the {of} before the correction, 1.4826 times the median deviation"),
        f"nmad_after_d{axis}": ("m", f"spread of the {of} after the correction, 1.4826 times the median deviation"),
        f"sigma_ratio_d{axis}": ("1", f"spread of the {of} after the correction in units of its standard errors"),
    }


COREGISTRATION = table(
    ("time",),
    {
        "misregistration_dx": ("m", "displacement along x of the image as a whole"),
        "misregistration_dy": ("m", "displacement along y of the image as a whole"),
        "sigma_shift": ("m", "standard error of the position of the image"),
        "n_pairs": (None, "number of pairs that tell of the date"),
        "group": (None, "number of the group of dates that pairs tie together, 0 for a date that none ties"),
    },
    signed=("misregistration_dx", "misregistration_dy"),
) | table(
    ("time", "term"),
    {
        "ramp_dx": ("m", "factor of a term of the displacement along x of the image"),
        "ramp_dy": ("m", "factor of a term of the displacement along y of the image"),
    },
    signed=("ramp_dx", "ramp_dy"),
)
OF_CORRECTION = table(
    ("pair", "y", "x"),
    {
        "removed_dx": ("m", "displacement along x that corrections took off"),
        "removed_dy": ("m", "displacement along y that corrections took off"),
    },
    signed=("removed_dx", "removed_dy"),
) | table(
    ("pair",),
    {
        "n_stable": (None, "number of vectors on stable ground"),
        "sigma_shift": ("m", "standard error of the pair as a whole, common to all its vectors"),
        "sigma_shift_dates": ("m", "part of the standard error of the pair as a whole that belongs to its two dates"),
        "sigma_shift_own": ("m", "part of the standard error of the pair as a whole that is its own, by itself"),
        "is_corrected": (None, "1 if the last correction took off the shift of the pair, 0 if it left it"),
        "order": (None, "order of the ramp that was taken off"),
        **_of_axis("x"),
        **_of_axis("y"),
    },
    signed=("median_before_dx", "median_before_dy", "median_after_dx", "median_after_dy"),
)
