"""Registry of all variables: name, units, long name."""

from __future__ import annotations

from collections.abc import Mapping

# variable -> (units, long name); the units of a flag or a count are left out, as CF wants
SHIFTS = {
    "dx": ("m", "displacement along x"),
    "dy": ("m", "displacement along y"),
    "score": ("1", "zero-mean normalised cross-correlation at the match"),
    "peak_gap": ("1", "correlation peak minus the best one elsewhere"),
    "sigma_dx": ("m", "standard error of the displacement along x"),
    "sigma_dy": ("m", "standard error of the displacement along y"),
    "cov_dxdy": ("m2", "covariance of the displacements along x and y"),
    "false_alarm": ("1", "probability that unrelated ground reaches the score"),
    "template_size": ("pixel", "side of the window"),
    "mismatch": ("m", "length of the displacement plus the one back"),
}

SERIES = {
    "dx": ("m", "displacement along x since the reference date"),
    "dy": ("m", "displacement along y since the reference date"),
    "sigma_dx": ("m", "standard error of this date along x"),
    "sigma_dy": ("m", "standard error of this date along y"),
    "rms": ("m", "root mean square misclosure of the pairs"),
    "n_pairs": (None, "number of pairs with a value"),
    "n_components": (None, "number of unconnected groups of dates"),
    "n_outliers": (None, "number of pairs far beyond the misclosure of the others"),
    "pair_share": ("1", "share of the variance of a pair that is its own, not that of its dates"),
    "sigma_drift_dx": ("m yr-1", "standard error of a velocity along x by noise of the pairs that piles up"),
    "sigma_drift_dy": ("m yr-1", "standard error of a velocity along y by noise of the pairs that piles up"),
    "smooth": ("yr m-1", "strength of the smoothness"),
    "geolocation_dx": ("m", "displacement along x of stable ground as a whole, not removed"),
    "geolocation_dy": ("m", "displacement along y of stable ground as a whole, not removed"),
}

RATE = {
    "vx": ("m yr-1", "velocity along x"),
    "vy": ("m yr-1", "velocity along y"),
    "sigma_vx": ("m yr-1", "standard error of the velocity along x"),
    "sigma_vy": ("m yr-1", "standard error of the velocity along y"),
    "v": ("m yr-1", "speed"),
    "v_debiased": ("m yr-1", "speed without what noise adds to it"),
    "direction": ("degree", "direction of motion, clockwise from grid north"),
    "sigma_vx_bootstrap": ("m yr-1", "standard error of the velocity along x, from resampled dates"),
    "sigma_vy_bootstrap": ("m yr-1", "standard error of the velocity along y, from resampled dates"),
}


def _with_sigma(name: str, units: str, of: str) -> dict[str, tuple[str | None, str]]:
    """Labels of both components of a quantity and of their standard errors; {} in the name stands for x or y."""
    return {
        prefix + name.format(axis): (units, f"{error}{of} along {axis}")
        for prefix, error in (("", ""), ("sigma_", "standard error of the "))
        for axis in ("x", "y")
    }


DECOMPOSITION: dict[str, tuple[str | None, str]] = {
    **_with_sigma("v{}", "m yr-1", "velocity"),
    **_with_sigma("a{}", "m yr-2", "acceleration"),
    **{
        label: entry
        for season, period in (("annual", "year"), ("semiannual", "half year"))
        for label, entry in {
            **_with_sigma(f"{season}_d{{}}", "m", f"amplitude of the cycle of a {period}"),
            **_with_sigma(f"{season}_day_{{}}", "day", f"days from 1 January to the first maximum of the {period}"),
            **_with_sigma(f"{season}_sin_d{{}}", "m", f"sine coefficient of the {period}"),
            **_with_sigma(f"{season}_cos_d{{}}", "m", f"cosine coefficient of the {period}"),
        }.items()
    },
    **_with_sigma("step_d{}", "m", "step"),
    **_with_sigma("exponential_d{}", "m", "amplitude of the exponential decay"),
    **_with_sigma("logarithmic_d{}", "m", "amplitude of the logarithmic decay"),
    "step_date": (None, "date of the step, middle of the interval that holds it"),
    "rms": ("m", "root mean square residual"),
}

COSEISMIC: dict[str, tuple[str | None, str]] = {
    **_with_sigma("d{}", "m", "displacement of the event"),
    **_with_sigma("v{}", "m yr-1", "velocity"),
    **_with_sigma("postseismic_d{}", "m", "amplitude of the logarithmic decay"),
    "rms": ("m", "root mean square residual"),
}

ANNUAL: dict[str, tuple[str | None, str]] = {
    **_with_sigma("v{}", "m yr-1", "mean velocity of the year"),
    "v": ("m yr-1", "speed"),
    "n_pairs": (None, "number of pairs centred in the year that took part"),
}

CLOSURE: Mapping[str, tuple[str | None, str]] = {
    "closure": ("m", "root mean square misclosure of the triplets of the pair, over the root of 3"),
    "tolerance": ("m", "misclosure that standard errors and motion allow"),
    "n_triplets": (None, "number of triplets of the pair"),
    "date_closure": ("m", "root mean square misclosure of the triplets of the date, over the root of 3"),
    "date_n_triplets": (None, "number of triplets of the date"),
    "median_closure": ("m", "median of the closure over the map"),
    "share_beyond": ("1", "share of the nodes whose closure is beyond the tolerance"),
    "spread": ("m", "spread on stable ground"),
    "sigma_factor": ("1", "factor for the standard errors of the pair"),
    "date_median_closure": ("m", "median of date_closure over the map"),
    "date_share_beyond": ("1", "share of the values of the pairs of the date beyond the tolerance"),
    "date_error": ("m", "error of the date if it alone is to blame for the misclosure of its triplets"),
    "date_spread": ("m", "share of the date in the spread of its pairs on stable ground"),
    "is_bad": (None, "closure or spread far above those of the other dates"),
}

# matches of the same two dates are one pair
_PAIRS = {"n_pairs": (None, "number of pairs of dates with a value")}

MEAN_DISPLACEMENT = {
    "dx": ("m", "mean displacement of the pairs along x"),
    "dy": ("m", "mean displacement of the pairs along y"),
    "sigma_dx": ("m", "standard error of the mean displacement along x"),
    "sigma_dy": ("m", "standard error of the mean displacement along y"),
    "magnitude": ("m", "length of the mean displacement"),
    "mean_magnitude": ("m", "mean length of the displacements, which noise makes too large"),
} | _PAIRS

MEAN_VELOCITY = RATE | _PAIRS

COHERENCE = {
    "vector_coherence": ("1", "length of the sum of the displacements in a window over the sum of their lengths"),
    "normalised_vector_coherence": ("1", "length of the mean direction of the pairs"),
    "noise_floor": ("1", "normalised vector coherence of noise alone"),
    "debiased_vector_coherence": ("1", "normalised vector coherence without the part of noise"),
} | _PAIRS

QUALITY = {
    "quality": ("percent", "share of all pairs of dates whose score exceeds the threshold"),
    "quality_of_valid": ("percent", "share of the pairs of dates with a score whose score exceeds the threshold"),
    "n_valid": (None, "number of pairs of dates with a score"),
}

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


def _strain_table(units: str, suffix: str) -> dict[str, tuple[str, str]]:
    table = {name: (units, f"{text}{suffix}") for name, text in _STRAIN_NAMES.items()}
    errors = {f"sigma_{name}": (units, f"standard error: {table[name][1]}") for name in _STRAIN_ERRORS}
    return table | errors | _AZIMUTH


STRAIN = _strain_table("1", "")

STRAIN_RATE = _strain_table("yr-1", ", per year")


def _profile_table(units: str, noun: str) -> dict[str, tuple[str, str]]:
    table = {
        "parallel": (units, f"{noun} toward the strike"),
        "normal": (units, f"{noun} toward the right of the strike"),
    }
    return table | {f"sigma_{name}": (units, f"standard error: {text}") for name, (_, text) in table.items()}


PROFILE = _profile_table("m", "displacement")

PROFILE_RATE = _profile_table("m yr-1", "velocity")


def _ground_table(letter: str, units: str, square: str, noun: str) -> dict[str, tuple[str, str]]:
    east, north = f"{letter}_east", f"{letter}_north"
    return {
        east: (units, f"{noun} toward true east, metres of ground"),
        north: (units, f"{noun} toward true north, metres of ground"),
        f"sigma_{east}": (units, f"standard error of the {noun} toward true east"),
        f"sigma_{north}": (units, f"standard error of the {noun} toward true north"),
        f"cov_{east}_north": (square, f"covariance of the {noun}s toward true east and north"),
    }


GROUND = (
    _ground_table("d", "m", "m2", "displacement")
    | _ground_table("v", "m yr-1", "m2 yr-2", "velocity")
    | {
        "v": ("m yr-1", "speed, metres of ground"),
        "direction": ("degree", "direction of motion, clockwise from true north"),
        "magnitude": ("m", "length of the mean displacement, metres of ground"),
    }
)

TRAJECTORY = {
    "x": ("m", "x coordinate of the place of the point"),
    "y": ("m", "y coordinate of the place of the point"),
    "dx": ("m", "displacement along x since the start, along the path of the point"),
    "dy": ("m", "displacement along y since the start, along the path of the point"),
    "sigma_dx": ("m", "standard error of the displacement along x since the start"),
    "sigma_dy": ("m", "standard error of the displacement along y since the start"),
    "dx_eulerian": ("m", "displacement along x since the start of what passed the place of the start"),
    "dy_eulerian": ("m", "displacement along y since the start of what passed the place of the start"),
}
