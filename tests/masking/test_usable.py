"""masking.usable(): what may be matched, with distances in metres."""

import numpy as np
import pytest
import reference_masking as reference
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mask_images import CLEAR, CLOUD, NULL, SHADOW, SNOW, WATER, on_grid

from xoffset import masking
from xoffset._arrays.scenes import morphology

few = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def patches(shape, seed=0):
    """Blobs of classes, thin lines without data, and single pixels."""
    generator = np.random.default_rng(seed)
    out = np.zeros(shape, np.uint8)
    rows, columns = np.indices(shape[1:])
    for layer in out:
        for kind in (CLOUD, SHADOW, SNOW, WATER, CLOUD, CLOUD):
            y, x, size = (
                generator.uniform(-3, 1.1 * shape[1]),
                generator.uniform(-3, 1.1 * shape[2]),
                generator.uniform(0.5, 7),
            )
            layer[(rows - y) ** 2 + (columns - x) ** 2 <= size**2] = kind
        layer[:, generator.integers(0, shape[2])] = NULL
        layer[generator.random(shape[1:]) < 0.01] = NULL
        layer[generator.random(shape[1:]) < 0.01] = CLOUD
    return out


@pytest.mark.parametrize("taken", [(), ("cloud",), ("shadow", "water"), ("cloud", "shadow", "snow", "water")])
def test_classes_that_are_taken_out(taken):
    classes = on_grid(np.array([[[0, 1, 2], [3, 4, 5]]], np.uint8))
    found = masking.usable(classes, **{name: name in taken for name in ("cloud", "shadow", "snow", "water")})
    assert found.dtype == np.bool_
    assert found.name == "usable"
    names = ("clear", "null", "cloud", "shadow", "snow", "water")
    assert found.values.ravel().tolist() == [name != "null" and name not in taken for name in names]


@pytest.mark.parametrize(
    "metres",
    [
        {"buffer": 10.0}, {"buffer": 25.0}, {"closing": 30.0}, {"opening": 20.0}, {"closing": 20.0, "opening": 30.0},
        {"closing": 15.0, "opening": 20.0, "buffer": 45.0}, {"buffer": 9.0},
    ],
)  # fmt: skip
@pytest.mark.parametrize("steps", [(10.0, 10.0), (15.0, 7.5)])
def test_distances_against_twin(metres, steps):
    values = patches((2, 45, 52), seed=7)
    classes = on_grid(values).assign_coords(y=5e6 - steps[0] * np.arange(45), x=5e5 + steps[1] * np.arange(52))
    found = masking.usable(classes, snow=False, **metres)
    for k in range(2):
        np.testing.assert_array_equal(found[k], reference.usable(values[k], (CLOUD, SHADOW, WATER), steps, **metres))


def test_a_disc_is_as_wide_as_it_is_said():
    values = np.zeros((1, 41, 41), np.uint8)
    values[0, 20, 20] = CLOUD
    rows, columns = np.indices((41, 41)) - 20
    for radius in (0.0, 10.0, 50.0, 99.0, 130.0):
        found = masking.usable(on_grid(values), buffer=radius)
        np.testing.assert_array_equal(~found[0], np.hypot(rows, columns) * 10.0 <= radius)


def test_gaps_close_and_specks_stay():
    values = np.zeros((1, 40, 60), np.uint8)
    values[0, 5:20, 5:20] = values[0, 5:20, 23:40] = CLOUD  # a gap of 30 m
    values[0, 30, 50] = CLOUD
    plain, closed, opened = (
        masking.usable(on_grid(values), **each)[0] for each in ({}, {"closing": 20.0}, {"opening": 20.0})
    )
    assert plain.values[10, 20:23].all()
    assert not closed.values[10, 20:23].any()
    assert not plain.values[30, 50]
    assert opened.values[30, 50]
    assert not opened.values[6:19, 6:19].any()


def test_missing_lines_are_not_widened():
    values = np.zeros((1, 30, 30), np.uint8)
    values[0, :, ::6] = NULL
    found = masking.usable(on_grid(values), buffer=100.0, closing=100.0, opening=50.0)
    np.testing.assert_array_equal(found[0], values[0] != NULL)


def test_a_cloud_at_the_edge_is_not_opened_away():
    values = np.zeros((1, 30, 30), np.uint8)
    values[0, :, :3] = CLOUD
    assert not masking.usable(on_grid(values), opening=25.0).values[0, :, :3].any()
    # nor one that is cut off by missing pixels
    values[0, :, 10:13], values[0, :, 13:20] = CLOUD, NULL
    assert not masking.usable(on_grid(values), opening=25.0).values[0, :, 10:20].any()


@few
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(2, 40)),
    chunks=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 40)),
    metres=st.tuples(*[st.sampled_from([0.0, 10.0, 30.0])] * 3),
    part=st.sampled_from([7, 1024]),
)
def test_same_bits_whatever_the_chunks(shape, chunks, metres, part):
    classes = on_grid(patches((2, *shape), seed=sum(shape)))
    options = dict(zip(("buffer", "closing", "opening"), metres, strict=True))
    expected = masking.usable(classes, **options)
    whole, morphology._PART = morphology._PART, part
    try:
        found = masking.usable(classes.chunk(dict(zip(("time", "y", "x"), chunks, strict=True))), **options)
        assert found.chunks is not None
        xr.testing.assert_identical(found.compute(), expected)
        xr.testing.assert_identical(masking.usable(classes, **options), expected)
    finally:
        morphology._PART = whole


def test_values_that_are_missing_are_null():
    classes = on_grid(np.array([[[0.0, np.nan], [2.0, 5.0]]]))
    assert masking.usable(classes, water=False).values[0].tolist() == [[True, False], [False, True]]


NAMES = ("clear", "null", "cloud", "shadow", "snow", "water")
ERRORS = {
    "no array": (lambda c: masking.usable(3), TypeError, r"Pick one variable of a Dataset"),
    "boolean": (lambda c: masking.usable(c == 0), TypeError, r"Convert first"),
    "other classes": (lambda c: masking.usable(c + np.uint8(6)), ValueError, r"legend"),
    "layer": (
        lambda c: masking.usable(c.assign_attrs(flag_meanings="no_data cloud")), ValueError, r"Bring them to these",
    ),
    **{
        name: (lambda c, name=name: masking.usable(c.rename(name)), ValueError, r"Bring them to these first")
        for name in ("SCL", "QA_PIXEL", "T32TMT_20210717_SCL_20m", "fmask")
    },
    "band": (lambda c: masking.usable(c.assign_coords(band="SCL")), ValueError, r"got scl\. Bring them"),
    "other numbers": (
        lambda c: masking.usable(c.assign_attrs(flag_meanings=" ".join(NAMES), flag_values=[1, 0, 2, 3, 4, 5])),
        ValueError, r"got these of other numbers",
    ),
    "no date": (lambda c: masking.usable(c[0]), ValueError, r"expand_dims"),
    "switch": (lambda c: masking.usable(c, cloud=1), TypeError, r"Pass one of the two"),
    "negative": (lambda c: masking.usable(c, buffer=-1.0), ValueError, r"Pass one such as"),
    "endless": (lambda c: masking.usable(c, closing=np.inf), ValueError, r"Pass one such as"),
    "text": (lambda c: masking.usable(c, opening="20 m"), ValueError, r"Pass one such as"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_input_is_refused_with_advice(case):
    call, error, advice = ERRORS[case]
    with pytest.raises(error, match=r"^usable\(\) needs .*; got .*\. \S") as caught:
        call(on_grid(np.zeros((1, 4, 4), np.uint8)))
    assert caught.match(advice)


def test_attributes_go_before_a_name():
    classes = on_grid(np.zeros((1, 4, 4), np.uint8), name="SCL", flag_meanings=" ".join(NAMES))
    assert masking.usable(classes).all()


def test_all_may_be_out():
    assert not masking.usable(on_grid(np.full((1, 5, 5), SNOW, np.uint8)), buffer=20.0).any()
    assert masking.usable(on_grid(np.full((1, 5, 5), CLEAR, np.uint8)), buffer=20.0, closing=20.0, opening=20.0).all()
