"""Losses as a table that any program reads."""

import pandas as pd
import pytest

import xoffset
from xoffset import synthetic


@pytest.fixture(scope="module")
def losses():
    stack, _ = synthetic.stack((96, 96), dates=["2020-01-01", "2020-02-01T10:30", "2020-03-01"], field="constant")
    shifts = xoffset.correlate(stack, xoffset.pairs(stack), search=5)
    return xoffset.losses(xoffset.screen(shifts, min_score=0.999))


def test_rows_are_stages_and_pairs(losses, tmp_path):
    (path,) = xoffset.formats.table.write_losses(losses, tmp_path / "new")
    assert path == tmp_path / "new" / "losses.csv"
    table = pd.read_csv(path)
    assert list(table) == ["stage", "reference", "secondary", "nodes", "flagged", "lost", "left"]
    assert set(table.reference) | set(table.secondary) == {
        "2020-01-01T00:00:00", "2020-02-01T10:30:00", "2020-03-01T00:00:00",
    }  # fmt: skip
    for row in table.itertuples():
        k = [(str(a)[:19], str(b)[:19]) for a, b in zip(losses.reference.values, losses.secondary.values, strict=True)]
        one = losses.isel(pair=k.index((row.reference, row.secondary))).sel(stage=row.stage)
        assert (row.nodes, row.flagged, row.lost, row.left) == tuple(
            int(one[name]) for name in ("nodes", "flagged", "lost", "left")
        )
    # no stage that took something lacks, and no other one is there
    took = losses.stage.values[(losses.lost + losses.flagged).sum("pair").values > 0]
    assert list(dict.fromkeys(table.stage)) == list(took)
    assert {"outside", "low_score"} <= set(took)
    assert (xoffset.formats.table.write_losses(losses.chunk(), tmp_path / "lazy")[0].read_bytes()) == path.read_bytes()


def test_what_is_there_and_what_are_no_losses_is_refused(losses, tmp_path):
    xoffset.formats.table.write_losses(losses, tmp_path)
    with pytest.raises(FileExistsError, match=r"losses\.csv"):
        xoffset.formats.table.write_losses(losses, tmp_path)
    xoffset.formats.table.write_losses(losses, tmp_path, overwrite=True)
    with pytest.raises(TypeError, match=r"needs a result of losses\(\); got int\. Count them"):
        xoffset.formats.table.write_losses(3, tmp_path)
    with pytest.raises(ValueError, match=r"dims \('stage', 'pair'\); got .*Count them"):
        xoffset.formats.table.write_losses(losses.isel(pair=0), tmp_path)
