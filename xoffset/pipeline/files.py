"""Files that steps of a run write into its folders: whole ones only, written down, and written anew where they lack."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xoffset.pipeline.identity import differences
from xoffset.pipeline.places import Place, Remote, below, beside, remove, write_whole

# Name of the file that tells what files the steps have written, and of the folder that these are made in.
FILES, SCRATCH = "files.json", "files.part"
# What is written down of each step: what its files were made of, and their names and sizes in bytes.
Record = dict[str, dict[str, Any]]


def written(out: Place) -> Record:
    """What steps have written into a folder; nothing if that is not told, or cannot be read."""
    try:
        found = json.loads((out / FILES).read_text())
    except (OSError, ValueError):
        return {}
    return found if _is_record(found) else {}


def _is_record(found: Any) -> bool:
    """Whether what was read tells of steps and their files."""
    if not isinstance(found, dict):
        return False
    return all(isinstance(each, dict) and {"made_of", "files"} <= each.keys() for each in found.values())


def write(name: str, folder: str, out: Place, made_of: Mapping[str, Any], call: Callable[[Path], Any]) -> None:
    """Let a step write files, `call(folder)`, unless all that it has written are there as they were.

    Files are made beside the folder, and then put into it.

    Raises
    ------
    FileExistsError
        If a file of that name is there which is none of the run.
    ValueError
        If files were made of something else; the message names what differs.
    """
    record = written(out)
    before = record.get(name, {"made_of": {}, "files": {}})
    if name in record:
        _check_same(before["made_of"], made_of, out)
        if all(_size(_inside(out, file)) == size for file, size in before["files"].items()):
            return
    with _scratch(out) as scratch:
        call(scratch)
        files = {path.relative_to(scratch).as_posix(): path for path in sorted(scratch.rglob("*")) if not path.is_dir()}
        # a step may write to the folders of a service, which are in that of the run
        places = {file: file if folder == "." else f"{folder}/{file}" for file in files}
        told = {places[file]: path.stat().st_size for file, path in files.items()}
        mine = {file for each in record.values() for file in each["files"]}
        others = [file for file in told if file not in mine and _size(_inside(out, file)) >= 0]
        if others:
            raise FileExistsError(
                f"run() needs a free place for {others[0]}; got {out}, where there is one of others, or of a run that "
                "was stopped. Move it away, or choose another folder."
            )
        # written down first: what is put there is ours, and half of it is not all
        write_whole(out / FILES, json.dumps(record | {name: {"made_of": dict(made_of), "files": told}}, indent=1))
        for file, path in files.items():
            _put(path, _inside(out, places[file]))


def forget(out: Place) -> None:
    """Remove all files that steps have written, and the folders that are empty then."""
    folders = set()
    for each in written(out).values():
        for file in each["files"]:
            place = _inside(out, file)
            place.unlink(missing_ok=True)
            folders.add(file.rpartition("/")[0])
    for folder in sorted(folders, key=len, reverse=True):
        while folder and isinstance(out, Path):
            place = _inside(out, folder)
            if isinstance(place, Path) and place.is_dir() and not below(place):
                place.rmdir()
            folder = folder.rpartition("/")[0]
    (out / FILES).unlink(missing_ok=True)


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], out: Place) -> None:
    found = differences(before, json.loads(json.dumps(now)))
    if found:
        raise ValueError(
            f"run() needs the same parameters to go on with the files in {out}; got other ones: "
            f"{'; '.join(found[:3])}. Use another folder, or begin anew: overwrite=True."
        )


def _inside(out: Place, name: str) -> Place:
    """Place in a folder by the parts of its name, none of which leads out of it."""
    place = out
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"run() needs names of files within its folder; got {name!r}. Choose another name.")
        place = place / part
    return place


def _size(place: Place) -> int:
    """Bytes of a file, -1 if there is none."""
    if isinstance(place, Remote):
        return place.size()
    return place.stat().st_size if place.is_file() else -1


@contextmanager
def _scratch(out: Place) -> Iterator[Path]:
    """Empty folder to write to first, on the disk of the results, gone after the block."""
    if isinstance(out, Remote):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / SCRATCH
        return
    place = out / SCRATCH
    remove(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _put(path: Path, place: Place) -> None:
    if isinstance(place, Remote):
        place.system.put_file(str(path), place.key)
        return
    folder = beside(place)
    assert isinstance(folder, Path)
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(place)
