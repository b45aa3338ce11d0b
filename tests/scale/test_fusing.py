"""Graphs of few tasks, where dask lets them be made."""

import dask.array as da
import numpy as np
import pytest

from xoffset._blocks import fusing


def sums():
    given = da.from_array(np.arange(64.0).reshape(8, 8), chunks=4)
    return {"a": (given + 1.0) * 2.0, "b": (given + 1.0) ** 2}, given


def test_what_belongs_to_a_block_is_one_task():
    made, given = sums()
    found = fusing.in_few_tasks(made, [given])
    for name, each in made.items():
        np.testing.assert_array_equal(found[name], each)


@pytest.mark.filterwarnings("error")
def test_another_dask_means_more_tasks_and_no_failure(monkeypatch, caplog):
    monkeypatch.setattr(fusing, "OF_TASKS", "dask._that_is_gone")
    made, given = sums()
    found = fusing.in_few_tasks(made, [given])
    assert all(found[name] is each for name, each in made.items())
    assert "in graphs of many more tasks" in caplog.text
