"""Pictures of the documentation, from the tables that the experiments keep.

python -m validation.experiments.pictures
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from validation import tables
from validation.case import Rows

FOLDER = Path(__file__).parents[2] / "docs" / "_static" / "validation"
OURS, THEIRS, GREY = "tab:blue", "tab:red", "0.6"


def semi_synthetic(found: dict[str, Rows]) -> Figure:
    """Error of each texture, and of each noise, with windows of 32 px, beside others."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained", sharex=True)
    for axis, part, key in zip(axes, ("by texture", "by noise"), ("texture", "noise"), strict=True):
        rows = [row for row in found[part] if row["window"] == 32]
        names = list(dict.fromkeys(row[key] for row in rows))
        for method, colour in (("OpenCV", THEIRS), ("xoffset", OURS)):
            errors = {row[key]: row["rmse px"] for row in rows if row["method"] == method}
            axis.plot([errors.get(name) for name in names], names, "o", color=colour, label=method)
        sigma = {row[key]: row["sigma px"] for row in rows if row["method"] == "xoffset"}
        axis.plot([sigma.get(name) for name in names], names, "|", color=OURS, ms=12, label="its sigma (median)")
        axis.set_xlabel("error of a component, without outliers [px]")
        axis.invert_yaxis()
        axis.grid(axis="x", alpha=0.3)
        axis.set_title(part, fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=3)
    axes[0].set_xlim(left=0.0)
    return figure


def coverage(found: dict[str, Rows]) -> Figure:
    """Share of errors within the intervals, by quantity and ground, without and with the steps for sheared ground."""
    parts = {"without the steps for sheared ground": "without sheared", "as the recipe does it": "as the recipe"}
    quantities, grounds = (
        list(dict.fromkeys(row[key] for row in found["as the recipe"])) for key in ("quantity", "ground")
    )
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 6.4), layout="constrained", sharex=True, sharey=True)
    for (i, limit), (j, (title, part)) in product(enumerate(("68 %", "95 %")), enumerate(parts.items())):
        axis = axes[i, j]
        axis.axvline(float(limit[:2]), color="black", lw=1)
        for k, ground in enumerate(grounds):
            told = {row["quantity"]: row[limit] for row in found[part] if row["ground"] == ground}
            places = np.arange(len(quantities)) + 0.15 * (k - 0.5 * (len(grounds) - 1))
            axis.plot([told.get(name) for name in quantities], places, "o", ms=4, color=f"C{k}", label=ground)
        axis.set_xlabel(f"errors within the interval of {limit}, in %")
        axis.grid(axis="x", alpha=0.3)
        axis.set_title(title if i == 0 else "", fontsize=10)
    axes[0, 0].set(xlim=(40, 100))
    axes[0, 0].set_yticks(np.arange(len(quantities)), quantities)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=len(grounds))
    return figure


def null_tests(found: dict[str, Rows]) -> Figure:
    """What each pair seems to move by: its median, and the spread around it."""
    rows = [row for row in found["seeming motion"] if row["corrected"] == "nothing" and "median right px" in row]
    figure, axis = plt.subplots(figsize=(9.0, 0.6 + 0.24 * len(rows)), layout="constrained")
    names = [f"{row['test']}: {row['what differs']}" for row in rows]
    middle = [np.hypot(row["median right px"], row["median down px"]) for row in rows]
    axis.plot(middle, names, "o", color=OURS, label="all as one (median)")
    axis.plot([row["spread px"] for row in rows], names, "x", color=THEIRS, label="around it (spread)")
    axis.set(xscale="symlog", xlabel="seeming motion [px]", xlim=(0.0, 4.0))
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set_xticks([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], ["0", "0.01", "0.03", "0.1", "0.3", "1", "3"])
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    axis.tick_params(axis="y", labelsize=7)
    axis.legend(fontsize=8, loc="lower right")
    return figure


def slow_landslide(found: dict[str, Rows]) -> Figure:
    """Share of the windows in which a rate is told from zero."""
    rows: list[dict[str, Any]] = found["detection"]
    rate = [row["rate cm/yr"] for row in rows]
    figure, axis = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    axis.axhline(95.0, color="black", lw=0.8, ls=":")
    for key, style, label in (
        ("theory %", {"color": GREY, "ls": "--"}, "one window, theory: noise of 0.05 px a date and nothing else"),
        ("found %", {"color": OURS}, "one window of 32 px, all errors, corrected"),
        ("mean of a place %", {"color": "tab:green"}, "mean of a place of 72 x 72 px"),
    ):
        axis.plot(rate, [row[key] for row in rows], label=label, **style)  # type: ignore[arg-type]
    axis.set(xlabel="rate of the slide [cm a year]", ylabel="told from zero [%]", ylim=(0, 101), xlim=(0, max(rate)))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    return figure


PICTURES = (semi_synthetic, coverage, null_tests, slow_landslide)


def main() -> None:
    """Draw what there are tables of."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for draw in PICTURES:
        found = tables.read(draw.__name__)
        if found is not None:
            draw(found).savefig(FOLDER / f"{draw.__name__}.png", dpi=110)


if __name__ == "__main__":
    main()
