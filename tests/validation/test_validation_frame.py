"""Cases are complete and tell what they lack; files, checksums and tables of the ground are refused where wrong."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest

from validation import __main__ as command
from validation import data, tables
from validation.case import Case, Figure, Product, Truth, load, names

ASKED = (
    "ridgecrest", "kaikoura", "slumgullion", "kaskawulsh", "jakobshavn", "maca", "rangitikei", "lowell", "salmon_falls",
    "harmaliere", "columbia", "kaiserberg", "perito_moreno", "yahtse", "naip", "slovenia", "dic",
)  # fmt: skip
NEEDED = Product("images", "LC08_X", "the archive", "x/*.tif")
TRUTH = Truth("gnss", ("ITRF2014", "WGS 84"), "true", first="2019-07-04", last="2019-07-06")


def case(*products: Product, figures: tuple[Figure, ...] = (), **told: object) -> Case:
    return Case("made_up", "A case", "about it", products, figures, **told)


def figure(quantity: str = "error", value: float = 1.0, **told: object) -> Figure:
    return Figure(quantity, value, "m", "a tool", "a text", **told)


# --------------------------------------------------------------------------------------------------------------- cases


def test_all_cases_are_there() -> None:
    assert sorted(ASKED) == names()


@pytest.mark.parametrize("name", ASKED)
def test_a_case_is_complete(name: str) -> None:
    found = load(name)
    assert found.title
    assert found.about
    assert callable(found.recipe)
    assert found.products
    assert len({each.key for each in found.products}) == len(found.products)
    for each in (*found.products, *found.published):
        assert each.source
    # what nobody published is said to be missing
    assert found.published or found.missing
    if found.truth is not None:
        assert found.product(found.truth.key)


def test_an_unknown_case_names_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"needs the name of a case, of columbia.*got 'atlantis'.*--list"):
        load("atlantis")


# --------------------------------------------------------------------------------------------------------------- files


def test_missing_images_are_told_with_their_source_and_what_is_not_known(tmp_path: Path) -> None:
    wanted = case(NEEDED, missing=("the dates",))
    with pytest.raises(
        FileNotFoundError, match=r"needs LC08_X as .*1 at least; got 0.*the archive. Not known: the dates"
    ):
        data.find(wanted, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"needs a folder of data; got .*nowhere.*--data FOLDER"):
        data.find(wanted, tmp_path / "nowhere")


def test_a_case_says_what_it_does_without(tmp_path: Path) -> None:
    wanted = case(Product("gnss", "a table", "a web page", "gnss.csv", without="no accuracy"))
    found = data.find(wanted, tmp_path)
    assert found.notes == ("without a table: no accuracy",)
    assert "gnss" not in found


def test_too_few_files_are_missing_files(tmp_path: Path) -> None:
    (tmp_path / "1.tif").write_bytes(b"1")
    with pytest.raises(FileNotFoundError, match=r"2 at least; got 1"):
        data.find(case(Product("images", "pair", "archive", "*.tif", least=2)), tmp_path)


def test_another_version_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"one")
    right = hashlib.sha256(b"one").hexdigest()
    product = Product("images", "A", "the archive", "a.tif", sha256={"a.tif": right})
    assert data.find(case(product), tmp_path).notes == ()
    (tmp_path / "a.tif").write_bytes(b"another")
    with pytest.raises(ValueError, match=rf"SHA-256 {right}; got .*another version.*the archive.*--any-version"):
        data.find(case(product), tmp_path)
    (note,) = data.find(case(product), tmp_path, is_any_version=True).notes
    assert "a.tif is of another version" in note


# ----------------------------------------------------------------------------------------------- measured on the ground


def table(
    path: Path, head: str = "# datum: ITRF2014\n# axes: true\n", first: str = "2019-07-01", last: str = "2019-07-12"
) -> Path:
    path.write_text(
        f"{head}name,longitude,latitude,d_east,d_north,reference,secondary\nP1,-117,35,0.5,-0.2,{first},{last}\n"
    )
    return path


def test_a_table_of_receivers_is_read(tmp_path: Path) -> None:
    rows = data.read_truth(table(tmp_path / "gnss.csv"), TRUTH, "made_up")
    assert list(rows.columns)[:2] == ["name", "longitude"]
    assert rows.d_east[0] == 0.5


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"head": "# axes: true\n"}, r"first lines say '# datum: ITRF2014'.*without that.*write the line"),
        ({"head": "# datum: ITRF2014\n"}, r"first lines say '# axes: true'.*Look up"),
        ({"head": "# datum: NAD27\n# axes: true\n"}, r"datum ITRF2014 or WGS 84; got gnss.csv with NAD27. Transform"),
        ({"head": "# datum: WGS 84\n# axes: grid\n"}, r"axes true; got gnss.csv with grid. Turn the components"),
        ({"first": "2019-07-05"}, r"reference date is no later than 2019-07-04; got 2019-07-05.*both sides"),
        ({"last": "2019-07-05"}, r"secondary date is no earlier than 2019-07-06; got 2019-07-05.*both sides"),
    ],
)
def test_a_table_of_another_datum_epoch_or_axes_is_refused(tmp_path: Path, changes: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        data.read_truth(table(tmp_path / "gnss.csv", **changes), TRUTH, "made_up")


def test_a_table_without_epochs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gnss.csv").write_text("# datum: WGS 84\n# axes: true\nname,x,y,d_east,d_north\nP1,1,2,3,4\n")
    with pytest.raises(ValueError, match=r"column 'reference' with dates.*got name, x.*Add the epochs"):
        data.read_truth(tmp_path / "gnss.csv", TRUTH, "made_up")


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("ours", "value", "met"),
    [
        ("at most", 0.9, "yes"), ("at most", 1.1, "no"), ("at least", 1.1, "yes"), ("at least", 0.9, "no"),
        ("about", 1.09, "yes"), ("about", 1.2, "no"), ("", 5.0, ""),
    ],
)  # fmt: skip
def test_ours_beside_what_is_published(ours: str, value: float, met: str) -> None:
    wanted = case(figures=(figure(ours=ours),))
    (row,) = tables.beside(wanted, [{"quantity": "error", "unit": "m", "xoffset": value}])
    assert (row["published"], row["of"], row["met"]) == (1.0, "a tool", met)


def test_a_negative_number_is_about_a_negative_one() -> None:
    assert figure(value=-0.9, ours="about", within=0.25).is_met(-1.0)
    assert not figure(value=-0.9, ours="about", within=0.25).is_met(0.9)


def test_what_was_not_measured_stays_in_the_table() -> None:
    wanted = case(figures=(figure(), figure("bias", 2.0)))
    rows = tables.beside(wanted, [{"quantity": "error", "unit": "m", "xoffset": 1.0}])
    assert rows[-1] == {
        "quantity": "bias", "unit": "m", "xoffset": None, "published": 2.0, "of": "a tool", "met": "not measured",
    }  # fmt: skip
    (row, _) = tables.beside(wanted, [{"quantity": "error", "unit": "m", "xoffset": math.nan}])
    assert row["met"] == ""


def test_no_value_is_not_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tables.beside(
        case(figures=(figure(ours="at most"),)), [{"quantity": "error", "unit": "m", "xoffset": math.nan}]
    )
    assert [row["met"] for row in rows] == ["no"]
    tables.keep("dic", {"table": rows}, tmp_path)
    assert command.main(["--list", "--data", str(tmp_path), "--results", str(tmp_path)]) == 0
    assert "0 of 1 published figures met" in capsys.readouterr().out


def test_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs error in m, as it is published; got cm. Convert"):
        tables.beside(case(figures=(figure(),)), [{"quantity": "error", "unit": "cm", "xoffset": 1.0}])


def test_tables_are_kept_and_read(tmp_path: Path) -> None:
    path = tables.keep("made_up", {"table": [{"quantity": "error", "xoffset": math.nan, "met": ""}]}, tmp_path, ("so",))
    assert tables.read("made_up", tmp_path) == {"table": [{"quantity": "error", "xoffset": None, "met": ""}]}
    told = json.loads(path.read_text())
    assert told["notes"] == ["so"]
    assert told["machine"]["cores"] >= 1
    assert tables.read("never", tmp_path) is None


# -------------------------------------------------------------------------------------------------------------- command


def test_the_list_tells_the_state_of_each_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables.keep("dic", {"table": [{"met": "yes"}, {"met": "no"}, {"met": ""}]}, tmp_path)
    assert command.main(["--list", "--data", str(tmp_path), "--results", str(tmp_path)]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == names()
    assert lines["dic"].startswith("1 of 2 published figures met")
    assert "data missing: DICe" in lines["dic"]
    assert lines["ridgecrest"].startswith("never run")
    assert "data missing: S2" in lines["ridgecrest"]
    # what needs no images of its own runs anywhere
    assert "runs here, without images" in lines["rangitikei"]


def test_a_case_that_cannot_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["harmaliere", "--data", str(tmp_path)]) == 1
    assert "data package Harmalierelandslide" in capsys.readouterr().err
    assert command.main(["atlantis"]) == 1
    assert "needs the name of a case" in capsys.readouterr().err
    assert command.main([]) == 1


def test_a_run_prints_and_keeps_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = {"table": [{"quantity": "median of the years", "unit": "m/yr", "xoffset": 2300.0}]}
    monkeypatch.setattr("validation.cases.columbia.run", lambda found: measured)
    monkeypatch.setattr(data, "find", lambda case, folder, is_any_version: data.Found(case, {}, ("as it is",)))
    assert command.main(["columbia", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "mosaic of ITS_LIVE v1" in out
    assert "as it is" in out
    (row, *others) = tables.read("columbia", tmp_path)["table"]
    assert (row["published"], row["met"]) == (2400.0, "yes")
    assert {each["met"] for each in others} == {"not measured"}
