"""Safe writing: what is there stays until all of the new is."""

import contextlib
import errno
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from test_inverse import make_shifts

from xoffset.formats import writing
from xoffset.formats.open_shifts import module_of


class TestReplaced:
    def test_has_the_name_of_the_target_beside_it(self, tmp_path):
        with writing.replaced(tmp_path / "new" / "a.nc", overwrite=False, caller="f") as place:
            assert place.name == "a.nc"
            assert place.parent.parent == tmp_path / "new"
            place.write_text("new")
        assert (tmp_path / "new" / "a.nc").read_text() == "new"
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.nc"]

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_a_failure_leaves_what_was_there(self, kind, tmp_path):
        target = tmp_path / "a"
        make(target, kind, "old")
        with pytest.raises(RuntimeError, match="fire"):
            write_half(target, kind)
        assert content(target, kind) == "old"
        assert list(tmp_path.iterdir()) == [target]

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_replaces_the_whole_when_asked(self, kind, tmp_path):
        target = tmp_path / "a"
        make(target, kind, "old")
        if kind == "store":
            (target / "stale").write_text("of the old one")
        with writing.replaced(target, overwrite=True, caller="f") as place:
            make(place, kind, "new")
        assert content(target, kind) == "new"
        assert list(tmp_path.iterdir()) == [target]
        assert kind == "file" or sorted(path.name for path in target.iterdir()) == ["chunk", "zarr.json"]

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_refuses_before_anything_is_written(self, kind, tmp_path):
        make(tmp_path / "a", kind, "old")
        with (
            pytest.raises(FileExistsError, match=r"f\(\) needs a free place .*/a, which is there\. .* overwrite=True"),
            writing.replaced(tmp_path / "a", overwrite=False, caller="f"),
        ):
            raise AssertionError("it must not come to this")

    def test_a_store_that_cannot_be_put_in_place_leaves_the_old_one(self, tmp_path):
        make(tmp_path / "a", "store", "old")
        with (
            pytest.raises(OSError, match=r"f\(\) needs to write into"),
            writing.replaced(tmp_path / "a", overwrite=True, caller="f"),
        ):
            pass  # nothing was written
        assert content(tmp_path / "a", "store") == "old"

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_a_folder_that_is_no_store_is_never_replaced(self, kind, tmp_path):
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "all of it.txt").write_text("precious")
        with (
            pytest.raises(FileExistsError, match=r"results, a folder that is no store .*results/result, or delete it"),
            writing.replaced(tmp_path / "results", overwrite=True, caller="f") as place,
        ):
            make(place, kind, "new")
        assert (tmp_path / "results" / "all of it.txt").read_text() == "precious"

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_an_empty_folder_is_replaced(self, kind, tmp_path):
        (tmp_path / "a").mkdir()
        with writing.replaced(tmp_path / "a", overwrite=True, caller="f") as place:
            make(place, kind, "new")
        assert content(tmp_path / "a", kind) == "new"

    @pytest.mark.parametrize("kind", ["file", "store"])
    def test_of_two_writers_the_second_is_refused(self, kind, tmp_path):
        late = contextlib.ExitStack()
        place = late.enter_context(writing.replaced(tmp_path / "a", overwrite=False, caller="f"))
        with writing.replaced(tmp_path / "a", overwrite=False, caller="f") as early:
            make(early, kind, "early")
        make(place, kind, "late")
        with pytest.raises(FileExistsError, match="needs a free place"):
            late.close()
        assert content(tmp_path / "a", kind) == "early"
        assert list(tmp_path.iterdir()) == [tmp_path / "a"]

    def test_a_full_disk_is_told_whatever_writes(self, tmp_path):
        with (
            pytest.raises(OSError, match=r"f\(\) needs to write into .* got '\[Errno 28\] .* MB free .*no file has"),
            writing.replaced(tmp_path / "a", overwrite=False, caller="f") as place,
        ):
            raise OSError(errno.ENOSPC, "No space left on device", str(place))
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_elsewhere_is_another_matter(self, tmp_path):
        with (
            pytest.raises(OSError, match=r"^\[Errno 28\]"),
            writing.replaced(tmp_path / "a", overwrite=False, caller="f"),
        ):
            raise OSError(errno.ENOSPC, "No space left on device", "/cache/of/images")

    def test_hdf5_does_not_begin_without_room(self, tmp_path, monkeypatch):
        monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
        data = xr.Dataset({"v": ("x", np.zeros(1_000_000))})
        with (
            pytest.raises(OSError, match=r"f\(\) needs 8 MB, .* got 7 MB free .* Make room"),
            writing.replaced(tmp_path / "a.nc", overwrite=False, caller="f") as place,
        ):
            writing.netcdf(data, place, "f")
        assert not list(tmp_path.iterdir())


class TestSets:
    def test_old_files_beside_go(self, tmp_path):
        for name in ("a.shp", "a.prj", "b.prj"):
            (tmp_path / name).write_text("old")
        with writing.replaced_all(tmp_path, ["a.shp"], overwrite=True, caller="f", beside=["a.prj"]) as scratch:
            (scratch / "a.shp").write_text("new")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.shp", "b.prj"]

    def test_old_files_beside_are_in_the_way(self, tmp_path):
        (tmp_path / "a.prj").write_text("old")
        with (
            pytest.raises(FileExistsError, match=r"a\.prj, which is there"),
            writing.replaced_all(tmp_path, ["a.shp"], overwrite=False, caller="f", beside=["a.prj"]),
        ):
            raise AssertionError("it must not come to this")

    def test_only_what_is_named_stays(self, tmp_path):
        with writing.replaced_all(tmp_path, ["a", "b"], overwrite=False, caller="f") as scratch:
            for name in ("a", "b", "plain"):
                (scratch / name).write_text(name)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "a").write_text("file")
        with (
            pytest.raises(FileExistsError, match="needs a folder to write into; got the file"),
            writing.replaced_all(tmp_path / "a", ["b"], overwrite=True, caller="f"),
        ):
            pass

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "a").write_text("file")
        with (
            pytest.raises(OSError, match=r"needs to write into .* MB free on that disk"),
            writing.replaced_all(tmp_path / "a" / "b", ["c"], overwrite=True, caller="f"),
        ):
            pass


def write_half(target, kind):
    with writing.replaced(target, overwrite=True, caller="f") as place:
        make(place, kind, "half")
        raise RuntimeError("the disk is on fire")


def make(path, kind, text):
    if kind == "store":
        path.mkdir()
        (path / "zarr.json").write_text("{}")
        path = path / "chunk"
    path.write_text(text)


def content(path, kind):
    return (path / "chunk" if kind == "store" else path).read_text()


@pytest.fixture
def full_disk():
    """Context in which no file grows beyond 600 bytes."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def full():
        least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, most))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))

    return full


@pytest.mark.parametrize("name", ["mpic", "gdm", "cosicorr", "autorift", "itslive", "pycorr"])
def test_a_full_disk_leaves_what_was_there(name, full_disk, tmp_path):
    shifts = make_shifts()
    module_of(name).write(shifts, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with (
        full_disk(),
        pytest.raises(OSError, match=rf"{name}\.write\(\) needs to write into .* no file has been changed"),
    ):
        module_of(name).write(shifts, tmp_path, overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
