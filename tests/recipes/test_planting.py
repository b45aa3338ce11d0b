"""Motion that is planted by whole pixels, and what is said of matches that look for it."""

import numpy as np
import pytest

from xoffset._arrays import planting


@pytest.fixture(scope="module")
def field():
    return planting.band(160, 40.0, 6, 0.7)


def test_a_band_slides_along_itself_and_fades(field):
    middle = field[:, 80, 80]
    assert middle.tolist() == [round(6 * np.sin(0.7)), round(6 * np.cos(0.7))]
    # from edge to edge along itself
    along = np.rint(80 + 95 * np.array([np.sin(0.7), np.cos(0.7)])).astype(int)
    assert field[:, along[0], along[1]].tolist() == middle.tolist()
    # across the band it moves over its width
    across = np.array([np.cos(0.7), -np.sin(0.7)])
    inner, outer = (np.rint(80 + r * across).astype(int) for r in (13, 21))
    assert field[:, inner[0], inner[1]].tolist() == middle.tolist()
    assert field[:, outer[0], outer[1]].tolist() == [0, 0]


def test_each_pixel_is_one_of_the_image(field):
    image = np.random.default_rng(0).normal(size=(160, 160))
    planted = planting.plant(image, field)
    rows, columns = np.indices(image.shape)
    source = (np.clip(each, 0, 159) for each in (rows - field[0], columns - field[1]))
    np.testing.assert_array_equal(planted, image[tuple(source)])
    still = ~field.any(axis=0)
    np.testing.assert_array_equal(planted[still], image[still])


def test_what_was_at_a_pixel_is_found_where_it_has_moved_to(field):
    image = np.random.default_rng(1).normal(size=(160, 160))
    planted, moved = planting.plant(image, field), planting.reached(field)
    rows, columns = np.indices(image.shape)
    goal = tuple(np.clip(each, 0, 159) for each in (rows + moved[0], columns + moved[1]))
    is_there = planted[goal] == image
    inner = np.hypot(*moved) >= planting.MOVED * np.hypot(*moved).max()
    # where the rounded motion changes by a pixel, some of the ground is covered by what is beside it
    assert is_there[inner].mean() > 0.94
    assert is_there[10:-10, 10:-10].mean() > 0.96


def test_widest_place():
    is_moving = np.zeros((60, 80), dtype=bool)
    is_moving[20:31, 10:70] = True
    assert planting.widest(is_moving) == 12.0
    assert planting.widest(~np.zeros_like(is_moving)) == planting.widest(np.zeros_like(is_moving)) == 0.0


def test_scores_tell_noise_from_loss():
    generator = np.random.default_rng(2)
    field = planting.band(120, 40.0, 4, 0.0)
    truth = np.stack([10.0 * planting.reached(field)] * 2, axis=1).astype(float)
    noise = generator.normal(0.0, 0.5, (2, 2, 120, 120))
    # ground that moves by itself, as a whole
    still = noise + np.array([3.0, -2.0])[:, None, None, None]
    stable = np.ones(still.shape[1:], dtype=bool)
    all_of_it = planting.scores(still, still + truth, truth, stable, np.array([0.5, 0.5]), 10.0)
    assert all_of_it.spread == pytest.approx(1.0, rel=0.03)
    assert (all_of_it.coverage, all_of_it.found) == (1.0, 1.0)
    assert all_of_it.retention == pytest.approx(1.0)
    half = planting.scores(still, still + 0.5 * truth, truth, stable, np.ones(2), 10.0)
    assert half.retention == pytest.approx(0.5)
    assert half.found == 0.0
    gaps = np.where(generator.random(still.shape[1:]) < 0.25, np.nan, 1.0)
    some = planting.scores(still * gaps, (still + truth) * gaps, truth, stable, np.ones(2), 10.0)
    assert some.coverage == pytest.approx(0.75, abs=0.02)
    assert some.found == pytest.approx(0.75, abs=0.05)
    assert some.retention == pytest.approx(1.0)
    none = planting.scores(still * np.nan, still * np.nan, truth, stable, np.ones(2), 10.0)
    assert (none.coverage, none.found) == (0.0, 0.0)
    assert np.isnan([none.spread, none.retention]).all()
