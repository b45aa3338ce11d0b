# ruff: noqa: T201
"""Runs the worked examples, and stores what their pages show of them.

python docs/_examples.py FOLDER               all, about a minute
python docs/_examples.py FOLDER kaiserberg    some

FOLDER holds the sets of images, each in a folder of its own. They are not part of the project; the pages name them
and whom they come from. An example is a script `docs/examples/NAME.py` whose cells begin with `# %% TITLE`. The pages
include the cells as they are. Of each example `docs/_static/examples/NAME` holds what its cells print (`TITLE.txt`),
the pictures that they save, and the numbers of the last cell, which the tests measure anew.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt
from PIL import Image

SCRIPTS = Path(__file__).parent / "examples"
STORED = Path(__file__).parent / "_static" / "examples"
NAMES = ("kaiserberg", "perito_moreno", "earthquake", "columbia")
# Width of a picture [px], and its colours: a page loads quickly, and maps keep their scale.
WIDTH, COLOURS = 700, 128


def run(name: str, folder: Path, out: Path) -> dict[str, Any]:
    """Run an example beside links to the sets of images, store what it shows in `out`, and return its numbers."""
    space: dict[str, Any] = {}
    folder, out = folder.resolve(), out.resolve()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for place in sorted(folder.iterdir()) if folder.is_dir() else ():
            Path(place.name).symlink_to(place.resolve())
        printed = {title: _printed(code, name, space) for title, code in cells(name).items()}
        # a script leaves its figures open, as a notebook does
        plt.close("all")
        pictures = {path.name: shrunk(path) for path in sorted(Path().glob("*.png"))}
    out.mkdir(parents=True, exist_ok=True)
    for path in out.iterdir():
        path.unlink()
    for title, text in printed.items():
        if text:
            (out / f"{title}.txt").write_text(text, encoding="utf-8")
    for title, data in pictures.items():
        (out / title).write_bytes(data)
    numbers: dict[str, Any] = space["numbers"]
    (out / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return numbers


def cells(name: str) -> dict[str, str]:
    """Code of the cells of an example by their titles; lines keep their numbers."""
    script = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    found, parts = {}, re.split(r"^# %% (\w+)\n", script, flags=re.MULTILINE)
    above = parts[0].count("\n")
    for title, code in zip(parts[1::2], parts[2::2], strict=True):
        above += 1
        found[title] = "\n" * above + code
        above += code.count("\n")
    return found


def shrunk(path: Path) -> bytes:
    """PNG of a picture as wide as a page shows it, with few colours."""
    with Image.open(path) as picture:
        plain = picture.convert("RGB")
    if plain.width > WIDTH:
        plain = plain.resize((WIDTH, round(plain.height * WIDTH / plain.width)), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    plain.quantize(COLOURS, dither=Image.Dither.NONE).save(data, "png", optimize=True)
    return data.getvalue()


def _printed(code: str, name: str, space: dict[str, Any]) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(compile(code, str(SCRIPTS / f"{name}.py"), "exec"), space)
    return text.getvalue()


def main() -> None:
    """Run the examples that the command line names."""
    parser = argparse.ArgumentParser(description="Worked examples of the documentation.")
    parser.add_argument("folder", type=Path, help="folder of the sets of images")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all if none")
    given = parser.parse_args()
    for name in given.names or NAMES:
        run(name, given.folder, STORED / name)
        sizes = {path.name: path.stat().st_size for path in sorted((STORED / name).iterdir())}
        print(name, ", ".join(f"{title} {size / 1000:.0f} kB" for title, size in sizes.items()))


if __name__ == "__main__":
    main()
