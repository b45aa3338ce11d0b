"""screen(): outliers and doubtful matches become NaN and a flag."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset._blocks import halos
from xoffset._kernels.maps import neighbours
from xoffset.model import checks, grids, products
from xoffset.model.dates import Duration
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.lazy import in_few_tasks
from xoffset.model.points import places_of, takes_points
from xoffset.screening import separation, stages
from xoffset.screening.judgement import THRESHOLDS, Judgement, Sampling

# Largest difference of two displacements over the distance of their nodes: a window that is sheared more does not
# measure the motion of one place. A synthetic glacier under clouds keeps 1.4 % of outliers; with a tenth, 1.7 %.
LARGEST_STRAIN = 1.0 / 12.0
# Probability of a match by chance above which `screen` flags it, unless it is told another.
DEFAULT_FALSE_ALARM = 0.01
# Probability of another match above which `screen` flags it, unless it is told another.
DEFAULT_AMBIGUITY = 0.05


@in_few_tasks
@takes_points
def screen(
    shifts: xr.Dataset,
    *,
    min_score: float | None = None,
    min_peak_gap: float | None = None,
    false_alarm: float | None = DEFAULT_FALSE_ALARM,
    ambiguity: float | None = DEFAULT_AMBIGUITY,
    neighbourhood: bool = True,
    max_separation: Literal["auto"] | Duration | None = None,
    min_valid_fraction: float | None = None,
    pycorr: tuple[float, float, float] | None = None,
    min_peak_ratio: float | None = None,
    max_mismatch: float | None = None,
    max_displacement: float | str | None = None,
    max_speed: float | None = None,
    direction: xr.DataArray | xr.Dataset | None = None,
    max_angle: float | None = None,
    ndc: float | None = None,
    median_test: float | None = None,
    max_range: float | None = None,
    max_angle_spread: float | None = None,
    max_deviation: float | None = None,
    max_closure: float | None = None,
    min_clump: int | None = None,
) -> xr.Dataset:
    """Shifts without the matches that are weak, ambiguous, due to chance, at odds with others, or locked.

    Nothing is deleted in silence: each stage has a flag of its own, and `losses` counts what each took.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`.
    min_score
        Least correlation, 0 to 1; below it a match is flagged `low_score`. None tests nothing. 0.5 removes most of what
        clouds leave at 32 px windows.
    min_peak_gap
        Least difference between the peak and the best score elsewhere; below it, or where the gap is unknown, a match
        is flagged `low_gap`. None tests nothing. Dense matchers know no gap: this would remove all of their matches.
    false_alarm
        Largest probability, 0 to 1, that unrelated ground would reach the score; above it a match is flagged
        `insignificant`. It depends on the size of the window, on the search and on the texture of both images, so one
        number serves all of them. With `neighbourhood` a match is not judged alone: its score and the agreement of the
        windows around it that share no pixel with it are one piece of evidence, see Notes; a weak match that they
        confirm is kept, one that stands alone must be far more significant, and of unrelated ground about a hundredth
        of `false_alarm` is left; so it is of dense matches, which are judged by their own chance alone, since those
        around may be wrong alike. None tests nothing. Shifts that carry no such probability, such as those of other
        software, are left untested at the default and refused at any other number.
    ambiguity
        Largest probability, 0 to 1, that another peak is the match; above it a match is flagged `ambiguous`, unless
        `neighbourhood` is tested and windows that share no pixel with it, and have one peak only, agree with it.
        Matches that are all ambiguous do not confirm each other, since on a pattern that repeats the wrong ones agree
        too. None tests nothing; unknown (NaN) passes. Shifts without it are left untested at the default and refused
        at any other number.
    neighbourhood
        Whether to flag as `neighbourhood` every vector that is far from the vector median of the nodes around it
        (5 x 5, as far as the grid and the search reach), and those of which less than half of these nodes hold a
        vector. Far is more than three times the distance that half of the neighbours keep, and more than four standard
        errors; more than a twelfth of the distance over two nodes is always far. What `false_alarm` or another limit
        removed does not count as a node; ambiguous matches, failed ones and ground without data do. A weak match
        (`false_alarm` above 1e-6) is flagged too if it lies up to 3.5 px beside what the independent windows around it
        found, by more than 0.85 px, or where these are certain 0.4 px and two of their standard errors: noise, or the
        edge of a cloud, moved it to the flank of the peak, where its standard error does not hold. A single node has no
        neighbours and is left untested.
    max_separation
        Longest time between the two dates of a pair, in either direction, such as `"200D"`; longer pairs are flagged
        `separation`. `"auto"`: told from the data, pixel by pixel, among the pairs that pass all other tests. Where the
        ground changes its appearance over long baselines, matches lock to what stays (stripes, shadows, the rock beside
        the ice), and their velocity is near zero. Pairs are sorted into bins of baselines; a bin is flagged if its
        median velocity is near zero while that of the shortest pairs is not. None tests nothing.

    min_valid_fraction
        Least share, 0 to 1, of the pixels of a window that both images must know at the match (`valid_fraction`); below
        it, or where it is unknown, a match is flagged `few_valid`, as are those below `min_valid` of the matcher, half
        unless told otherwise. None tests nothing. What is told by few pixels leans on one part of its window.
    pycorr
        The rule of pycorr, with its options dcam, cam and cam1, usually (0.05, 1.0, 0.0): a match is flagged `pycorr`
        if `peak_gap < dcam` and `score < cam`, or if `score < cam1`. A gap that is unknown is taken for less.
    min_peak_ratio
        Least ratio of the peak to the best score elsewhere, `score / (score - peak_gap)`, at least 1; below it, or
        where the gap is unknown, a match is flagged `low_ratio`. 1.3 is usual in particle image velocimetry.
    max_mismatch
        Largest `mismatch` in metres of the match and the one back; above it, or where there is none back, a match is
        flagged `forward_backward`. It needs shifts of `NCC(both_ways=True)`, which has flagged the gross ones itself.
    max_displacement, max_speed
        Longest displacement in metres, or in pixels of the images as a text such as `"10 px"`, and largest speed in
        metres a year; matches beyond are flagged `amplitude`.
    direction
        Where the ground moves to, on a map (y, x) that covers the nodes: azimuths in degrees clockwise from the north
        of the grid, not true north, such as the aspect of the slope, or a Dataset with vx and vy, or dx and dy; one
        displacement with the coordinates `reference` and `secondary` may be backward in time. A match is flagged
        `direction` if it leaves all directions within `max_angle` of it by more than two standard errors, so that
        ground that does not move is left alone; those that are unknown count as 0.1 px, as 0 in shifts that do not
        tell their pixel. Radians are turned into degrees where the attribute `units` says so; without it the log tells
        of maps in memory that look like radians. Nothing is tested where the map is unknown: NaN, beyond 360 degrees,
        or -1, which is level ground in aspects of other software. Of another grid the nearest pixel counts; of another
        CRS, or from true north as its attributes say, it is refused. Correct the shifts before: misplaced images move
        stable ground, too. Smooth elevations to the size of a window before their aspect: the slope of a boulder is
        none of the ground.
    max_angle
        Largest angle in degrees from `direction`; None takes 45.
    ndc
        Normalised displacement coherence as in autoRIFT: distance, as a share of the half-range of the search, at which
        two displacements agree; autoRIFT takes 0.2. A match is flagged `ndc` if fewer than 8 of the 5 x 5 nodes around
        it, itself included, agree with it along x and along y, three times in a row, or if it is farther from their
        median than four times their median distance from it, and than 1/8 px, twice. The wider the search, the laxer.
    median_test
        Largest distance from the median of the 8 nodes around, in units of their median distance from it plus 0.1 px
        (the normalised median test; 2 is usual). A match beyond is flagged `median_test`, as are those of which less
        than half of these nodes hold a vector. Windows that overlap much make neighbours agree, so 3 suits them better.
    max_range
        Largest range of the motion within a window, in pixels; 3 is what correlation bears with windows of 32 and 64
        px and the usual filter, 2 with windows of 16 px. A match beyond does not tell the mean motion of its window but
        holds on to the part that moves most alike, with a standard error that does not know it, and is flagged
        `sheared`. The range is told by the displacements up to
        half a window away, less what noise makes of their differences; those that lack are laid in between, over two
        windows at most, since sheared ground loses matches. `widen_sheared` widens what is made of the others.
    max_angle_spread
        Largest angle in degrees between a match and the median velocity of its pixel, as in TICOI, which takes 45;
        beyond it, by more than two standard errors, a match is flagged `angle_spread`. Not tested where the median is
        not clear, at three of its standard errors. It takes 5 pairs in a pixel. Unknown standard errors count as for
        `direction`.
    max_deviation
        Largest distance, along x or y, of the velocity of a match from the median of its pixel, in robust standard
        deviations (1.4826·MAD) of these velocities and in standard errors of the match, whichever is larger; beyond it
        a match is flagged `temporal_outlier`. TICOI takes 3.5. It takes 5 pairs in a pixel. Standard errors that are
        unknown count as 0.1 px; in shifts that do not tell their pixel only the deviations tell, and nothing is tested
        where these are zero, as of displacements in whole pixels. Sudden motion is an outlier too: leave this out for
        earthquakes and surges.
    max_closure
        Largest misclosure of three dates in its standard errors, beside what motion changes between the places of
        matches. A match is flagged `closure` if it belongs to such triplets and none of them closes: one that does
        confirms it. Matches without a triplet are not tested, nor are triplets of which a standard error is unknown;
        errors that belong to a date close always.
    min_clump
        Least number of vectors that must touch each other, at sides or corners, once all else is done; those of smaller
        clumps are flagged `small_clump`.

    Returns
    -------
    xarray.Dataset
        Shifts whose `dx`, `dy`, `sigma_dx`, `sigma_dy` and `cov_dxdy` are NaN where a test fails; `flags` tells
        which. `score`, `peak_gap`, `false_alarm`, `ambiguity`, `valid_fraction` and earlier flags stay. Lazy if
        `shifts` is.

    Raises
    ------
    TypeError, ValueError
        If `shifts` is no result of `correlate`, a limit is out of range, a separation is no length of time, `direction`
        is no map of one or lies elsewhere, or shifts lack what a test needs: a variable, a grid, or enough pairs.

    Notes
    -----
    Stages, in order: limits of each match by itself (`min_valid_fraction`, `pycorr`, `min_peak_ratio`, `max_mismatch`,
    `max_displacement`, `max_speed`, `direction`, `min_score`, `min_peak_gap`), chance and ambiguity, the vector median,
    `ndc` and `median_test`, `max_range`, `max_angle_spread`, `max_deviation` and `max_closure`, `max_separation`,
    `min_clump`. Each looks at what the earlier ones left; those that stand together here do not look at each other. A
    vector may bear several flags.

    Vector median after Astola et al. (1990, Proc. IEEE 78, 678-689), normalised median test after Westerweel & Scarano
    (2005, Exp. Fluids 39, 1096-1100), NDC after Gardner et al. (2018, The Cryosphere 12, 521-547), tests of angle and
    deviation over time after Charrier et al. (2022, IEEE Trans. Geosci. Remote Sens. 60, 4411611).

    Evidence is a likelihood ratio against unrelated ground, whose matches lie anywhere in the area searched: that of
    the false alarm (Vovk & Wang 2021, Ann. Stat. 49, 1736-1754), times that of the differences from up to 24 windows
    at one and two window sides, as far as standard errors and a gradient of 3 % explain them. Its mean over unrelated
    ground is at most one whatever the number of neighbours, so it exceeds 100·(1/false_alarm - 1) in no more than
    about false_alarm/100 of the vectors. What it needs to know are the coordinates `pixel_size`, `window_size` and
    `search_area` of `correlate`; without them each match is judged alone, and what is removed counts as missing.
    Dense matches are tied to those around, and patches of any size may be wrong alike: where the coordinate `tied_size`
    says so (infinity; a finite one stands for the window), a match has to have a chance below about `false_alarm`/100
    by itself.
    The standard errors are those of matches on the right peak; errors above a pixel are what these tests are for.

    `max_separation="auto"` sorts the observations (matches of the same two dates are one) into the bins of ITS_LIVE: 0,
    16, 32, 64, 128, 256 and more days. From short to long, each bin of 6 or more is compared with all shorter ones
    together, the mean of their median velocities weighted by the standard errors of these. A bin is dropped if in the
    direction of that mean its median is slower by 4.5 standard errors of both, if it keeps at most a quarter of the
    speed, and if the shorter ones are faster than 5 m/yr by two standard errors; beside the shortest bin dropped, the
    halves next to its edge are judged by themselves. At last the dropped are compared with the shorter ones year by
    year: what moved at another time is not locked. The noise of single pairs does not matter (ITS_LIVE asks that
    bins part by their spread), nor how many are locked.

    Ground that does not move loses a bin in 0.3 to 1.1 % of the pixels with 6 to 10 observations a bin, in less with
    more; ground under 5 m/yr, or that has seasons, surges, decays or accelerates, in no more. Slow ground whose short
    pairs tell nothing but noise is left alone, even if its long pairs are locked: that needs a limit. So is a bin of
    which less than half is locked. An error that all pairs of the shortest bin have alike, such as a shift between two
    sensors that always come in this order, looks like motion.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((128, 128), dates=["2020-01-01", "2020-03-01", "2021-01-01"], snr=4.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> screened = xoffset.screen(shifts, min_score=0.5, max_separation="200D")

    How many pairs the last test removed at each node, and which baselines these are, in days:

    >>> is_dropped = (screened.flags & xoffset.flags.FLAGS["separation"]) > 0
    >>> number = is_dropped.sum("pair")
    >>> (screened.secondary - screened.reference).dt.days.values[is_dropped.any(("y", "x"))]
    array([366, 306])
    """
    shifts = checks.as_shifts(shifts, "screen")
    neighbourhood = _options.as_switch(neighbourhood, "neighbourhood", "screen")
    asked = {
        "min_valid_fraction": min_valid_fraction, "pycorr": pycorr, "min_peak_ratio": min_peak_ratio,
        "max_mismatch": max_mismatch, "max_displacement": max_displacement, "max_speed": max_speed,
        "direction": direction, "max_angle": max_angle, "ndc": ndc, "median_test": median_test, "max_range": max_range,
        "max_angle_spread": max_angle_spread, "max_deviation": max_deviation, "max_closure": max_closure,
        "min_clump": min_clump,
    }  # fmt: skip
    _check_grid(shifts, ["neighbourhood"] * neighbourhood + stages.of_grid(asked))
    longest = separation.longest(max_separation)
    if _options.is_number(false_alarm) and false_alarm == DEFAULT_FALSE_ALARM and "false_alarm" not in shifts:
        false_alarm = None
    if _options.is_number(ambiguity) and ambiguity == DEFAULT_AMBIGUITY and "ambiguity" not in shifts:
        ambiguity = None
    scores = {
        "min_score": min_score, "min_peak_gap": min_peak_gap, "false_alarm": false_alarm, "ambiguity": ambiguity,
    }  # fmt: skip
    # a single node has no neighbours, so nothing is at odds with it
    has_neighbours = neighbourhood and shifts.sizes["y"] * shifts.sizes["x"] > 1
    is_auto = max_separation is not None and longest is None
    flags = flags_of(shifts, "screen")
    thresholds = {name: limit for name, limit in scores.items() if limit is not None}
    _check_thresholds(shifts, thresholds)
    others = stages.checked(shifts, asked)

    failed = _failed(shifts, flags, thresholds, has_neighbours, others.of_vectors(shifts))
    failed = others.of_windows(shifts, others.of_neighbours(shifts, failed))
    failed = others.of_pixels(shifts, failed)
    if longest is not None:
        is_long = np.abs((shifts["secondary"] - shifts["reference"]).values) > longest
        failed = failed | (is_long * np.int64(FLAGS["separation"]))[:, np.newaxis, np.newaxis]
    if is_auto:
        failed = failed | separation.locked(shifts, failed) * np.int64(FLAGS["separation"])
    failed = others.of_clumps(shifts, failed)

    step: dict[str, Any] = {"function": "screen"}
    step |= {name: None if limit is None else float(limit) for name, limit in scores.items()}
    step |= {
        "neighbourhood": neighbourhood,
        "max_separation": max_separation if longest is None else str(pd.Timedelta(longest)),
    } | others.record  # fmt: skip
    if is_auto:
        step["separation"] = separation.RULES
    return stages.without_failed(shifts, flags, failed, step)


def _check_grid(shifts: xr.Dataset, asked: list[str]) -> None:
    """Refuse to compare the neighbours of scattered points."""
    if asked and places_of(shifts) is not None:
        advice = "Pass neighbourhood=False" if asked[0] == "neighbourhood" else f"Leave {asked[0]} out"
        raise ValueError(
            f"screen() needs a grid to compare neighbours; got scattered points. {advice}, or screen the grid before "
            "you pick points of it."
        )


def _check_thresholds(shifts: xr.Dataset, thresholds: dict[str, float]) -> None:
    for name, limit in thresholds.items():
        _options.check_share(limit, name, "screen")
        if THRESHOLDS[name][0] not in shifts:
            raise ValueError(
                f"screen() needs '{THRESHOLDS[name][0]}' for {name}; got shifts without it. Leave {name} out."
            )


def _failed(shifts: xr.Dataset, flags: Any, limits: dict[str, float], has_neighbours: bool, earlier: Any) -> Any:
    """Flags of the tests that vectors fail (pair, y, x), int64; NO_VALUE where there is none to test."""
    judgement = Judgement(limits, has_earlier=earlier is not None)
    if has_neighbours:
        spacing = grids.spacing(shifts, "screen")
        farthest = LARGEST_STRAIN * neighbours.RADIUS * max(abs(spacing.x), abs(spacing.y))
        judgement = Judgement(limits, (spacing.y, spacing.x), farthest, _sampling(shifts), earlier is not None)
    names = ("dx", "dy", "sigma_dx", "sigma_dy", *judgement.names)
    fields = [flags, *(shifts[name].data for name in names), *([] if earlier is None else [earlier])]
    return halos.with_halo(judgement.failed, fields, judgement.depth, np.dtype(np.int64))


def _sampling(shifts: xr.Dataset) -> Sampling | None:
    """How the ground was sampled, of several pairs what makes the least of their agreement; None if unknown."""
    if not set(products.SAMPLING) <= set(shifts.coords):
        return None
    sizes, windows, areas = (np.asarray(shifts[name].values, dtype=np.float64) for name in products.SAMPLING)
    apart = windows.max()
    if products.TIED_SIZE in shifts.coords:
        apart = np.fmax(apart, shifts[products.TIED_SIZE].values).max()
    found = Sampling(float(sizes.min()), float(apart), float(areas.min()))
    is_known = np.isfinite([sizes.min(), windows.max(), areas.min()]).all() and min(found) > 0.0
    return found if is_known else None
