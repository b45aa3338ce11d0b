"""The `xoffset` command: `xoffset demo`, `xoffset run` and `xoffset warmup`."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from xoffset import plotting, synthetic
from xoffset._blocks import threads
from xoffset.correction.correct import correct
from xoffset.formats.geotiff import to_geotiff
from xoffset.inversion.invert import invert
from xoffset.masking.classes import classes
from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.usable import usable
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import estimate
from xoffset.model.flags import FLAGS
from xoffset.model.tables import SHIFT_ERROR
from xoffset.motion.velocity import velocity
from xoffset.network.diagnose import diagnose
from xoffset.network.pairs import pairs
from xoffset.pipeline.warmup import warmup
from xoffset.readers.open_result import open_result
from xoffset.readers.open_stack import open_stack
from xoffset.screening.screen import screen

# Name of the file that marks a folder of results: only such a folder is ever overwritten.
MARKER = "xoffset-results.txt"
# Least time between two lines that tell how many kernels were compiled, seconds.
SILENCE = 5.0
# Vectors on stable ground that the demo needs, whose images may be small.
DEMO_NODES = 10
# Names of the files and folders that a run writes.
PRODUCTS = ("shifts.zarr", "corrected.zarr", "series.zarr", "velocity.zarr", "velocity", "maps")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xoffset")
def main() -> None:
    """Ground motion from time series of optical images."""
    logger = logging.getLogger("xoffset")
    if not any(isinstance(handler, _Compilations) for handler in logger.handlers):
        logger.addHandler(_Compilations())
    logger.setLevel(logging.DEBUG)


class _Compilations(logging.Handler):
    """Says on standard error that kernels are compiled, once, and then how many were."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.told = 0, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message of the library; of single kernels only how many there were, now and then."""
        message = record.getMessage()
        if record.levelno > logging.INFO:
            click.echo(f"{record.levelname.capitalize()}: {message}", err=True)
        elif record.levelno == logging.INFO:
            click.echo(f"{message} ...", err=True)
            self.told = time.monotonic()
        else:
            self.count += 1
            if time.monotonic() - self.told >= SILENCE:
                click.echo(f"  {self.count} kernels so far", err=True)
                self.told = time.monotonic()


@main.command()
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("xoffset-demo"), show_default=True,
    help="Folder for the results; those of an earlier demo are replaced.",
)  # fmt: skip
@click.option("--size", default=1024, show_default=True, type=click.IntRange(128), help="Side of the images, pixels.")
def demo(out: Path, size: int) -> None:
    """Measure a synthetic landslide and compare with the truth."""
    start = time.monotonic()
    try:
        _make_room(out, overwrite=True)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Photographing a synthetic landslide: 12 dates, {size} x {size} pixels of 10 m ...")
    dates = np.arange("2020-01", "2022-01", 2, dtype="datetime64[M]")
    stack, truth = synthetic.stack(
        (size, size), dates=dates, field="landslide", velocity=20.0, snr=5.0,
        illumination=0.1, clouds=0.03, nodata=0.015, misregistration=2.0,
    )  # fmt: skip
    is_stable = (truth["vx"] == 0.0) & (truth["vy"] == 0.0)
    network = pairs(stack, max_gap=3)
    stack = _in_blocks(stack)
    shifts = screen(correlate(stack, network, search=6), min_score=0.5)
    _announce(stack, network, shifts, search=6)
    shifts = _store(shifts, out / "shifts.zarr", "Matching").load()
    # the images are misplaced by a few metres: stable ground tells by how much; small ones have few windows of it
    shifts = _corrected(correct(shifts, stable=is_stable, min_nodes=DEMO_NODES), out)
    rate = _follow(shifts, out, None, truth=truth)
    _compare(rate, truth)
    click.echo(f"Done in {time.monotonic() - start:.0f} s. Results: {out.resolve()}")


@main.command("warmup")
@click.option("--workers", type=click.IntRange(1), help="Processes that compile side by side.  [default: one a core]")
def compile_beforehand(workers: int | None) -> None:
    """Compile the kernels now, so that no run has to: for containers and clusters."""
    try:
        folder = warmup(workers=workers)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Kernels are compiled: {folder}")


@main.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for results."
)
@click.option("--band", help="Band: of products its name, such as B04 or red; of files its number or description.")
@click.option("--tile", multiple=True, help="Tile of products, such as 31TGK; several are put side by side.")
@click.option("--orbit", multiple=True, type=int, help="Relative orbit of products, of Landsat the path.")
@click.option(
    "--date", help="strptime pattern of the date in the file names, such as 'ortho_%Y'.  [default: from the names]"
)
@click.option("--bbox", nargs=4, type=float, help="xmin ymin xmax ymax of the area, in the CRS of the images.")
@click.option("--nodata", type=float, help="Pixel value that means no data.")
@click.option("--align", type=click.Choice(["nearest", "cubic"]), help="Resample unequal grids once.")
@click.option("--pixel-size", type=float, help="Side of a pixel in metres, for images without coordinates.")
@click.option("--max-gap", type=click.IntRange(1), default=3, show_default=True, help="Longest pair, in acquisitions.")
@click.option("--max-baseline", help="Longest pair in time, such as 90D.")
@click.option("--template", type=int, default=32, show_default=True, help="Side of the matching window, pixels.")
@click.option("--search", type=int, default=8, show_default=True, help="Largest displacement of a pair, pixels.")
@click.option("--step", type=int, default=8, show_default=True, help="Distance between windows, pixels.")
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Least correlation.")
@click.option("--reference", help="Date of zero displacement.  [default: the best-connected date]")
@click.option(
    "--mask",
    help="What to leave out: 'classes' for clouds, shadows, snow and water of the products; or rasters of classes.",
)
@click.option("--stable", type=click.Path(exists=True), help="Polygons of ground that stands still: correct by it.")
@click.option("--moving", type=click.Path(exists=True), help="Outlines of what moves: what is farther off is stable.")
@click.option("--buffer", type=click.FloatRange(0), help="Distance from what moves, metres.  [default: 1000]")
@click.option(
    "--order", type=click.Choice(["0", "1", "2", "auto"]), help="Ramp to take off: 0 is a shift.  [default: 0]"
)
@click.option("--by-date", is_flag=True, help="Correct dates, from all of their pairs, not pairs.")
@click.option("--min-nodes", type=click.IntRange(1), help="Least vectors on stable ground of a pair.  [default: 500]")
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run in the folder.")
def run(
    files: tuple[str, ...],
    out: Path,
    band: str | None,
    tile: tuple[str, ...],
    orbit: tuple[int, ...],
    date: str | None,
    bbox: tuple[float, float, float, float] | None,
    nodata: float | None,
    align: str | None,
    pixel_size: float | None,
    max_gap: int,
    max_baseline: str | None,
    template: int,
    search: int,
    step: int,
    min_score: float,
    reference: str | None,
    mask: str | None,
    stable: str | None,
    moving: str | None,
    buffer: float | None,
    order: str | None,
    by_date: bool,
    min_nodes: int | None,
    overwrite: bool,
) -> None:
    """Measure the motion in FILES: shifts, what of them is no motion, displacement through time and velocity."""
    try:
        source = files[0] if len(files) == 1 else list(files)
        chosen = int(band) if band is not None and band.isdigit() else band
        stack = open_stack(
            source, band=chosen, tile=tile or None, orbit=orbit or None, date=date, bbox=bbox, nodata=nodata,
            align=align, pixel_size=pixel_size, chunks=2048,  # type: ignore[arg-type]
        )  # fmt: skip
        stack = _in_blocks(stack)
        network = pairs(stack, max_gap=max_gap, max_baseline=max_baseline)
        options: dict[str, Any] = {"template": template, "search": search, "step": step}
        if mask is not None:
            options["mask"] = usable(classes(source if mask == "classes" else mask, like=stack))
        shifts = screen(correlate(stack, network, **options), min_score=min_score)
        ground = None
        if stable is not None or moving is not None or buffer is not None:
            ground = stable_ground(shifts, polygons=stable, moving=moving, buffer=buffer)
        asked: dict[str, Any] = {"by_date": by_date} | ({} if min_nodes is None else {"min_nodes": min_nodes})
        if order is not None:
            asked["order"] = int(order) if order.isdigit() else order
        is_corrected = ground is not None or order is not None or by_date
        if min_nodes is not None and not is_corrected:
            raise ValueError(
                f"run needs --stable, --moving, --order or --by-date beside --min-nodes; got --min-nodes {min_nodes} "
                "alone, and nothing is corrected without them. Name one, or leave it out."
            )
        # lazily, so that bad options are refused before anything is computed or replaced
        checked = correct(shifts, stable=ground, **asked) if is_corrected else shifts
        invert(checked, reference=reference, stable=ground)
        _make_room(out, overwrite)
        _announce(stack, network, shifts, **options)
        shifts = _store(shifts, out / "shifts.zarr", "Matching")
        if is_corrected:
            shifts = _corrected(correct(shifts, stable=ground, **asked), out)
        _follow(shifts, out, reference, stable=ground)
    except (ValueError, TypeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Done. Results: {out.resolve()}")


def _make_room(out: Path, overwrite: bool) -> None:
    """Make the folder; remove the results of an earlier run if that was asked for, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    there = [out / name for name in PRODUCTS if (out / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"a folder without results is needed; {out} holds {', '.join(path.name for path in there)}. "
            "Pass --overwrite to replace them, or another folder."
        )
    if there and not (out / MARKER).is_file():
        raise FileExistsError(
            f"a folder of earlier results is needed to overwrite; {out} holds {there[0].name}, but no {MARKER} of an "
            "earlier run. Choose another folder."
        )
    for path in there:
        shutil.rmtree(path)
    (out / MARKER).write_text("Results of the xoffset command: --overwrite replaces them.\n")


def _in_blocks(stack: xr.DataArray) -> xr.DataArray:
    """The stack in blocks that are matched side by side: one a core at least."""
    # images are read in blocks that are whole ones of these
    side = 256 if max(stack.shape[1:]) < 4096 else 1024
    return stack.chunk({"time": 1, "y": side, "x": side})


def _corrected(shifts: xr.Dataset, out: Path) -> xr.Dataset:
    """Store corrected shifts, and say what could not be corrected."""
    found = _store(shifts, out / "corrected.zarr", "Correcting")
    if not found["is_corrected"].any():
        raise ValueError(
            f"run needs enough stable ground in at least one pair; got {int(found['n_stable'].max())} vectors "
            f"on it at most, and {out / 'corrected.zarr'} holds {found.sizes['pair']} pairs as they were. Enlarge "
            "--stable, or lower --min-nodes."
        )
    for name, what in (("not_corrected", "stay as they are"), ("unreferenced", "count from the mode of their motion")):
        count = int(((found["flags"] & FLAGS[name]) > 0).any(("y", "x")).sum())
        if count:
            click.echo(f"Warning: {count} of {found.sizes['pair']} pairs lack stable ground and {what} ({name}).")
    return found


def _follow(
    shifts: xr.Dataset,
    out: Path,
    reference: str | None,
    *,
    stable: xr.DataArray | None = None,
    truth: xr.Dataset | None = None,
) -> xr.Dataset:
    """Displacement through time and velocity, into stores, files and maps; returns the velocity."""
    _store(invert(shifts, reference=reference, stable=stable), out / "series.zarr", "Inverting")
    # from the pairs, since a series has no value where its reference date is under a cloud
    rate = _store(velocity(shifts), out / "velocity.zarr", "Fitting velocity").load()
    for path in sorted(to_geotiff(rate, out / "velocity")):
        click.echo(f"  {path.relative_to(out)}")
    if SHIFT_ERROR in rate:
        click.echo(f"  All of the map shares an error of {float(rate[SHIFT_ERROR]):.3f} m/yr, which the sigma hold.")
    if importlib.util.find_spec("matplotlib") is None:
        click.echo("  no maps: they need matplotlib, pip install 'xoffset[plot]'")
    else:
        for path in sorted(plotting.save_maps(rate, out / "maps", truth=truth)):
            click.echo(f"  {path.relative_to(out)}")
    return rate


def _announce(stack: xr.DataArray, network: xr.Dataset, shifts: xr.Dataset, **options: Any) -> None:
    """Say what will be computed and what it will cost, before it is."""
    images, rows, columns = stack.shape
    health = diagnose(network)
    click.echo(
        f"{images} images of {columns} x {rows} pixels, {network.sizes['pair']} pairs (every date in "
        f"{int(health.n_pairs.min())} or more), {shifts.sizes['x']} x {shifts.sizes['y']} windows: "
        f"{shifts.dx.size:,} matches, {shifts.nbytes / 1e9:.2f} GB of shifts before compression."
    )
    if int(health.n_components) > 1:
        click.echo(
            f"Warning: no pair connects the {int(health.n_components)} groups of dates; only the group of the "
            "reference date gets displacements. Raise --max-gap or --max-baseline."
        )
    click.echo(f"Expected of matching {estimate(stack, network, **options)}.")


def _store(data: xr.Dataset, path: Path, title: str) -> xr.Dataset:
    """Compute into a Zarr store, with progress, and reopen it."""
    click.echo(f"{title} ...")
    with threads.progress():
        data.to_zarr(path, mode="w", consolidated=False)
    return open_result(path)


def _compare(rate: xr.Dataset, truth: xr.Dataset) -> None:
    """Print measured against true velocity."""
    at_nodes = truth[["vx", "vy"]].interp(x=rate.x, y=rate.y)
    click.echo("\nMeasured against true velocity")
    for name in ("vx", "vy"):
        error = (rate[name] - at_nodes[name]).values
        ratio = error / rate[f"sigma_{name}"].values
        found = np.isfinite(error)
        click.echo(
            f"  {name}: bias {np.mean(error[found]):+.3f} m/yr, RMSE {np.sqrt(np.mean(error[found] ** 2)):.3f} m/yr, "
            f"largest true {np.abs(at_nodes[name].values).max():.1f} m/yr, "
            f"{100 * np.mean(np.abs(ratio[found]) < 1.96):.0f} % of the truth within ±1.96 sigma"
        )
    click.echo(f"  valid: {100 * np.isfinite(rate.v.values).mean():.1f} % of {rate.v.size:,} windows")
