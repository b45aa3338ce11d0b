"""Files of MPIC-OPT that all pairs, or the masks of both images, are told by: names, rows, and what is refused."""

import numpy as np
import pytest
import rasterio

import xoffset
from xoffset import synthetic
from xoffset.formats import mpic

DATES = ["2020-01-01T10:20", "2020-02-01T10:20", "2020-03-01T10:20"]


@pytest.fixture(scope="module")
def known():
    return synthetic.stack((40, 50), dates=DATES, velocity=36.525, direction=180.0)


@pytest.fixture(scope="module")
def network(known):
    return xoffset.pairs(known[0])


def test_velocity_is_south_positive_in_metres_a_day(known, network, tmp_path):
    truth = known[1][["vx", "vy"]]
    east, south = mpic.write_indicators(network, tmp_path, velocity=truth)
    assert south.name == "mean_veloc_ns_20200101_20200301.tif"
    with rasterio.open(south) as file:
        assert file.read(1).max() == pytest.approx(0.1, abs=1e-3)
    with rasterio.open(east) as file:
        np.testing.assert_allclose(file.read(1), 0.0, atol=1e-6)
    # rows from the south are turned
    _, turned = mpic.write_indicators(network, tmp_path / "b", velocity=truth.isel(y=slice(None, None, -1)))
    assert turned.read_bytes() == south.read_bytes()


def test_masks_hold_both_images_of_a_pair(known, network, tmp_path):
    usable = known[0] > 0
    usable[0, :10], usable[1, :, :10] = False, False
    files = mpic.write_masks(usable.chunk(time=1), network, tmp_path)
    assert [file.name[22:-4] for file in files] == [
        "20200101_20200201", "20200101_20200301", "20200201_20200301",
    ]  # fmt: skip
    with rasterio.open(files[0]) as file:
        found = file.read(1)
    assert set(np.unique(found)) == {0, 255}
    np.testing.assert_array_equal(found == 0, ~(usable[0] & usable[1]))


@pytest.mark.parametrize(
    ("call", "error", "advice"),
    [
        (lambda k, n, f: mpic.write_indicators(n, f), ValueError, r"needs a product to write; got none. Pass one"),
        (
            lambda k, n, f: mpic.write_indicators(n, f, coherence=k[1][["vx", "vy"]]),
            ValueError, r"needs 'vector_coherence' as coherence; got variables \['vx', 'vy'\]. Pass the result",
        ),
        (
            lambda k, n, f: mpic.write_previews(
                n, f, velocity=k[1][["vx", "vy"]],
                displacement=k[1][["dx"]].isel(time=0, x=slice(20)).rename(dx="magnitude"),
            ),
            ValueError, r"needs products on one grid; got grids of .*Make them of the same shifts",
        ),
        (lambda k, n, f: mpic.write_indicators(k[0], f, velocity=k[1]), (TypeError, ValueError), r"\. \w+"),
        (lambda k, n, f: mpic.write_masks(k[0], n, f), TypeError, r"boolean"),
        (lambda k, n, f: mpic.write_masks(k[0][:2] > 0, n, f), ValueError, r"dates of the network"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(known, network, tmp_path, call, error, advice):
    with pytest.raises(error, match=advice):
        call(known, network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_unasked(known, network, tmp_path):
    truth = known[1][["vx", "vy"]]
    mpic.write_indicators(network, tmp_path, velocity=truth)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        mpic.write_indicators(network, tmp_path, velocity=truth)
    assert len(mpic.write_indicators(network, tmp_path, velocity=truth, overwrite=True)) == 2
