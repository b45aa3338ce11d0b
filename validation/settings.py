"""What a matcher of any kind is asked for, and values of every pixel on the nodes that this stands for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Setting(NamedTuple):
    """Side of the windows, half-range of the search and distance of the windows [px]."""

    template: int
    search: int
    step: int


def on_nodes(field: np.ndarray, setting: Setting) -> np.ndarray:
    """Values (2, y, x) of every pixel at the middle of the windows, which of even ones lies between four pixels."""
    half = setting.template // 2
    count = [(size - setting.template) // setting.step + 1 for size in field.shape[1:]]
    rows, columns = (np.arange(each) * setting.step + half for each in count)
    apart = (0,) if setting.template % 2 else (0, 1)
    around = [field[:, rows[:, None] - i, columns[None] - j] for i in apart for j in apart]
    return np.asarray(np.mean(around, axis=0))
