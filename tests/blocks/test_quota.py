"""Cores and memory that a container, a batch system or a service leaves to its processes."""

from __future__ import annotations

import math
import os

import pytest

import xoffset
from xoffset._blocks import quota

GB = 1024.0**3


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes what a machine of 16 cores and 64 GB tells of control groups."""
    monkeypatch.setattr(quota, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(quota, "LIMITS", tmp_path / "limits")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(quota, "_physical", lambda: 64 * GB)

    def write(groups, files):
        (tmp_path / "cgroup").write_text(groups)
        for name, text in files.items():
            file = tmp_path / "limits" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


V2 = "0::/job/step\n"
V1 = "12:cpu,cpuacct:/docker/abc\n7:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/init\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory"),
    [
        ("", {}, 16, 64.0),
        (V2, {}, 16, 64.0),
        (V2, {"job/step/cpu.max": "max 100000\n", "job/step/memory.max": "max\n"}, 16, 64.0),
        (V2, {"job/step/cpu.max": "400000 100000\n", "job/step/memory.max": f"{int(8 * GB)}\n"}, 4, 8.0),
        # of part of a core a whole one
        (V2, {"job/step/cpu.max": "150000 100000\n"}, 2, 64.0),
        (V2, {"job/step/cpu.max": "5000 100000\n"}, 1, 64.0),
        # a group is within the limits of those that it is part of
        (V2, {"job/cpu.max": "300000 100000\n", "job/step/cpu.max": "800000 100000\n"}, 3, 64.0),
        (V2, {"job/memory.max": f"{int(6 * GB)}\n", "job/step/memory.high": f"{int(5 * GB)}\n"}, 16, 5.0),
        # a container sees its own group as the root, whatever the path is called outside
        ("0::/\n", {"cpu.max": "200000 100000\n", "memory.max": f"{int(2 * GB)}\n"}, 2, 2.0),
        ("0::/../../kubepods\n", {"cpu.max": "200000 100000\n"}, 2, 64.0),
        # more than there is
        ("0::/\n", {"cpu.max": "6400000 100000\n", "memory.max": f"{int(900 * GB)}\n"}, 16, 64.0),
        (V1, {}, 16, 64.0),
        (
            V1,
            {
                "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
                "memory/docker/abc/memory.limit_in_bytes": f"{int(3 * GB)}\n",
            },
            3,
            3.0,
        ),
        (
            V1,
            {
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            16,
            64.0,
        ),
    ],
)
def test_what_a_process_may_use(machine, groups, files, cores, memory):
    machine(groups, files)
    assert quota.cores() == cores
    assert quota.memory() == memory * GB


def test_no_other_system_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(quota, "GROUPS", tmp_path / "none")
    assert quota.cores() >= 1
    assert 0.0 < quota.memory() <= math.inf


def test_estimates_know_the_quota(machine):
    machine("0::/\n", {"cpu.max": "300000 100000\n"})
    stack, _ = xoffset.synthetic.stack((96, 96))
    assert xoffset.estimate(stack, xoffset.pairs(stack), search=4, calibrate=False).cores == 3
