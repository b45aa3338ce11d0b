"""Maps of the documentation."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr


def show(
    before: xr.Dataset,
    after: xr.Dataset,
    *,
    name: str = "dx",
    limit: float = 10.0,
    pair: int = 0,
    line: list[tuple[float, float]] | None = None,
) -> None:
    """A component before and after a correction less their medians, and what was removed less the median before."""
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), layout="constrained", sharey=True)
    x, y = before.x / 1e3, before.y / 1e3
    for axis, title in zip(axes, ("before", "after", "removed"), strict=True):
        values = {"before": before[name], "after": after[name], "removed": after[f"removed_{name}"]}[title][pair]
        middle = float(values.median()) if title != "after" else 0.0
        drawn = axis.imshow(values - middle, vmin=-limit, vmax=limit, cmap="RdBu_r", extent=[x[0], x[-1], y[-1], y[0]])
        axis.set(title=title + (f", less {middle:.1f} m" if round(middle, 1) else ""), xlabel="x [km]")
        if line is not None:
            axis.plot(*(np.array(line).T / 1e3), color="black", lw=0.8)
    axes[0].set_ylabel("y [km]")
    figure.colorbar(drawn, ax=axes, label=f"{name} [m]", shrink=0.9)
    plt.show()
