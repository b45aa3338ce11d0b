"""Files that steps of runs write: whole, written down, written again where they lack, and never those of others."""

import json

import pytest

from xoffset.pipeline import files
from xoffset.pipeline.folder import MARKER, make_room


class Writes:
    """A step that writes files of a name, and counts how often."""

    def __init__(self, *names, text="ours"):
        self.names, self.text, self.calls = names, text, 0

    def __call__(self, folder):
        self.calls += 1
        for name in self.names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text)


def there(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_several_steps_write_into_one_folder(tmp_path):
    one, two = Writes("a.tif", "deep/b.tif"), Writes("c.tif")
    for _ in range(2):
        files.write("one", "Masks", tmp_path, {"window": 2}, one)
        files.write("two", "Masks", tmp_path, {"window": 2}, two)
    assert there(tmp_path) == ["Masks/a.tif", "Masks/c.tif", "Masks/deep/b.tif", files.FILES]
    assert (one.calls, two.calls) == (1, 1)
    assert files.written(tmp_path)["one"]["files"] == {"Masks/a.tif": 4, "Masks/deep/b.tif": 4}


@pytest.mark.parametrize("damage", ["gone", "cut", "record"])
def test_what_lacks_is_written_again(tmp_path, damage):
    step = Writes("a.tif", "b.tif")
    files.write("one", "Masks", tmp_path, {}, step)
    place = tmp_path / "Masks" / "a.tif"
    if damage == "gone":
        place.unlink()
    elif damage == "cut":
        place.write_text("o")
    else:
        told = json.loads((tmp_path / files.FILES).read_text())
        told["one"]["files"]["Masks/c.tif"] = 3
        (tmp_path / files.FILES).write_text(json.dumps(told))
    files.write("one", "Masks", tmp_path, {}, step)
    assert step.calls == 2
    assert place.read_text() == "ours"


def test_a_step_that_fails_leaves_nothing(tmp_path):
    def fails(folder):
        Writes("a.tif")(folder)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        files.write("one", "Masks", tmp_path, {}, fails)
    assert there(tmp_path) == []
    assert files.written(tmp_path) == {}


def test_files_of_others_stay(tmp_path):
    (tmp_path / "Masks").mkdir()
    (tmp_path / "Masks" / "a.tif").write_text("mine")
    with pytest.raises(FileExistsError, match=r"a free place for Masks/a.tif.*choose another folder"):
        files.write("one", "Masks", tmp_path, {}, Writes("a.tif", "b.tif"))
    assert there(tmp_path) == ["Masks/a.tif"]
    assert (tmp_path / "Masks" / "a.tif").read_text() == "mine"


def test_other_parameters_are_named(tmp_path):
    files.write("one", "Masks", tmp_path, {"window": 2, "tile": None}, Writes("a.tif"))
    with pytest.raises(ValueError, match=r"the same parameters to go on .*: window: was 2, is 3"):
        files.write("one", "Masks", tmp_path, {"window": 3, "tile": None}, Writes("a.tif"))


def test_overwriting_removes_what_was_written_and_nothing_else(tmp_path):
    (tmp_path / MARKER).touch()
    files.write("one", "Analysis/maps", tmp_path, {}, Writes("a.tif"))
    files.write("two", "Masks", tmp_path, {}, Writes("a.tif"))
    (tmp_path / "Masks" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        make_room(tmp_path, overwrite=False)
    make_room(tmp_path, overwrite=True)
    assert there(tmp_path) == ["Masks/notes.txt", MARKER]
    assert not (tmp_path / "Analysis").exists()


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"one": 3}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / files.FILES).write_text(text)
    assert files.written(tmp_path) == {}


def test_a_record_leads_nowhere_else(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "thesis.pdf").write_text("mine")
    (out / files.FILES).write_text(json.dumps({"one": {"made_of": {}, "files": {"../thesis.pdf": 4}}}))
    with pytest.raises(ValueError, match=r"names of files within its folder; got '\.\./thesis.pdf'"):
        files.forget(out)
    assert (tmp_path / "thesis.pdf").exists()
