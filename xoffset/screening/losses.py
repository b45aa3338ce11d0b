"""losses(): which stage took how many matches, and what is left."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import pixels
from xoffset.model import checks, products, variables
from xoffset.model.flags import FLAGS, flags_of
from xoffset.model.points import takes_points

# What each stage looks for and what helps, in the order in which a match passes them: those of matching, then those of
# screen(). A missing vector counts at the first stage whose flag it bears.
STAGES: Mapping[str, str] = {
    "unwritten": "the store was never written here: finish the run that makes it",
    "outside": "the window or its search leaves the image: larger images, a smaller search",
    "nodata": "no common valid pixels, or removed by the caller: check masks and the overlap of the scenes",
    "few_valid": "too few common valid pixels: other dates, or lower min_valid of NCC or min_valid_fraction of screen",
    "flat": "one value in the whole window: water, saturated snow, or fill values that are not declared",
    "border": "the peak lies on the rim of the search: raise search",
    "refine_failed": "no sub-pixel position near the peak: often the edge of a cloud",
    "ill_conditioned": "detail in one direction only: larger windows",
    "template_disagrees": "no size of window agrees with its neighbours: larger windows",
    "no_prior": "no prior here, so searched around zero: raise search, or fill the prior",
    "forward_backward": "the match does not come back: larger windows, or raise max_mismatch",
    "pycorr": "the rule of pycorr: weak peaks beside others",
    "low_ratio": "another peak is almost as high: larger windows, or lower min_peak_ratio",
    "amplitude": "longer or faster than allowed: check max_displacement and max_speed",
    "direction": "against the direction given: check it, or raise max_angle",
    "low_score": "the ground changed or clouds cover it: other dates, or lower min_score",
    "low_gap": "another peak is almost as high: larger windows, or lower min_peak_gap",
    "insignificant": "chance explains the match: larger windows, a smaller search, dates that are nearer",
    "ambiguous": "another peak may be the match: larger windows, or a smaller search around a prior",
    "neighbourhood": "at odds with the vectors around, or too few of them: see what took these",
    "ndc": "too few neighbours agree (NDC): raise ndc",
    "median_test": "far from the median of its neighbours: raise median_test",
    "sheared": "the motion differs too much within the window: smaller windows, shorter pairs, or raise max_range",
    "angle_spread": "points elsewhere than the median of its pixel: raise max_angle_spread",
    "temporal_outlier": "far from the median velocity of its pixel: raise max_deviation; sudden motion is one, too",
    "closure": "no triplet closes: wrong pairs of these dates, or raise max_closure",
    "separation": "dates too far apart, or locked to what stays: shorter pairs, or raise max_separation",
    "sparse": "a pair of which too little is left: raise max_ratio, or see what took the rest",
    "bands_disagree": "bands tell different displacements, and no majority agrees: match a third band",
    "small_clump": "few vectors that stand alone: lower min_clump",
    "without a reason": "missing without a flag of matching or screening",
}
# Rows of the printed table that name pairs.
_EMPTIEST = 3
# What the table is made of.
_PRINTED = ("lost", "left", "nodes", "advice", "reference", "secondary")


class Losses(xr.Dataset):
    """Losses by stage and pair, a Dataset that prints as a table of stages."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Table of the stages over all pairs, and the pairs with least left; of other parts what any Dataset shows."""
        is_table = "stage" in self.sizes and set(self.sizes) <= {"stage", "pair"}
        if not is_table or not set(_PRINTED) <= set(self.variables) or not self.sizes.get("pair", 1):
            return super().__repr__()
        if any(each.chunks for each in self.variables.values()):
            return f"{super().__repr__()}\n\nNot computed yet: losses.compute() prints as a table."
        return _table(self if "pair" in self.dims else _with_pairs(self))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def losses(shifts: xr.Dataset) -> xr.Dataset:
    """How many matches each stage took, and how many are left: why a map is empty.

    Parameters
    ----------
    shifts
        Shifts (pair, y, x) from `correlate`, or after any steps that flag what they remove, such as `screen`.

    Returns
    -------
    xarray.Dataset
        Numbers by (stage, pair), which print as a table. Stages are named by their flags, those of matching first, then
        those of `screen`, in the order in which a match passes them. `lost`: vectors that are missing, each counted at
        the first stage whose flag it bears; `left`: what is left after the stage, so the last row is what is in `dx`
        and `dy`; `flagged`: missing vectors that bear the flag of the stage, each counted at all of its stages.
        The coordinates `nodes` (pair), what there was to match, and `advice` (stage), what a stage looks for and what
        helps. Flags of vectors that are there, such as `no_prior`, take nothing. Lazy if `shifts` is: `compute()` it
        for the table. A file does not keep the table: save the shifts, and call this on what `open_result` opens.

    See Also
    --------
    xoffset.flags.flag_summary : values by reason, of any product with `flags`, each counted at all of its reasons.

    Raises
    ------
    TypeError, ValueError
        If `shifts` are no shifts.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack).isel(pair=[0]), search=8)
    >>> found = xoffset.losses(xoffset.screen(shifts, min_score=0.5, max_displacement=1.0))
    >>> found.left.sel(stage=["outside", "amplitude"]).values.ravel()
    array([121,   0])

    `print(found)` shows the table.
    """
    with _options.speaking_as("losses", "_counted"):
        found = _counted(shifts)
    # numbers by pair have no places
    found = found.drop_vars([name for name, each in found.coords.items() if {"point", "y", "x"} & set(each.dims)])
    return Losses(found.data_vars, found.coords, found.attrs)


@takes_points
def _counted(shifts: xr.Dataset) -> xr.Dataset:
    shifts = checks.as_shifts(shifts, "losses")
    flags = flags_of(shifts, "losses")
    stages = len(STAGES)
    counts = pixels.totals_of_layers(_count, [flags, shifts["dx"].data, shifts["dy"].data], 2 * stages)
    lost, flagged = counts[:stages], counts[stages:]
    nodes = np.full(shifts.sizes["pair"], shifts.sizes["y"] * shifts.sizes["x"], dtype=np.int64)
    of_all = ("stage", "pair")
    fields = {
        "lost": (of_all, lost),
        "flagged": (of_all, flagged),
        "left": (of_all, nodes - lost.cumsum(axis=0)),
    }
    coords: dict[Any, Any] = {name: shifts[name].variable for name in ("reference", "secondary")}
    coords["nodes"] = ("pair", nodes, {"long_name": "number of nodes"})
    coords |= {"stage": ("stage", list(STAGES)), "advice": ("stage", list(STAGES.values()))}
    return products.product(fields, variables.LOSSES, like=shifts, step={"function": "losses"}, coords=coords)


def _count(flags: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Numbers of missing vectors (2 stages, n): by their first stage, and by all of their stages."""
    out = np.zeros((2, len(STAGES), len(flags)), dtype=np.int64)
    bits = [FLAGS.get(name, 0) for name in STAGES]
    for layer in range(len(flags)):
        is_missing = ~(np.isfinite(dx[layer]) & np.isfinite(dy[layer]))
        reasons, numbers = np.unique(flags[layer][is_missing], return_counts=True)
        for reason, number in zip(reasons, numbers, strict=True):
            borne = [k for k, bit in enumerate(bits) if reason & bit] or [len(bits) - 1]
            out[0, borne[0], layer] += number
            out[1, borne, layer] += number
    return out.reshape(2 * len(STAGES), len(flags))


# ------------------------------------------------------------------------------------------------------------ the table


def _with_pairs(one: xr.Dataset) -> xr.Dataset:
    """Losses of a single pair with the dim that it was picked from."""
    of_pair = {name: ("pair", [one[name].values]) for name in ("nodes", "reference", "secondary")}
    fields = {name: (("stage", "pair"), one[name].values[:, None]) for name in ("lost", "left")}
    return xr.Dataset(fields, {"stage": one["stage"], "advice": one["advice"], **of_pair})


def _table(found: xr.Dataset) -> str:
    lost, left, nodes = (found[name].values for name in ("lost", "left", "nodes"))
    total, kept = int(nodes.sum()), int(left[-1].sum())
    lines = [
        f"{kept:,} of {total:,} vectors left ({_percent(kept, total)}) of {len(nodes)} pair{'s' * (len(nodes) > 1)}",
        "",
    ]
    rows: list[tuple[str, ...]] = [("stage", "lost", "share", "left", "what it means")]
    for k, name in enumerate(found["stage"].values):
        number = int(lost[k].sum())
        if number:
            share = _percent(number, total)
            rows.append((str(name), f"{number:,}", share, f"{int(left[k].sum()):,}", str(found["advice"].values[k])))
    if len(rows) > 1:
        lines += _aligned(rows)
    if len(nodes) > 1 and kept < total:
        lines += ["", "Pairs with least left:", *_aligned(_emptiest(found))]
    return "\n".join(lines)


def _emptiest(found: xr.Dataset) -> list[tuple[str, ...]]:
    """Rows of the pairs of which least is left, and what took most of each."""
    lost, left, nodes = (found[name].values for name in ("lost", "left", "nodes"))
    rows: list[tuple[str, ...]] = [("pair", "left", "share", "nodes", "most lost to")]
    for p in np.argsort(left[-1] / np.maximum(nodes, 1), kind="stable")[:_EMPTIEST]:
        dates = " to ".join(str(found[name].values[p])[:10] for name in ("reference", "secondary"))
        worst = str(found["stage"].values[lost[:, p].argmax()]) if lost[:, p].any() else "nothing"
        rows.append((dates, f"{left[-1, p]:,}", _percent(left[-1, p], nodes[p]), f"{nodes[p]:,}", worst))
    return rows


def _percent(part: Any, whole: Any) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else "-"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines with the columns below each other: text to the left, numbers to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    is_text = [k in (0, len(widths) - 1) for k in range(len(widths))]
    return [
        "  ".join(
            each.ljust(width) if text else each.rjust(width)
            for each, width, text in zip(row, widths, is_text, strict=True)
        ).rstrip()
        for row in rows
    ]
