"""Tables of the page: losses, dates, pairs, stable ground, coverage, parameters, inputs, files."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr

from xoffset.model import history
from xoffset.report.folder import COMPLETE, Run
from xoffset.report.measures import Measures, bad_dates, dates_of
from xoffset.report.verdict import number, percent

# Rows of tables of pairs, dates and files beyond which the rest is only counted.
MOST_ROWS = 2000
_DAY = np.timedelta64(86_400_000_000, "us")
# What stands to the right in a table, and letters of a text that is not squeezed.
_NUMBER = re.compile(r"–|(&lt; |&gt; )?[-+]?[\d,.]+(e[-+]?\d+)?( %| [kM]B)?")
_LONG = 40


def text(value: Any) -> str:
    """What HTML takes for the text itself, whatever is in it."""
    return html.escape(str(value), quote=True)


def cell(value: float, digits: str = "") -> str:
    """Number of a table; a dash where it is not known."""
    if not math.isfinite(value):
        return "–"
    return f"{value:{digits}}" if digits else number(value)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, name: str = "") -> str:
    """Table of texts that are escaped already; what is no text but the first column stands to the right."""
    every = list(rows)
    left = f'<p class="note">{len(every) - MOST_ROWS} more rows are left out.</p>' if len(every) > MOST_ROWS else ""
    columns = [f'<th scope="col">{text(each)}</th>' for each in head]
    lines = []
    for row in every[:MOST_ROWS]:
        first, *rest = row
        lines.append(f'<tr><th scope="row">{first}</th>' + "".join(_data(each) for each in rest) + "</tr>")
    key = f' id="{name}"' if name else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table{key}>'
        f"<caption>{text(caption)}</caption><thead><tr>{''.join(columns)}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>{left}"
    )


def _data(value: str) -> str:
    kind = "number" if _NUMBER.fullmatch(value) else "long" if len(value) > _LONG else ""
    return f'<td class="{kind}">{value}</td>' if kind else f"<td>{value}</td>"


def share_of(value: float) -> str:
    """Share of a table, short; a dash where it is not known."""
    if not math.isfinite(value):
        return "–"
    return text(percent(value).replace("less than", "<").replace("more than", ">"))


def why_not(measures: Measures, name: str) -> str:
    """Paragraph that says why something is not there."""
    return f'<p class="note">Not told: {text(measures.why_not.get(name, "the run holds nothing of it"))}</p>'


# -------------------------------------------------------------------------------------------------------------- losses


def losses(measures: Measures) -> str:
    """Losses of the matches stage by stage, and by pair."""
    found = measures.losses
    if found is None:
        return why_not(measures, "losses")
    lost, left, nodes = (found[name].values for name in ("lost", "left", "nodes"))
    total = int(nodes.sum())
    rows = [
        (text(name), f"{int(lost[k].sum()):,}", share_of(lost[k].sum() / max(total, 1)), f"{int(left[k].sum()):,}",
         text(found["advice"].values[k]))
        for k, name in enumerate(found["stage"].values)
        if lost[k].sum()
    ]  # fmt: skip
    kept = int(left[-1].sum())
    summary = f"<p>{kept:,} of {total:,} matches are left ({percent(kept / max(total, 1))}).</p>"
    if not rows:
        return summary
    return summary + table("Matches lost by stage", ("stage", "lost", "share", "left", "what it means"), rows)


def pairs(measures: Measures) -> str:
    """Table of the pairs: dates, valid share, what took most, closure, spread on stable ground."""
    found, shifts = measures.losses, measures.shifts
    if found is None or shifts is None:
        return ""
    share = found["left"].values[-1] / np.maximum(found["nodes"].values, 1)
    lost = found["lost"].values
    first, second = (shifts[name].values for name in ("reference", "secondary"))
    of_closure = measures.closure
    rows = []
    for k in range(len(share)):
        worst = str(found["stage"].values[lost[:, k].argmax()]) if lost[:, k].any() else "nothing"
        closed = math.nan if of_closure is None else float(of_closure["median_closure"].values[k])
        spread = math.nan
        if of_closure is not None and "spread" in of_closure:
            spread = float(of_closure["spread"].values[k])
        rows.append(
            (f"{day(first[k])} to {day(second[k])}", f"{(second[k] - first[k]) / _DAY:.0f}", share_of(float(share[k])),
             text(worst), cell(closed), cell(spread))
        )  # fmt: skip
    head = ("pair", "days", "valid", "most lost to", "misclosure [m]", "spread on stable ground [m]")
    return f"<details><summary>All {len(rows)} pairs</summary>{table('Pairs', head, rows)}</details>"


# --------------------------------------------------------------------------------------------------- closure and dates


def dates(measures: Measures) -> str:
    """Table of the dates: pairs, valid share, misclosure, error, spread, and whether a date is bad."""
    every = dates_of(measures)
    if not every.size or measures.shifts is None:
        return why_not(measures, "closure")
    shares = valid_by_date(measures)
    # as the network shows them: a way back is a pair of its own
    counts = sum((measures.shifts[name].values == every[:, None]).sum(axis=1) for name in ("reference", "secondary"))
    of_closure = measures.closure
    columns = ("date_median_closure", "date_share_beyond", "date_error", "date_spread")
    is_same = of_closure is not None and of_closure.sizes.get("time") == every.size
    rows = []
    for k, each in enumerate(every):
        values = dict.fromkeys(columns, math.nan)
        is_bad = False
        if of_closure is not None and is_same:
            values |= {name: float(of_closure[name].values[k]) for name in columns if name in of_closure}
            is_bad = bool(of_closure["is_bad"].values[k])
        beyond = values["date_share_beyond"]
        rows.append(
            (f'<button type="button" class="date" data-date="{k}">{day(each)}</button>',
             str(int(counts[k])), share_of(shares[k]) if shares is not None else "–",
             cell(values["date_median_closure"]), share_of(beyond),
             cell(values["date_error"]), cell(values["date_spread"]), "bad" if is_bad else "")
        )  # fmt: skip
    head = (
        "date", "pairs", "valid", "misclosure [m]", "beyond tolerance", "error [m]", "spread on stable ground [m]",
        "verdict",
    )  # fmt: skip
    return table("Dates", head, rows, name="dates")


def valid_by_date(measures: Measures) -> np.ndarray | None:
    """Share of valid vectors of the pairs of each date."""
    if measures.losses is None or measures.shifts is None:
        return None
    share = measures.losses["left"].values[-1] / np.maximum(measures.losses["nodes"].values, 1)
    ends = [measures.shifts[name].values for name in ("reference", "secondary")]
    return np.array([float(share[(ends[0] == each) | (ends[1] == each)].mean()) for each in dates_of(measures)])


def closure_text(measures: Measures) -> str:
    """What closure tells, before the table of the dates."""
    found = measures.closure
    if found is None:
        return why_not(measures, "closure")
    triplets = int(found.attrs.get("triplets", 0))
    if not triplets:
        return '<p class="note">There are no three dates of which all three pairs were matched: nothing closes.</p>'
    bad = bad_dates(measures)
    told = f"Bad dates: {', '.join(bad)}." if bad else "No date is bad."
    thinned = f" Measured on every {measures.thinned}th node along each axis." if measures.thinned > 1 else ""
    return f"<p>{told} {triplets:,} triplets of dates.{thinned}</p>"


# ------------------------------------------------------------------------------------------------- stable ground, cover


def stable(measures: Measures) -> str:
    """Statistics on stable ground of the products, and of the corrections that were made by it."""
    parts = []
    rows = []
    for name, found in measures.stable.items():
        one = found.isel(time=-1) if "time" in found.dims else found
        label = f"{name}, {day(one['time'].values)}" if "time" in one.coords else name
        for component in ("vx", "vy", "dx", "dy"):
            if f"median_{component}" not in one:
                continue
            names = ("median", "nmad", "rmse", "sigma_ratio")
            values = [float(one.get(f"{each}_{component}", math.nan)) for each in names]
            rows.append((text(f"{label}: {component}"), *map(cell, values), share_of(float(one["wrong_share"])),
                         f"{int(one['n_stable']):,}"))  # fmt: skip
    if rows:
        head = ("product", "median", "spread", "RMSE", "spread / sigma", "wrong", "nodes")
        parts.append(table("Vectors on stable ground [m, m/yr]", head, rows))
    else:
        parts.append(why_not(measures, "stable"))
    parts.append(_corrections(measures))
    return "".join(parts)


def _corrections(measures: Measures) -> str:
    """What correcting changed, in the median over the pairs."""
    shifts = measures.shifts
    if shifts is None or "nmad_before_dx" not in shifts:
        return ""
    rows = []
    for name in ("dx", "dy"):
        values = [
            float(np.nanmedian(np.abs(each))) if np.isfinite(each).any() else math.nan
            for kind in ("median", "nmad")
            for when in ("before", "after")
            for each in [shifts[f"{kind}_{when}_{name}"].values.astype(np.float64)]
        ]
        rows.append((name, *map(cell, values)))
    head = ("component", "median before [m]", "median after [m]", "spread before [m]", "spread after [m]")
    return table("What the correction changed, median over the pairs", head, rows)


def coverage(run: Run, valid: dict[str, float]) -> str:
    """How far each stage is, what it holds, and the share of its vectors that are valid, where it is known."""
    rows = []
    for name, state in run.states.items():
        product = run.products.get(name)
        size = "" if product is None else _size(product)
        rows.append((text(name), text(state), size, share_of(valid.get(name, math.nan))))
    return table("Stages", ("stage", "state", "size", "valid"), rows)


def _size(product: xr.Dataset) -> str:
    """Nodes of a product, and its pairs or dates."""
    nodes = " x ".join(str(product.sizes[dim]) for dim in ("x", "y") if dim in product.sizes)
    many = [
        f"{product.sizes[dim]} {what}{'s' * (product.sizes[dim] != 1)} of "
        for dim, what in (("pair", "pair"), ("time", "date"))
        if dim in product.sizes
    ]
    return f"{''.join(many)}{nodes} nodes"


# ---------------------------------------------------------------------------------------------------------- provenance


def parameters(run: Run) -> str:
    """Parameters of the recipe."""
    if not run.parameters:
        return '<p class="note">The folder holds no recipe.</p>'
    rows = [(text(name), text(value)) for name, value in run.parameters.items()]
    return table(f"Parameters of the recipe {run.recipe_name}", ("parameter", "value"), rows)


def provenance(run: Run, last: Any) -> str:
    """Versions, inputs with their fingerprints, and the steps behind the last product."""
    parts = []
    if run.inputs:
        rows = [(text(name), text(value)) for name, value in run.inputs.items()]
        parts.append(table("Inputs", ("input", "size and time, or hash"), rows))
    steps = [] if last is None else history.records(last)
    if steps:
        calls = []
        for step in steps:
            options = {name: value for name, value in step.items() if name not in ("xoffset", "function")}
            told = ", ".join(f"{name} = {value}" for name, value in options.items())
            calls.append((text(step["function"]), text(told), text(step.get("xoffset", ""))))
        parts.append(table("Steps behind the last product", ("function", "parameters", "xoffset"), calls))
    if run.not_written:
        files = [(text(name), text(why)) for name, why in run.not_written.items()]
        parts.append(table("Files that are not written", ("file", "why"), files))
    return "".join(parts)


def downloads(run: Run, above: str) -> str:
    """Links to the files of the run, from where the page is; `above` leads to the folder of the run."""
    names = [f"{name}.zarr/" for name, state in run.states.items() if name in run.products and state == COMPLETE]
    names += (["recipe.toml"] if run.parameters else []) + sorted(run.files)
    if not names:
        return '<p class="note">There are no files yet.</p>'
    links = []
    # a name is never taken for an address
    where = quote(above or "./", safe="/:")
    for name in names:
        size = run.files.get(name)
        told = "–" if size is None else f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB"
        links.append((f'<a href="{where + quote(name)}">{text(name)}</a>', told))
    return table("Files beside this page", ("file", "size"), links)


def day(value: Any) -> str:
    """Date to the day."""
    return str(np.datetime_as_string(value, unit="D"))
