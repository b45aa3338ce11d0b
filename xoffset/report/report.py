"""report(): one page of HTML that judges a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from xoffset import _options
from xoffset.pipeline.folder import REPORT
from xoffset.pipeline.places import Place, Remote, as_place, write_changed
from xoffset.plotting.style import check_extra
from xoffset.readers.polygons import Polygons
from xoffset.report.facts import facts_of, valid_by_stage
from xoffset.report.folder import CALLER, read_run
from xoffset.report.layers import maps_of, poster, vectors_of
from xoffset.report.measures import measure
from xoffset.report.nodes import nodes_of
from xoffset.report.page import page
from xoffset.report.verdict import judge


def report(
    out: str | os.PathLike[str],
    *,
    path: str | os.PathLike[str] | None = None,
    stable: xr.DataArray | Polygons | None = None,
) -> Path | str:
    """One page of HTML that judges a run: what it is worth, where it failed, what moves.

    The page holds all that it needs and works offline: a verdict with its reasons, maps of which each node can be read
    and whose series can be drawn, the network, losses, stable ground, closure, parameters, inputs and links to files.

    Parameters
    ----------
    out
        Folder of a run, finished or not, or its address, such as ``"s3://bucket/results"``; or a folder with stores of
        the same names.
    path
        File to write. None: ``report.html`` in the folder of the run. One that is there is replaced if it differs.
    stable
        Ground that does not move: True (y, x), boolean, on the grid of the shifts or of the images, or polygons as
        `masking.stable_ground` takes them. None: as the recipe of the run tells it, if it does.

    Returns
    -------
    pathlib.Path or str
        The file that was written; its address if it is none on this machine.

    Raises
    ------
    FileNotFoundError
        If the folder holds neither a recipe nor products.
    ImportError
        If the `plot` extra is not installed.
    OSError
        If the page cannot be written.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If `stable` is on another grid, or True nowhere.

    Notes
    -----
    Maps have every node up to 1500 along a side; of larger grids every second, or every third and so on, which the page
    says. Values are rounded to a quarter of their median standard error, standard errors to 5 %. Series and pairs are
    held at 64 x 64 nodes at most.

    Examples
    --------
    >>> import tempfile, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((128, 128), field="constant", velocity=12.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     products = xoffset.run("generic", stack, folder, search=4)
    ...     xoffset.report(folder).name
    'report.html'
    """
    _options.as_path(out, "out", CALLER)
    place = as_place(out, CALLER)
    target = place / REPORT if path is None else _target(path)
    check_extra(CALLER)
    run = read_run(place)
    measures = measure(run, stable)
    found = vectors_of(run.products)
    verdict = judge(facts_of(run, found[0] if found else None, measures))
    maps = maps_of(run.products, found) if found else None
    given = {
        "nodes": {} if maps is None else nodes_of(run.products.get("series"), measures.shifts),
        "poster": poster(found[0]) if found else "",
        "above": _above(place, target),
        "valid": valid_by_stage(run, found, measures),
    }
    with _explained(target):
        write_changed(target, page(run, measures, verdict, maps, given))
    return str(target) if isinstance(target, Remote) else target


def _target(path: str | os.PathLike[str]) -> Place:
    """File to write to, in a folder that is there."""
    _options.as_path(path, "path", CALLER)
    target = as_place(path, CALLER)
    if isinstance(target, Path) and target.is_dir():
        raise IsADirectoryError(f"{CALLER}() needs the name of a file; got the folder {target}. Add {REPORT}.")
    return target


def _above(place: Place, target: Place) -> str:
    """What leads from the page to the folder of the run, as links have it."""
    if isinstance(place, Remote) or isinstance(target, Remote):
        return "" if str(target) == str(place / REPORT) else f"{place}/"
    between = Path(os.path.relpath(place, target.parent)).as_posix()
    return "" if between == "." else f"{between}/"


@contextmanager
def _explained(target: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{CALLER}() needs a place that can be written; got '{error}' for {target}. Name another file: "
            "report(out, path='report.html')."
        ) from error
