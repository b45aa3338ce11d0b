"""Files of a case: which are there, whether they are the right ones, and tables of what was measured on the ground."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from validation.case import Case, Product, Truth

# Beside the checkout, where the tests look for real images, too.
HERE = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Found:
    """Files of a case by the key of the product, and what the table has to tell of what is not as it should be."""

    case: Case
    files: dict[str, list[Path]]
    notes: tuple[str, ...] = ()

    def __contains__(self, key: str) -> bool:
        return bool(self.files[key])

    def one(self, key: str) -> Path:
        """The only file of a product."""
        return self.files[key][0]

    def all(self, key: str) -> list[Path]:
        """All files of a product, in order of their names."""
        return self.files[key]

    def truth(self) -> pd.DataFrame:
        """Table of what was measured on the ground."""
        assert self.case.truth is not None
        return read_truth(self.one(self.case.truth.key), self.case.truth, self.case.name)


def lacking(case: Case, folder: Path) -> list[Product]:
    """Products of which too few files are in the folder."""
    return [each for each in case.products if len(_files(each, folder)) < each.least]


def find(case: Case, folder: Path, *, is_any_version: bool = False) -> Found:
    """Files of a case, after checking that they are there and as they should be.

    With `is_any_version` files of another checksum are taken, and a note says so.

    Raises
    ------
    FileNotFoundError
        If the folder or files that the case cannot do without are missing.
    ValueError
        If a file has another checksum than the one that the figures were measured with.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"validation needs a folder of data; got {folder}, which is none. Pass another one: --data FOLDER"
        )
    notes = []
    for product in lacking(case, folder):
        if not product.without:
            unknown = "".join(f" Not known: {each}." for each in case.missing)
            raise FileNotFoundError(
                f"the case {case.name} needs {product.id} as {folder / product.file}, {product.least} at least; got "
                f"{len(_files(product, folder))}. Get them from {product.source}.{unknown}"
            )
        notes.append(f"without {product.id}: {product.without}")
    files = {product.key: _files(product, folder) for product in case.products}
    for product in case.products:
        for path in files[product.key]:
            wanted = product.sha256.get(path.name)
            if wanted is None or (got := checksum(path)) == wanted:
                continue
            if not is_any_version:
                raise ValueError(
                    f"the case {case.name} needs {path.name} with the SHA-256 {wanted}; got {got}, another version. "
                    f"Get it from {product.source}, or measure with this one: --any-version"
                )
            notes.append(f"{path.name} is of another version, SHA-256 {got}")
    return Found(case, files, tuple(notes))


def _files(product: Product, folder: Path) -> list[Path]:
    return sorted(folder.glob(product.file))


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_truth(path: Path, wanted: Truth, case: str) -> pd.DataFrame:
    """Table of what GNSS receivers or stakes measured, for `xoffset.compare`, after checking what it is of.

    The file is CSV, with the columns that `compare` takes and comment lines above that say what no column can:
    `# datum: ITRF2014` and `# axes: true`. Dates are ISO 8601.

    Raises
    ------
    ValueError
        If the table does not say what it is of, or is of another datum, of other axes or of other dates.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    told = dict(line.lstrip("# ").split(":", 1) for line in lines if line.startswith("#") and ":" in line)
    told = {key.strip().lower(): value.strip() for key, value in told.items()}
    for name, allowed in (("datum", wanted.datum), ("axes", (wanted.axes,))):
        listed = " or ".join(allowed)
        if name not in told:
            raise ValueError(
                f"the case {case} needs a table whose first lines say '# {name}: {allowed[0]}'; got {path.name} "
                f"without that. Look up of which {name} it is, {listed}, and write the line above the header."
            )
        if told[name] not in allowed:
            raise ValueError(
                f"the case {case} needs a table with {name} {listed}; got {path.name} with {told[name]}. {_MEND[name]}"
            )
    rows = pd.read_csv(path, comment="#")
    _check_span(rows, wanted, path.name, case)
    return rows


_MEND = {
    "datum": "Transform positions and velocities to that datum, and correct the line.",
    "axes": "Turn the components by the convergence of the meridians at each point, and correct the line.",
}


def _check_span(rows: pd.DataFrame, wanted: Truth, file: str, case: str) -> None:
    """Refuse a table that does not span the motion that the images see."""
    for name, limit, is_out in (
        ("reference", wanted.first, np.greater),
        ("secondary", wanted.last, np.less),
    ):
        if not limit:
            continue
        if name not in rows:
            raise ValueError(
                f"the case {case} needs a column {name!r} with dates in ISO 8601 in {file}; got "
                f"{', '.join(map(str, rows.columns))}. Add the epochs of the measurements."
            )
        dates = pd.to_datetime(rows[name], format="ISO8601").to_numpy()
        if is_out(dates, np.datetime64(limit)).any():
            when = "no later" if name == "reference" else "no earlier"
            raise ValueError(
                f"the case {case} needs measurements whose {name} date is {when} than {limit}; got "
                f"{dates.max() if name == 'reference' else dates.min()} in {file}. Take epochs on both sides of the "
                "motion that is compared."
            )
