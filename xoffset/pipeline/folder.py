"""The folder of a run: what it holds, and room for it."""

from __future__ import annotations

from pathlib import Path

from xoffset.pipeline.files import FILES, SCRATCH, forget
from xoffset.pipeline.places import Place, below, remove

# Name of the file that marks a folder of results: only such a folder is ever overwritten.
MARKER = "xoffset-results.txt"
# Name of the file that holds the recipe of a run, which goes on where it is.
RECIPE = "recipe.toml"
# Name of the page that judges a run.
REPORT = "report.html"
# Name of the store of what tasks of a cluster read, while they match.
INPUTS = "inputs.zarr"
# Names of the stores and folders that runs write; files that steps write are written down.
PRODUCTS = (
    INPUTS, "matches.zarr", "shifts.zarr", "corrected.zarr", "series.zarr", "coherence.zarr", "displacement.zarr",
    "deramped.zarr",
    "velocity.zarr", "velocity", "maps", SCRATCH,
)  # fmt: skip


def make_room(out: Place, overwrite: bool) -> None:
    """Make the folder; remove the results of an earlier run if that was asked for, and nothing else.

    Raises
    ------
    FileExistsError
        If results are there that no run can go on with, and are not to be replaced, or are not those of a run.
    """
    if isinstance(out, Path):
        out.mkdir(parents=True, exist_ok=True)
    # what is under way is called after its product
    begun = tuple(f"{each}.part" for each in PRODUCTS)
    names = [name for name in below(out) if name in (*PRODUCTS, FILES) or name.startswith(begun)]
    there = [out / name for name in sorted(names)]
    if there and not overwrite:
        if (out / RECIPE).is_file():
            return
        raise FileExistsError(
            f"a folder without results is needed; {out} holds {', '.join(path.name for path in there)}. "
            "Pass --overwrite to replace them, or another folder."
        )
    if there and not (out / MARKER).is_file():
        raise FileExistsError(
            f"a folder of earlier results is needed to overwrite; {out} holds {there[0].name}, but no {MARKER} of an "
            "earlier run. Choose another folder."
        )
    # first, so that nobody goes on with what is left if this is stopped
    (out / RECIPE).unlink(missing_ok=True)
    (out / REPORT).unlink(missing_ok=True)
    forget(out)
    for path in there:
        remove(path)
    (out / MARKER).write_text("Results of the xoffset command: --overwrite replaces them.\n")
