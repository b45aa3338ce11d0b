"""Registry of all variables that products hold: name, dims, units, long name, whether signed and whether cyclic.

There is a table for each product, since the same name means other things in other products.
"""

from __future__ import annotations

import math

from xoffset.model import components
from xoffset.model.change_variables import FAILURE as FAILURE
from xoffset.model.change_variables import ONSET as ONSET
from xoffset.model.correction_variables import COREGISTRATION, OF_CORRECTION
from xoffset.model.light_variables import LIGHT as LIGHT
from xoffset.model.light_variables import OF_REMOVAL, OF_SUN, SUN_CONDITION
from xoffset.model.network_variables import DIAGNOSIS as DIAGNOSIS
from xoffset.model.pixel_variables import ANGLES as ANGLES
from xoffset.model.pixel_variables import CLASSES as CLASSES
from xoffset.model.pixel_variables import DETECTORS as DETECTORS
from xoffset.model.pixel_variables import PIXEL_CLASSES as PIXEL_CLASSES
from xoffset.model.pixel_variables import TERRAIN as TERRAIN
from xoffset.model.pixel_variables import USABLE as USABLE
from xoffset.model.quality_variables import AREA_MEAN as AREA_MEAN
from xoffset.model.quality_variables import COMPARISON as COMPARISON
from xoffset.model.quality_variables import COMPARISON_RATE as COMPARISON_RATE
from xoffset.model.quality_variables import STABLE as STABLE
from xoffset.model.quality_variables import STABLE_RATE as STABLE_RATE
from xoffset.model.quality_variables import TUNING as TUNING
from xoffset.model.quality_variables import TUNING_EVENT as TUNING_EVENT
from xoffset.model.section_variables import PROFILE as PROFILE
from xoffset.model.section_variables import PROFILE_RATE as PROFILE_RATE
from xoffset.model.section_variables import STRAIN as STRAIN
from xoffset.model.section_variables import STRAIN_RATE as STRAIN_RATE
from xoffset.model.section_variables import TRAJECTORY as TRAJECTORY
from xoffset.model.tables import Table, Variable
from xoffset.model.tables import components_of as _components
from xoffset.model.tables import flags as _flags
from xoffset.model.tables import shared_errors_of as _shared_errors
from xoffset.model.tables import table as _table
from xoffset.model.topography_variables import OF_TOPOGRAPHY
from xoffset.model.topography_variables import THINNING as THINNING

_TURN = 360.0  # [degree] after which a direction is the same again
# Size of a degree in the units of angles.
_DEGREES = dict.fromkeys(("degree", "degrees", "deg", "°"), 1.0)
_DEGREES |= dict.fromkeys(("rad", "radian", "radians"), math.pi / 180.0)
_YEAR_DAYS = 365.25  # of a year, to make two dates always as far apart in years as in days


def is_signed(name: object) -> bool:
    """Whether a product has a variable of this name, and it is signed."""
    known = _BY_NAME.get(str(name))
    return known is not None and known.is_signed


def period_of(name: object, units: object) -> float | None:
    """Period of a cyclic variable, in its units; None of all others, and where the units do not tell.

    An angle is cyclic in degrees and in radians. Of the variables that are not ours, those in degrees are taken for
    directions.
    """
    known = _BY_NAME.get(str(name))
    degrees = _DEGREES.get(str(units))
    if known is not None and known.period is not None:
        if units in (None, known.units):
            return known.period
        return known.period * degrees if degrees and known.units == "degree" else None
    is_angle = known is not None and known.units == "degree"  # an elevation, which ends at the zenith
    return _TURN if degrees == 1.0 and not is_angle else None


def is_cyclic(name: object, units: object) -> bool:
    """Whether values of a variable go round, so that a mean of them may be far from all."""
    known = _BY_NAME.get(str(name))
    return period_of(name, units) is not None or (known is not None and known.period is not None)


# ---------------------------------------------------------------------------------------------------------------- dims


_MAP = ("y", "x")
_PAIR_MAPS = ("pair", *_MAP)
_TIME_MAPS = ("time", *_MAP)
_YEAR_MAPS = ("year", *_MAP)
_INTERVAL_MAPS = ("interval", *_MAP)
_ANY_MAPS = ("...", *_MAP)

# --------------------------------------------------------------------------------------------------- tables by product

SHIFTS = _table(
    _PAIR_MAPS,
    {
        "dx": ("m", "displacement along x"),
        "dy": ("m", "displacement along y"),
        "score": ("1", "zero-mean normalised cross-correlation at the match"),
        "peak_gap": ("1", "correlation peak minus the best one elsewhere"),
        "sigma_dx": ("m", "standard error of the displacement along x"),
        "sigma_dy": ("m", "standard error of the displacement along y"),
        "cov_dxdy": ("m2", "covariance of the displacements along x and y"),
        "valid_fraction": ("1", "share of the window's pixels that both images know at the match"),
        "false_alarm": ("1", "probability that unrelated ground reaches the score"),
        "ambiguity": ("1", "probability that another peak is the match"),
        "template_size": ("pixel", "side of the window"),
        "curvature_x": ("pixel-2", "second derivative of the correlation along x at the match, the sign turned"),
        "curvature_y": ("pixel-2", "second derivative of the correlation along y at the match, the sign turned"),
        "mismatch": ("m", "length of the displacement plus the one back"),
        "snr": ("1", "signal-to-noise ratio, as the system counts it that has measured"),
        "n_bands": (None, "number of bands that agree"),
        "sigma_factor_dx": ("1", "factor that stable ground gave to the standard error along x"),
        "sigma_factor_dy": ("1", "factor that stable ground gave to the standard error along y"),
    },
    signed=("dx", "dy", "cov_dxdy"),
) | _flags(_PAIR_MAPS)
SHIFTS |= _table(
    ("pair",),
    {
        "sigma_factor_error": ("1", "relative standard error of the factors of the pair"),
        "band_spread": ("1", "squared differences of bands over those that independent standard errors allow"),
        "band_correlation": ("1", "correlation of the errors of the bands"),
    },
)
SHIFTS |= OF_CORRECTION | OF_TOPOGRAPHY

_LOSSES = {
    "lost": (None, "number of vectors that the stage took, each counted at one stage"),
    "flagged": (None, "number of missing vectors that bear the flag of the stage"),
    "left": (None, "number of vectors that are left after the stage"),
}
LOSSES = _table(("stage", "pair"), _LOSSES)

SERIES = (
    _table(
        _TIME_MAPS,
        {
            "dx": ("m", "displacement along x since the reference date"),
            "dy": ("m", "displacement along y since the reference date"),
            "sigma_dx": ("m", "standard error of this date along x"),
            "sigma_dy": ("m", "standard error of this date along y"),
        },
        signed=("dx", "dy"),
    )
    | _flags(_TIME_MAPS)
    | _table(
        _MAP,
        {
            "rms": ("m", "root mean square misclosure of the pairs"),
            "n_pairs": (None, "number of pairs with a value"),
            "n_components": (None, "number of unconnected groups of dates"),
            "n_outliers": (None, "number of pairs far beyond the misclosure of the others"),
            "pair_share": ("1", "share of the variance of a pair that is its own, not that of its dates"),
            "sigma_drift_dx": ("m yr-1", "standard error of a velocity along x by noise of the pairs that piles up"),
            "sigma_drift_dy": ("m yr-1", "standard error of a velocity along y by noise of the pairs that piles up"),
            "smooth": ("yr m-1", "strength of the smoothness"),
        },
    )
    | OF_REMOVAL
    | _table(
        ("time",),
        {
            "geolocation_dx": ("m", "displacement along x of stable ground as a whole, not removed"),
            "geolocation_dy": ("m", "displacement along y of stable ground as a whole, not removed"),
            "sigma_shift": ("m", "standard error of this date as a whole, which the whole map shares"),
        },
        signed=("geolocation_dx", "geolocation_dy"),
    )
    | _table(
        (),
        {"sigma_shift_drift": ("m yr-1", "standard error of a velocity that the map shares, by errors that pile up")},
    )
)

RATE = _table(
    _MAP,
    {
        "vx": ("m yr-1", "velocity along x"),
        "vy": ("m yr-1", "velocity along y"),
        "sigma_vx": ("m yr-1", "standard error of the velocity along x"),
        "sigma_vy": ("m yr-1", "standard error of the velocity along y"),
        "v": ("m yr-1", "speed"),
        "v_debiased": ("m yr-1", "speed without what noise adds to it"),
        "direction": ("degree", "direction of motion, clockwise from grid north"),
        "sigma_vx_bootstrap": ("m yr-1", "standard error of the velocity along x, from resampled dates"),
        "sigma_vy_bootstrap": ("m yr-1", "standard error of the velocity along y, from resampled dates"),
        "n_pairs": (None, "number of pairs of dates that took part"),
        "n_dates": (None, "number of dates that took part"),
        "first": (None, "first date that took part"),
        "last": (None, "last date that took part"),
    },
    signed=("vx", "vy"),
    periods={"direction": _TURN},
) | _flags(_MAP)
RATE |= _shared_errors(RATE, "vx") | SUN_CONDITION


def _season(season: str, period: str, days: float) -> dict[str, Variable]:
    day = f"days from 1 January to the first maximum of the {period}"
    return (
        _components(_MAP, f"{season}_d{{}}", "m", f"amplitude of the cycle of a {period}", is_signed=False)
        | _components(_MAP, f"{season}_day_{{}}", "day", day, is_signed=False, period=days)
        | _components(_MAP, f"{season}_sin_d{{}}", "m", f"sine coefficient of the {period}")
        | _components(_MAP, f"{season}_cos_d{{}}", "m", f"cosine coefficient of the {period}")
    )


DECOMPOSITION = (
    _components(_MAP, "v{}", "m yr-1", "velocity")
    | _components(_MAP, "a{}", "m yr-2", "acceleration")
    | _season("annual", "year", _YEAR_DAYS)
    | _season("semiannual", "half year", _YEAR_DAYS / 2.0)
    | OF_SUN
    # steps of given dates have a dim of their own, the one that is searched has none
    | _components(_ANY_MAPS, "step_d{}", "m", "step")
    | _components(("exponential", *_MAP), "exponential_d{}", "m", "amplitude of the exponential decay")
    | _components(("logarithmic", *_MAP), "logarithmic_d{}", "m", "amplitude of the logarithmic decay")
    | _table(
        _MAP,
        {
            "step_date": (None, "date of the step, middle of the interval that holds it"),
            "rms": ("m", "root mean square residual"),
        },
    )
    | _flags(_MAP)
)
DECOMPOSITION |= _shared_errors(DECOMPOSITION, "vx")

COSEISMIC = (
    _components(_MAP, "d{}", "m", "displacement of the event")
    | _components(_MAP, "v{}", "m yr-1", "velocity")
    | _components(_MAP, "postseismic_d{}", "m", "amplitude of the logarithmic decay")
    | _table(_MAP, {"rms": ("m", "root mean square residual")})
    | _flags(_MAP)
)
COSEISMIC |= _shared_errors(COSEISMIC, "dx")

ANNUAL = (
    _components(_YEAR_MAPS, "v{}", "m yr-1", "mean velocity of the year")
    | _table(
        _YEAR_MAPS,
        {"v": ("m yr-1", "speed"), "n_pairs": (None, "number of pairs centred in the year that took part")},
    )
    | _flags(_YEAR_MAPS)
)
ANNUAL |= _shared_errors(ANNUAL, "vx")

INTERVALS = (
    _components(_INTERVAL_MAPS, "v{}", "m yr-1", "mean velocity of the interval")
    | _table(
        _INTERVAL_MAPS,
        {
            "v": ("m yr-1", "speed"),
            "direction": ("degree", "direction of motion, clockwise from grid north"),
            "n_pairs": (None, "number of pairs of dates that span the interval"),
        },
        periods={"direction": _TURN},
    )
    | _flags(_INTERVAL_MAPS)
)
INTERVALS |= _shared_errors(INTERVALS, "vx")

MISCLOSURE = _table(
    _PAIR_MAPS,
    {
        "residual_dx": ("m", "shift of the pair minus what the series moves, along x"),
        "residual_dy": ("m", "shift of the pair minus what the series moves, along y"),
    },
    signed=("residual_dx", "residual_dy"),
) | _table(
    _TIME_MAPS,
    {
        "rms_dx": ("m", "root mean square residual of the pairs of the date, along x"),
        "rms_dy": ("m", "root mean square residual of the pairs of the date, along y"),
    },
)

CLOSURE = (
    _table(
        _PAIR_MAPS,
        {
            "closure": ("m", "root mean square misclosure of the triplets of the pair, over the root of 3"),
            "tolerance": ("m", "misclosure that standard errors and motion allow"),
            "n_triplets": (None, "number of triplets of the pair"),
        },
    )
    | _table(
        _TIME_MAPS,
        {
            "date_closure": ("m", "root mean square misclosure of the triplets of the date, over the root of 3"),
            "date_n_triplets": (None, "number of triplets of the date"),
        },
    )
    | _table(
        ("pair",),
        {
            "median_closure": ("m", "median of the closure over the map"),
            "share_beyond": ("1", "share of the nodes whose closure is beyond the tolerance"),
            "spread": ("m", "spread on stable ground"),
            "sigma_factor": ("1", "factor for the standard errors of the pair"),
        },
    )
    | _table(
        ("time",),
        {
            "date_median_closure": ("m", "median of date_closure over the map"),
            "date_share_beyond": ("1", "share of the values of the pairs of the date beyond the tolerance"),
            "date_error": ("m", "error of the date if it alone is to blame for the misclosure of its triplets"),
            "date_spread": ("m", "share of the date in the spread of its pairs on stable ground"),
            "is_bad": (None, "closure or spread far above those of the other dates"),
        },
    )
    | _flags(_PAIR_MAPS)
)

# matches of the same two dates are one pair
_PAIRS = _table(_MAP, {"n_pairs": (None, "number of pairs of dates with a value")})

MEAN_DISPLACEMENT = (
    _table(
        _MAP,
        {
            "dx": ("m", "mean displacement of the pairs along x"),
            "dy": ("m", "mean displacement of the pairs along y"),
            "sigma_dx": ("m", "standard error of the mean displacement along x"),
            "sigma_dy": ("m", "standard error of the mean displacement along y"),
            "magnitude": ("m", "length of the mean displacement"),
            "mean_magnitude": ("m", "mean length of the displacements, which noise makes too large"),
        },
        signed=("dx", "dy"),
    )
    | _PAIRS
    | _flags(_MAP)
)
MEAN_DISPLACEMENT |= _shared_errors(MEAN_DISPLACEMENT, "dx")

MEAN_VELOCITY = RATE | _PAIRS

COHERENCE = (
    _table(
        _MAP,
        {
            "vector_coherence": (
                "1",
                "length of the sum of the displacements in a window over the sum of their lengths",
            ),
            "normalised_vector_coherence": ("1", "length of the mean direction of the pairs"),
            "noise_floor": ("1", "normalised vector coherence of noise alone"),
            "debiased_vector_coherence": ("1", "normalised vector coherence without the part of noise"),
        },
    )
    | _PAIRS
    | _flags(_MAP)
)

QUALITY = _table(
    _MAP,
    {
        "quality": ("percent", "share of all pairs of dates whose score exceeds the threshold"),
        "quality_of_valid": ("percent", "share of the pairs of dates with a score whose score exceeds the threshold"),
        "n_valid": (None, "number of pairs of dates with a score"),
    },
) | _flags(_MAP)

_OF_GRIDS: tuple[Table, ...] = (
    SHIFTS, SERIES, RATE, DECOMPOSITION, COSEISMIC, ANNUAL, INTERVALS, CLOSURE, DIAGNOSIS, MEAN_DISPLACEMENT,
    MEAN_VELOCITY, COHERENCE, QUALITY, STRAIN, STRAIN_RATE, PROFILE, PROFILE_RATE, TRAJECTORY,
)  # fmt: skip
COMPONENTS = components.of_tables(_OF_GRIDS)
GROUND = components.turned(_OF_GRIDS, COMPONENTS) | _table(
    _ANY_MAPS,
    {
        "v": ("m yr-1", "speed, metres of ground"),
        "v_debiased": ("m yr-1", "speed without what noise adds to it, metres of ground"),
        "direction": ("degree", "direction of motion, clockwise from true north"),
        "magnitude": ("m", "length of the mean displacement, metres of ground"),
    },
    periods={"direction": _TURN},
)
TABLES: tuple[Table, ...] = (
    *_OF_GRIDS, GROUND, ANGLES, DETECTORS, CLASSES, PIXEL_CLASSES, USABLE, TERRAIN, STABLE, STABLE_RATE, AREA_MEAN,
    COMPARISON, COMPARISON_RATE, TUNING, TUNING_EVENT, LOSSES, COREGISTRATION, THINNING, LIGHT, MISCLOSURE, ONSET,
    FAILURE,
)  # fmt: skip
# sign and period go with the name, whatever the product
_BY_NAME: Table = {name: variable for table in TABLES for name, variable in table.items()}
