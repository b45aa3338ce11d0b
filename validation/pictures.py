"""Pictures of the page on validation, from the tables that are kept.

python -m validation.pictures
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from validation import tables
from validation.case import Figure, load, names
from validation.cases import rangitikei
from validation.measures import Row

# Numbers over published ones that are shown.
LIMITS = (0.3, 1.5)
FOLDER = Path(__file__).parents[1] / "docs" / "_static" / "validation"


def main() -> int:
    """Draw all pictures of which there are tables."""
    plt.switch_backend("Agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in (figures, pegs, head_to_head):
        picture().savefig(FOLDER / f"{picture.__name__.replace('pegs', 'rangitikei')}.png", dpi=110)
    return 0


def figures() -> plt.Figure:
    """Ours over the published number, of each figure that says what ours should be."""
    rows, wanted = [], []
    for name in names():
        case = load(name)
        for row in (tables.read(name) or {"table": []})["table"]:
            if row["met"] in ("yes", "no") and row["published"]:
                rows.append((f"{case.title.split(',')[0].split(':')[0]}: {row['quantity']}", row))
                wanted.append(_wanted(next(each for each in case.published if _is_of(each, row))))
    figure, panel = plt.subplots(figsize=(9.0, 0.21 * len(rows) + 1.0), layout="constrained")
    low, high = np.transpose(wanted)
    panel.barh(range(len(rows)), high - low, left=low, height=0.8, color="0.9", label="counts as met")
    for k, (_, row) in enumerate(rows):
        colour = "C2" if row["met"] == "yes" else "C3"
        panel.plot(row["xoffset"] / row["published"], k, "o", color=colour, ms=5)
        if row.get("OpenCV") is not None:
            panel.plot(row["OpenCV"] / row["published"], k, "x", color="0.5", ms=5)
    panel.plot([], [], "o", color="C2", label="xoffset, met")
    panel.plot([], [], "o", color="C3", label="xoffset, not met")
    panel.plot([], [], "x", color="0.5", label="OpenCV, same scene")
    panel.axvline(1.0, color="k", lw=0.8)
    panel.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=7)
    panel.set(xlabel="measured over published", xlim=LIMITS, ylim=(len(rows) - 0.4, -0.6))
    panel.legend(fontsize=8, loc="upper left")
    return figure


def _is_of(figure: Figure, row: Row) -> bool:
    """Whether a row stands beside this figure."""
    is_same = (figure.quantity, figure.of) == (row["quantity"], row["of"])
    return is_same and math.isclose(figure.value, row["published"], rel_tol=1e-3)


def _wanted(figure: Figure) -> tuple[float, float]:
    """Least and largest number over the published one that counts as met; the edge of the picture if there is none."""
    if figure.ours == "about":
        return 1.0 - figure.within, 1.0 + figure.within
    return (LIMITS[0], 1.0) if figure.ours == "at most" else (1.0, LIMITS[1])


def pegs() -> plt.Figure:
    """Rates of the pegs, those that the published workflow found there, and windows around the fastest."""
    table = rangitikei.true_rates(pd.read_csv(rangitikei.HERE / "pegs.csv"))
    figure, panel = plt.subplots(figsize=(6.2, 7.2), layout="constrained")
    options = {"angles": "xy", "scale_units": "xy", "scale": 0.05, "width": 0.005}
    for names_of, colour, label in (
        (("v_east", "v_north"), "k", "pegs"),
        (("autorift_east", "autorift_north"), "C3", "autoRIFT and MintPy, published"),
    ):
        panel.quiver(table.x, table.y, *(table[name] for name in names_of), color=colour, label=label, **options)
    panel.plot(table.x, table.y, "o", color="0.4", ms=3)
    fastest = table[table.name == "Peg 22"].iloc[0]
    for side, style in ((320.0, ":"), (160.0, "--"), (80.0, "-")):
        corner = (fastest.x - side / 2, fastest.y - side / 2)
        panel.add_patch(
            plt.Rectangle(corner, side, side, fill=False, color="C0", ls=style, label=f"window of {side:.0f} m")
        )
    panel.quiver(table.x.min(), table.y.min(), 5.0, 0.0, color="0.4", **options)
    panel.annotate("5 m/yr", (table.x.min(), table.y.min() + 20.0), color="0.4")
    panel.set(aspect="equal", xlabel="x [m], EPSG:32760", ylabel="y [m]", title="Rangitikei landslide")
    panel.ticklabel_format(useOffset=False, style="plain")
    panel.tick_params("x", labelrotation=30)
    panel.legend(fontsize=8)
    return figure


def head_to_head() -> plt.Figure:
    """Error and outliers of each matcher beside its time, one column a scene."""
    rows = pd.DataFrame((tables.read("head_to_head") or {"matchers": []})["matchers"])
    scenes, methods = (list(dict.fromkeys(rows[name])) for name in ("scene", "method"))
    size = (2.7 * len(scenes) + 0.6, 5.6)
    figure, panels = plt.subplots(
        2, len(scenes), figsize=size, layout="constrained", sharex=True, sharey="row", squeeze=False
    )
    for (above, below), scene in zip(panels.T, scenes, strict=True):
        for k, method in enumerate(methods):
            found = rows[(rows.scene == scene) & (rows.method == method)]
            marker = "o" if method.startswith("xoffset") else "s"
            options = {"color": plt.get_cmap("tab20")(2 * k % 20 + (k > 9)), "label": method, "ls": ""}
            above.plot(found["us a window"], found["rmse px"], marker, **options)
            below.plot(found["us a window"], found["outliers %"], marker, **options)
        above.set_title(scene, fontsize=10)
        below.set(xscale="log", xlabel="CPU µs a window")
        for panel in (above, below):
            panel.grid(alpha=0.3)
    panels[0, 0].set_ylim(bottom=0.0)
    panels[0, 0].set_ylabel("error without outliers [px]")
    panels[1, 0].set_ylim(bottom=-2.0)
    panels[1, 0].set_ylabel("outliers [%]")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(2, len(scenes)), fontsize=8)
    return figure


if __name__ == "__main__":
    raise SystemExit(main())
