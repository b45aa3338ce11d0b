"""The folder of a run: what it holds, and room for it."""

from __future__ import annotations

import shutil
from pathlib import Path

# Name of the file that marks a folder of results: only such a folder is ever overwritten.
MARKER = "xoffset-results.txt"
# Name of the file that holds the recipe of a run, which goes on where it is.
RECIPE = "recipe.toml"
# Names of the files and folders that runs write.
PRODUCTS = ("matches.zarr", "shifts.zarr", "corrected.zarr", "series.zarr", "velocity.zarr", "velocity", "maps")


def make_room(out: Path, overwrite: bool) -> None:
    """Make the folder; remove the results of an earlier run if that was asked for, and nothing else.

    Raises
    ------
    FileExistsError
        If results are there that no run can go on with, and are not to be replaced, or are not those of a run.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = [each for name in PRODUCTS for each in (name, f"{name}.part", f"{name}.part.new")]
    there = [out / name for name in names if (out / name).exists()]
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
    for path in there:
        shutil.rmtree(path)
    (out / MARKER).write_text("Results of the xoffset command: --overwrite replaces them.\n")
