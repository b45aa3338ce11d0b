"""closure(): what does not close around three dates, and the dates and pairs to blame."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset._arrays.layers import Layers
from xoffset._arrays.networks import graph, solver
from xoffset._arrays.networks.observations import Observations
from xoffset._blocks import halos, whole
from xoffset._kernels.networks.triplets import misclosure
from xoffset.model import checks, grids, products, variables
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.points import places_of, takes_points
from xoffset.model.stable import on_nodes

# Values that the medians over a map are taken of at most, as even a share of the nodes.
SAMPLE = 4_000_000
# Nodes on stable ground that a pair needs for a spread.
LEAST_STABLE = 10
# A date is bad beyond so many times the median of all dates, and so many times their spread above it.
FAR, FAR_SPREADS = 2.0, 3.5
# What is below this share of the standard errors is rounding, and no date is bad for it.
NEGLIGIBLE = 0.01
# Columns of the table by pair, then by date.
_OF_PAIRS = ("median_closure", "share_beyond", "spread", "sigma_factor")
_OF_DATES = ("date_median_closure", "date_share_beyond", "date_spread", "date_error", "is_bad")


class Network(NamedTuple):
    """Pairs in order of their dates, and the observations that they are matches of."""

    observations: Observations  # of the pairs in order of the dates
    of_pair: np.ndarray  # (pair,) observation of each pair, in the order of the shifts
    triplets: np.ndarray  # (triplet, 3) observations

    @property
    def ends(self) -> np.ndarray:
        """Dates of the observations (observation, 2), as indices."""
        return self.observations.ends

    @property
    def dates(self) -> int:
        """Number of dates."""
        return self.observations.dates


@takes_points
def closure(shifts: xr.Dataset, *, stable: xr.DataArray | None = None) -> xr.Dataset:
    """Misclosure around every three dates, by pair and by date, as maps and as a table that names bad dates.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, best after `screen`. A pair may occur more than once and in both
        directions: matches of the same two dates are merged first and share one result.
    stable
        True where the ground does not move (y, x), boolean, on the grid of the shifts or on the finer one of the stack.
        None: the spread on stable ground is left out.

    Returns
    -------
    xarray.Dataset
        On (pair, y, x): `closure` [m], the root mean square of ``|c|``/√3 over the triplets of the pair, the length of
        the error vector of a pair if the three of a triplet are alike; `tolerance` [m], what the standard errors and
        the motion allow, NaN also where a standard error is unknown; `n_triplets`. On (time, y, x): `date_closure` [m]
        and `date_n_triplets`, the same over the triplets of the date. NaN where no triplet has all of its three pairs;
        `flags` (pair, y, x) says `no_pairs` there, beside the flags of the pair.

        The table, by pair: `median_closure` [m] over the map, `share_beyond` [1] of the nodes whose closure is beyond
        the tolerance, and `sigma_factor` [1], 1 for all pairs without a bad date. By date (time):
        `date_median_closure` [m], `date_share_beyond` [1] of the values of its pairs, `date_error` [m], which the date
        has if it alone is to blame, and `is_bad`. With `stable`, `spread` [m] by pair, the length of the spreads
        (1.4826·MAD) along x and y, and `date_spread` [m]: the squares of two dates add up to that of their pair as well
        as they can. NaN where fewer than 10 stable nodes have a vector.

        Lazy if shifts or `stable` are. The attribute `bad_dates` names the dates, separated by commas, if neither is;
        a lazy result has none: see `is_bad` once it is computed.

    Raises
    ------
    TypeError
        If `stable` is not boolean, or the shifts are of the wrong type.
    ValueError
        If `shifts` are no shifts, or `stable` is on another grid or, one in memory, True nowhere.

    Warns
    -----
    UserWarning
        If the network has no triplet: then all of it is NaN but the spread on stable ground.

    Notes
    -----
    c = d_ij + d_jk − d_ik. What belongs to a date closes: the noise of an image, its distortion, and its date, for a
    wrong date changes nothing in the sums. Closure shows what is particular to pairs: wrong peaks, ground that lost its
    looks, images exchanged in some pairs only. Where the spread on stable ground tells of a date what closure does not,
    it is an error of the date. A constant shift of a whole image shows in neither.

    A pair is reported where the feature was on its reference date, so d_jk is not measured where d_ij leads to. The
    misclosure of perfect matches is (d_ij·∇)d_jk, from the gradient between neighbouring nodes, and at most a fifth of
    the distance moved. The tolerance adds its root mean square over the triplets to twice that of the standard errors,
    which is an upper limit, since most of their noise closes. Scattered points have no gradient, and nothing is added.

    A pair that is wrong spoils some triplets of its dates, a bad date all of its own. `date_error` therefore follows
    from the lower quartile over the triplets of a date of the medians over the map. A date is bad if its `date_error`,
    or its `date_spread` and the lower quartile of the spreads of its pairs, is more than twice the median of all dates
    and more than 3.5·1.4826·MAD above it; less than a hundredth of the standard errors counts for nothing. It takes 4
    dates to tell one of them. The factor of a bad date is the error over what the standard errors say of the date, in
    units of that of the other dates where theirs are too small too, and at least 1: standard errors that tell as much
    already are left as they are. `sigma_factor` joins those of two dates by their shares in the variance of the pair.

    Medians are taken of an even share of rows and columns where shifts hold more than 4 million vectors; they need the
    whole scene, so save lazy shifts first.

    Examples
    --------
    >>> import numpy as np, xoffset, xoffset.synthetic
    >>> dates = np.datetime64("2020-01-01") + 60 * np.arange(5)
    >>> stack, _ = xoffset.synthetic.stack((128, 128), dates=dates, snr=4.0)
    >>> stack[2] = stack[2] + np.random.default_rng(0).normal(0.0, 400.0, stack[2].shape)  # haze
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=4)
    >>> found = xoffset.closure(shifts)
    >>> found.attrs["bad_dates"]
    '2020-04-30T00:00:00.000000'
    >>> table = found[["median_closure", "share_beyond", "sigma_factor"]].to_dataframe()
    >>> len(table)
    10

    Give the pairs of bad dates less weight:

    >>> factor = found.sigma_factor
    >>> shifts = shifts.assign(sigma_dx=shifts.sigma_dx * factor, sigma_dy=shifts.sigma_dy * factor)
    >>> series = xoffset.invert(shifts)
    """
    shifts = checks.as_shifts(shifts, "closure")
    order, epochs, network = _network(shifts)
    mask = None if stable is None else on_nodes(stable, shifts, "closure")
    if not len(network.triplets):
        warnings.warn(
            f"closure() found no three dates of which all three pairs are in the network of {len(epochs)} dates: there "
            "is nothing to close. Match longer pairs too: pairs(max_gap=2).",
            stacklevel=2,
        )
    pairs, dates = shifts.sizes["pair"], network.dates
    # points that lie alone have no gradient: whatever is infinitely far away adds nothing
    is_alone = places_of(shifts) is not None or shifts.sizes["y"] * shifts.sizes["x"] == 1
    spacing = grids.Spacing(math.inf, math.inf) if is_alone else grids.spacing(shifts, "closure")
    vectors = [shifts[name].data[order] for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    of_block = partial(_misclosure, network=network, spacing=spacing)
    found = halos.around_pixel(of_block, vectors, 1, _maps(pairs, dates).count)

    sample = whole.sample([found, *vectors, *([] if mask is None else [mask])], shifts["dx"].size, SAMPLE)
    layout = _columns(pairs, dates)
    table = whole.at_once(partial(_table, network=network), sample, np.dtype(np.float64), (layout.count,))
    table = table.astype(found.dtype)

    of_pairs, of_dates = ("pair", "y", "x"), ("time", "y", "x")
    fields = _maps(pairs, dates).split(found)
    maps: dict[str, tuple[tuple[str, ...], Any]] = {
        "closure": (of_pairs, fields["closure"]),
        "tolerance": (of_pairs, fields["tolerance"]),
        "n_triplets": (of_pairs, fields["n_triplets"].astype(np.int32)),
        "date_closure": (of_dates, fields["date_closure"]),
        "date_n_triplets": (of_dates, fields["date_n_triplets"].astype(np.int32)),
        "flags": (of_pairs, _why_open(fields["closure"], flags_of(shifts, "closure"))),
    }
    values = layout.split(table)
    values["is_bad"] = values["is_bad"] > 0.0
    columns = {name: (("pair",) if name in _OF_PAIRS else ("time",), each) for name, each in values.items()}
    if mask is None:
        del columns["spread"], columns["date_spread"]
    product = products.product(
        maps | columns,
        variables.CLOSURE,
        like=shifts,
        step={"function": "closure", "stable": stable is not None},
        coords={name: shifts[name] for name in ("reference", "secondary")} | {"time": ("time", epochs)},
    )
    product.attrs["triplets"] = len(network.triplets)
    if isinstance(table, np.ndarray):
        product.attrs["bad_dates"] = ", ".join(epochs[product["is_bad"].values].astype(str))
    return product


def _why_open(closure: Any, flags: Any) -> Any:
    """Flags (pair, rows, columns) of what has no closure: those of the pair, and `no_pairs` for want of a triplet."""
    return np.where(np.isnan(closure), flags | np.int64(FLAGS["no_pairs"]), np.int64(0))


def _network(shifts: xr.Dataset) -> tuple[slice | np.ndarray, np.ndarray, Network]:
    """Order of the pairs by date, the dates, and the network."""
    order, epochs, ends = checks.sorted_pairs(shifts)
    seen = Observations.of(ends)
    return order, epochs, Network(seen, seen.of_pairs(order), graph.triplets(seen.ends))


# ----------------------------------------------------------------------------------------------------------- on arrays


def _maps(pairs: int, dates: int) -> Layers:
    """Layers of the maps, of so many pairs or observations and so many dates, in the order of the kernel."""
    return Layers(closure=pairs, tolerance=pairs, n_triplets=pairs, date_closure=dates, date_n_triplets=dates)


def _columns(pairs: int, dates: int) -> Layers:
    """Columns of the table, one behind the other."""
    return Layers(**dict.fromkeys(_OF_PAIRS, pairs), **dict.fromkeys(_OF_DATES, dates))


def _misclosure(*fields: np.ndarray, network: Network, spacing: grids.Spacing) -> np.ndarray:
    """Maps (.., rows, columns) as `_maps` says.

    The fields (pair, rows + 2, columns + 2) are in order of the dates, the result in that of the shifts.
    """
    count, dates = len(network.ends), network.dates
    of_observations, of_pairs = _maps(count, dates), _maps(len(network.of_pair), dates)
    is_backward = np.zeros(count, dtype=np.bool_)
    is_backward[network.observations.group[network.observations.sign < 0.0]] = True
    shape = (fields[0].shape[1] - 2, fields[0].shape[2] - 2)
    found = np.empty((of_observations.count, *shape))
    merged = network.observations.merge(*fields)
    misclosure(network.triplets, network.ends, is_backward, spacing.x, spacing.y, merged, found)

    out = np.empty((of_pairs.count, *shape), dtype=fields[0].dtype)
    for name, each in of_observations.split(found).items():
        out[of_pairs[name]] = each if name.startswith("date_") else each[network.of_pair]
    return out


def _table(found: np.ndarray, *fields: np.ndarray, network: Network) -> np.ndarray:
    """Table as `_columns` says, from the maps.

    The fields (pair, rows, columns) are in order of the dates, the maps and the table in that of the shifts.
    """
    pairs, dates = len(network.of_pair), network.dates
    layout, maps = _columns(pairs, dates), _maps(pairs, dates).split(found)
    table = np.full(layout.count, np.nan)
    columns = layout.split(table)
    beyond, known = np.zeros((2, pairs))
    for p, (closed, tolerance) in enumerate(zip(maps["closure"], maps["tolerance"], strict=True)):
        columns["median_closure"][p] = _median(closed)
        is_known = np.isfinite(closed) & np.isfinite(tolerance)
        known[p] = is_known.sum()
        beyond[p] = (closed > tolerance)[is_known].sum()
    columns["share_beyond"][:] = _ratio(beyond, known)
    for k in range(dates):
        columns["date_median_closure"][k] = _median(maps["date_closure"][k])
        is_mine = (network.ends[network.of_pair] == k).any(axis=1)
        columns["date_share_beyond"][k] = _ratio(beyond[is_mine].sum(), known[is_mine].sum())

    merged = network.observations.merge(*fields[:4])
    expected = _share_of_dates(np.array([_median(variance) for variance in merged[2] + merged[3]]), network)
    error = _error_of_dates(merged, network)
    spread = np.full(len(network.ends), np.nan)
    if len(fields) > 4:
        spread = np.array([_spread(dx, dy, fields[4]) for dx, dy in zip(merged[0], merged[1], strict=True)])
    columns["spread"][:] = spread[network.of_pair]
    columns["date_spread"][:] = np.sqrt(_share_of_dates(spread**2, network))
    columns["date_error"][:] = error
    least = _lower_quartiles(network.ends, spread, dates)
    kinds = ((error, error), (columns["date_spread"], least))
    columns["sigma_factor"][:], columns["is_bad"][:] = _judge(kinds, expected, network)
    return table


def _judge(
    kinds: tuple[tuple[np.ndarray, np.ndarray], ...], expected: np.ndarray, network: Network
) -> tuple[np.ndarray, np.ndarray]:
    """Factor of the standard errors of each pair, and which dates are bad.

    Kinds of errors by date [m], and what all of the pairs of a date have of them; expected variance by date [m2].
    """
    is_bad = np.zeros(network.dates, dtype=np.bool_)
    factor = np.ones(network.dates)
    for value, common in kinds:
        # a hundredth of the standard errors is rounding
        far = _is_far(value) & _is_far(common) & ~(value <= NEGLIGIBLE * np.sqrt(expected))
        ratio = _ratio(value, np.sqrt(expected))
        # where all standard errors are too small, those of bad dates are not alone to blame
        factor[far] = np.fmax(factor[far], ratio[far] / np.fmax(_median(ratio[~far]), 1.0))
        is_bad |= far
    first, second = network.ends[network.of_pair].T
    weight = np.where(expected > 0.0, expected, 0.0)
    share = _ratio(weight[first], weight[first] + weight[second])
    joined = np.sqrt(share * factor[first] ** 2 + (1.0 - share) * factor[second] ** 2)
    return np.where(np.isfinite(share), joined, 1.0), is_bad


def _is_far(values: np.ndarray) -> np.ndarray:
    """Which values are far above those of the others."""
    centre = _median(values)
    spread = 1.4826 * _median(np.abs(values - centre))
    return np.asarray(values > max(FAR * centre, centre + FAR_SPREADS * spread))


def _error_of_dates(merged: np.ndarray, network: Network) -> np.ndarray:
    """Error of each date if it alone is to blame [m]: lower quartile over its triplets of their medians over the map.

    A pair that is wrong spoils few triplets of its dates, a date that is bad all of its own. There the misclosure is
    the sum of two independent errors, whose length has a median of sqrt(2·log(2)) times that of one.
    """
    lengths = np.empty(len(network.triplets))
    for t, (ij, jk, ik) in enumerate(network.triplets):
        lengths[t] = _median(np.hypot(*(field[ij] + field[jk] - field[ik] for field in merged[:2])))
    members = np.concatenate([network.ends[network.triplets[:, 0]], network.ends[network.triplets[:, 1], 1:]], axis=1)
    return _lower_quartiles(members, lengths, network.dates) / math.sqrt(2.0 * math.log(2.0))


def _lower_quartiles(members: np.ndarray, values: np.ndarray, dates: int) -> np.ndarray:
    """Lower quartile, for each date, of the values that it is a member of (value, member); NaN where there are none."""
    quartiles = np.full(dates, np.nan)
    for k in range(dates):
        mine = np.sort(values[(members == k).any(axis=1) & np.isfinite(values)])
        if mine.size:
            quartiles[k] = mine[(mine.size - 1) // 4]
    return quartiles


def _share_of_dates(squares: np.ndarray, network: Network) -> np.ndarray:
    """Squares that belong to each date, of which two add up to those of an observation; NaN where unknown."""
    share = np.empty((network.dates, 1, 1))
    solver.date_variance(network.ends, squares[:, np.newaxis, np.newaxis], share)
    return share[:, 0, 0]


def _spread(dx: np.ndarray, dy: np.ndarray, mask: np.ndarray) -> float:
    """Length of the spreads of both components on stable ground, NaN if there is too little of it."""
    used = mask & np.isfinite(dx) & np.isfinite(dy)
    if used.sum() < LEAST_STABLE:
        return math.nan
    return math.hypot(*(1.4826 * np.median(np.abs(field[used] - np.median(field[used]))) for field in (dx, dy)))


def _median(values: np.ndarray) -> float:
    """Median of the finite values, NaN if there are none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else math.nan


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Quotient, NaN where the divisor is not positive."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0.0)
    return quotient
