"""The `xoffset` command: `xoffset demo`, `xoffset run`, `xoffset report`, `xoffset info` and `xoffset warmup`."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import logging
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from xoffset import plotting, synthetic
from xoffset._blocks import threads
from xoffset.correction.correct import correct
from xoffset.formats.geotiff import to_geotiff
from xoffset.inspection.info import info
from xoffset.inspection.info_text import Info
from xoffset.inversion.invert import invert
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import estimate
from xoffset.model.tables import SHIFT_ERROR
from xoffset.motion.velocity import velocity
from xoffset.network.diagnose import diagnose
from xoffset.network.pairs import pairs
from xoffset.pipeline.arguments import OfRecipes, fields_of, is_recipe
from xoffset.pipeline.estimate_run import costs_of
from xoffset.pipeline.files import written
from xoffset.pipeline.folder import REPORT, make_room
from xoffset.pipeline.places import Place, as_place
from xoffset.pipeline.planning import within
from xoffset.pipeline.progress import Bar, Progress, Report
from xoffset.pipeline.run import carry_out, part_of
from xoffset.pipeline.warmup import warmup
from xoffset.pipeline.writing import Job
from xoffset.readers.open_result import open_result
from xoffset.recipes.generic import Generic
from xoffset.recipes.known import RECIPES
from xoffset.report.report import report
from xoffset.screening.screen import screen

# Least time between two lines that tell how many kernels were compiled, seconds.
SILENCE = 5.0
# Files in one folder above which only their number is told.
MANY = 20
# Vectors on stable ground that the demo needs, whose images may be small.
DEMO_NODES = 10


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
        make_room(out, overwrite=True)
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
    shifts = _store(correct(shifts, stable=is_stable, min_nodes=DEMO_NODES), out / "corrected.zarr", "Correcting")
    _store(invert(shifts), out / "series.zarr", "Inverting")
    # from the pairs, since a series has no value where its reference date is under a cloud
    rate = _store(velocity(shifts), out / "velocity.zarr", "Fitting velocity").load()
    for path in sorted(to_geotiff(rate, out / "velocity")):
        click.echo(f"  {path.relative_to(out)}")
    _show(rate, out, truth)
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


@main.command("report")
@click.argument("out")
@click.option("-o", "--path", help="File to write.  [default: report.html in the folder]")
@click.option("--stable", type=click.Path(exists=True), help="Polygons of ground that stands still.")
def tell_worth(out: str, path: str | None, stable: str | None) -> None:
    """Write one page of HTML that judges the run in the folder OUT, finished or not."""
    try:
        found = report(out, path=path, stable=stable)
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Report: {found}")


@main.command("info")
@click.argument("paths", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One list in JSON, with numbers instead of texts.")
def tell(paths: tuple[str, ...], as_json: bool) -> None:
    """Say what is at PATHS: products, stacks, runs, scenes and images, without reading whole images.

    The exit status is 1 if there is something that could not be used; all else is told nonetheless.
    """
    found: list[Info | dict[str, str]] = []
    for path in paths:
        try:
            found.append(info(path))
        except (ValueError, TypeError, OSError, ImportError) as error:
            found.append({"path": path, "error": str(error)})
    if as_json:
        click.echo(json.dumps([each.to_dict() if isinstance(each, Info) else each for each in found], indent=2))
    else:
        for k, each in enumerate(found):
            click.echo(("\n" if k else "") + (repr(each) if isinstance(each, Info) else f"Error: {each['error']}"))
    if not all(isinstance(each, Info) and each.is_whole for each in found):
        sys.exit(1)


@main.command(cls=OfRecipes)
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder for results, or an address such as s3://bucket/results.")
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
@click.option(
    "--memory-limit",
    help="Most memory of any stage, such as '8 GB'.  [default: what the machine has]",
)
@click.option("--dry-run", is_flag=True, help="Say what each stage will cost, and compute nothing.")
@click.option(
    "--tiles",
    help="Match these tiles only, beside other calls: '0:100', '3/20' or '@SLURM_ARRAY'; 'none' does what comes after.",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run in the folder.")
def run(
    files: tuple[str, ...],
    out: str,
    memory_limit: str | None,
    tiles: str | None,
    overwrite: bool,
    dry_run: bool,
    **asked: Any,
) -> None:
    """Measure the motion in FILES: shifts, what of them is no motion, displacement through time and velocity.

    A run that was stopped goes on with the same command. FILES may begin with a recipe: the file recipe.toml of another
    run, or a name, such as mpic-opt, of which "xoffset run mpic-opt --help" tells the options.
    """
    try:
        recipe, paths = _recipe_and_files(files)
        place = as_place(out, "run")
        plan = within(recipe, paths[0] if len(paths) == 1 else list(paths), fields_of(asked), place, memory_limit)
        part = part_of(plan, tiles, overwrite)
        if dry_run:
            for stage in costs_of(plan):
                click.echo(str(stage))
            return
        job = Job("run", "", report=_bar(), part=part)
        _announce(*plan.matched, **plan.options_of(correlate))
        with _ends_like_ctrl_c():
            products = carry_out(plan, place, overwrite, job)
        if part is not None and not part.is_last:
            click.echo(_told_of_part(products))
            return
        for name, why in plan.not_written.items():
            click.echo(f"  not written: {name}, {why}")
        _show_files(place)
        if isinstance(place, Path) and isinstance(plan.recipe, Generic):
            _show(products["velocity"].load(), place)
        if (place / REPORT).exists():
            click.echo(f"  {REPORT}: what the run is worth")
    except (ValueError, TypeError, OSError, MemoryError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("stopped. What is done is kept: the same command goes on.") from None
    click.echo(f"Done. Results: {place}")


def _told_of_part(products: dict[str, xr.Dataset]) -> str:
    if products:
        return "Done. All tiles are there: the same command without --tiles does what comes after."
    return "Done. Tiles of other parts are not there yet; after them the same command without --tiles does the rest."


@contextlib.contextmanager
def _ends_like_ctrl_c() -> Iterator[None]:
    """End as cleanly as on Ctrl-C when a queue asks a job to end, which it does before it kills it."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = None
    with contextlib.suppress(ValueError):  # in another thread than the first, which alone is told
        before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _recipe_and_files(files: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The recipe that the first argument names, or that its file holds, and the files."""
    if not is_recipe(files[0]):
        if len(files) > 1 and re.fullmatch(r"[a-z]+(-[a-z]+)*", files[0]) and not Path(files[0]).exists():
            raise ValueError(
                f"run needs files, or a recipe before them; got {files[0]}, which is neither. Recipes are "
                f"{', '.join(sorted(RECIPES))}."
            )
        return "generic", files
    if len(files) == 1:
        raise ValueError(f"run needs files beside the recipe {files[0]}; got none. Name them after it.")
    return files[0], files[1:]


def _bar() -> Report:
    """Bar of tqdm in a terminal where it is installed, else one of our own."""
    has_tqdm = importlib.util.find_spec("tqdm") is not None
    return Bar("run") if has_tqdm and sys.stderr.isatty() else _Bar()


class _Bar:
    """Draws how far each stage is: often on a terminal, in place, and seldom elsewhere."""

    def __init__(self) -> None:
        self.told, self.interval = 0.0, 0.2 if sys.stdout.isatty() else 10.0

    def __call__(self, state: Progress) -> None:
        """Show the state of a stage."""
        is_last, now = state.done == state.total, time.monotonic()
        if state.new == 0 and not state.waits:
            click.echo(f"{state.stage} ...")
        if not is_last and now - self.told < self.interval:
            return
        self.told, share = now, state.done / state.total
        bar = f"[{'#' * round(40 * share):<40}] | {100 * share:.0f}% Completed"
        click.echo(f"\r{bar} | {state}", nl=is_last or not sys.stdout.isatty())


def _in_blocks(stack: xr.DataArray) -> xr.DataArray:
    """The stack in blocks that are matched side by side: one a core at least."""
    # images are read in blocks that are whole ones of these
    side = 256 if max(stack.shape[1:]) < 4096 else 1024
    return stack.chunk({"time": 1, "y": side, "x": side})


def _show_files(out: Place) -> None:
    """Say which files were written; of many in one folder how many."""
    names = sorted(name for each in written(out).values() for name in each["files"])
    for folder, group in itertools.groupby(names, key=lambda name: name.rpartition("/")[0]):
        files = list(group)
        told = files if len(files) <= MANY else [f"{folder}/: {len(files)} files"]
        click.echo("\n".join(f"  {name}" for name in told))


def _show(rate: xr.Dataset, out: Path, truth: xr.Dataset | None = None) -> None:
    """Draw maps of the velocity."""
    if SHIFT_ERROR in rate:
        click.echo(f"  All of the map shares an error of {float(rate[SHIFT_ERROR]):.3f} m/yr, which the sigma hold.")
    if importlib.util.find_spec("matplotlib") is None:
        click.echo("  no maps: they need matplotlib, pip install 'xoffset[plot]'")
    else:
        for path in sorted(plotting.save_maps(rate, out / "maps", truth=truth)):
            click.echo(f"  {path.relative_to(out)}")


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
