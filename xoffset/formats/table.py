"""Tables with our own names of columns: CSV or Parquet as shifts, and losses as CSV."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import _options
from xoffset.formats import looks, rows, writing
from xoffset.formats.names import SYSTEMS

if TYPE_CHECKING:
    import pyproj

_NAMES = SYSTEMS["table"].names
# File of losses, and what it tells of each stage and pair.
LOSSES, _COUNTS = "losses.csv", ("flagged", "lost", "left")
_DATES = ("reference", "secondary")


def recognises(look: looks.Look) -> bool:
    """Whether it is a Parquet file, or a text with these columns."""
    return look.kind == "parquet" or (look.kind == "text" and {*_DATES, _NAMES["dx"], _NAMES["dy"]} <= look.names)


def read(path: str | os.PathLike[str], *, crs: str | int | pyproj.CRS | None = None) -> xr.Dataset:
    r"""Shifts of a table whose columns are called `reference`, `secondary`, `dx`, `dy`.

    Displacements are in metres toward increasing x and y, dates are texts in ISO 8601 or datetimes. There may be
    `sigma_dx` and `sigma_dy`; `x` and `y` of nodes of a regular grid, or of scattered points if there is a `name` too.
    Tables with other columns, units or signs are for `from_table`.

    Parameters
    ----------
    path
        CSV file with a header, or Parquet file.
    crs
        CRS of the displacements and the positions.

    Returns
    -------
    xarray.Dataset
        Shifts (pair, y, x) or (pair, point), as of `from_table`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If it is a Parquet file and the `parquet` extra is not installed.
    TypeError
        If columns hold no dates or no numbers.
    ValueError
        If a column lacks, dates are equal or cannot be read, or nodes lie on no regular grid.

    Examples
    --------
    >>> import pathlib, tempfile, xoffset
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "shifts.csv"
    ...     _ = path.write_text("reference,secondary,dx,dy\n2020-01-01,2020-07-01,1.5,-0.5\n")
    ...     shifts = xoffset.formats.table.read(path, crs="EPSG:32632")
    >>> shifts.dx.values.ravel()
    array([1.5])
    """
    caller = "table.read"
    place = _options.as_path(path, "path", caller)
    table = rows.read(place, caller, dtype=dict.fromkeys(_DATES, str))
    rows.check_columns(table, [*_DATES, _NAMES["dx"], _NAMES["dy"]], place, caller)
    has_place = {"x", "y"} <= set(table)
    named: dict[str, Any] = {"layout": "points", "name": "name"} if has_place and "name" in table else {}
    position: Any = ("x", "y") if has_place else (0.0, 0.0)
    return rows.to_shifts("table", table, place, caller, crs=crs, position=position, **named)


def write_losses(losses: xr.Dataset, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Table of what each stage took of each pair: ``losses.csv``.

    Parameters
    ----------
    losses
        Result of `xoffset.losses`; lazy ones are computed.
    folder
        Where the file goes; made if it is not there.
    overwrite
        Replace a file that is there.

    Returns
    -------
    list of pathlib.Path
        The file: a row for each stage and pair, with `stage`, the dates `reference` and `secondary` (ISO 8601, UTC),
        `nodes`, what there was to match, and the numbers `flagged`, `lost` and `left`. Stages that took nothing of any
        pair and flagged nothing are left out.

    Raises
    ------
    TypeError, ValueError
        If it is no result of `losses`.
    FileExistsError
        If the file is there and `overwrite` is False.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile, xoffset
    >>> stack, _ = xoffset.synthetic.stack((96, 96))
    >>> shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(xoffset.formats.table.write_losses(shifts.offset.losses(), folder)[0].read_text())
    stage,reference,secondary,nodes,flagged,lost,left
    outside,2020-01-01T00:00:00,2021-01-01T00:00:00,81,32,32,49
    <BLANKLINE>
    """
    caller = "table.write_losses"
    target = _options.as_path(folder, "folder", caller)
    is_free = _options.as_switch(overwrite, "overwrite", caller)
    if not isinstance(losses, xr.Dataset):
        raise TypeError(
            f"{caller}() needs a result of losses(); got {type(losses).__name__}. Count them: shifts.offset.losses()."
        )
    if set(losses.sizes) != {"stage", "pair"} or not {"nodes", *_DATES, *_COUNTS} <= set(losses.variables):
        raise ValueError(
            f"{caller}() needs a result of losses() with dims ('stage', 'pair'); got {tuple(map(str, losses.dims))}. "
            "Count them: shifts.offset.losses()."
        )
    found = losses.compute()
    # in seconds, as dates of images are told
    dates = {name: np.datetime_as_string(found[name].values, unit="s") for name in _DATES}
    is_told = (found["flagged"] + found["lost"]).sum("pair").values > 0
    stages = found["stage"].values[is_told]
    table = pd.DataFrame(
        {"stage": np.repeat(stages, found.sizes["pair"])}
        | {name: np.tile(each, stages.size) for name, each in (dates | {"nodes": found["nodes"].values}).items()}
        | {name: found[name].transpose("stage", "pair").values[is_told].ravel() for name in _COUNTS}
    )
    with writing.replaced_all(target, [LOSSES], overwrite=is_free, caller=caller) as scratch:
        table.to_csv(scratch / LOSSES, index=False)
    return [target / LOSSES]
