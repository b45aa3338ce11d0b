"""Classes of real products: clouds over stable forest, the scene classification of a whole product."""

import numpy as np
import pytest
import scipy.ndimage
from mask_images import CLEAR, CLOUD, NULL, SHADOW, SNOW, WATER

import xoffset
from xoffset import masking

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def slovenia(data_folder):
    path = data_folder / "s2_ndvi_slovenia" / "s2_ndvi_68dates.nc"
    return {band: xoffset.open_stack(path, band=band) for band in ("ndvi", "cloud", "scl")}


def test_cloud_masks_of_slovenia_end_to_end(slovenia):
    """Truth: nothing moves. What is matched on clouds goes, what is matched beside them stays."""
    images = slovenia["ndvi"]
    classes = masking.classes(slovenia["cloud"], like=images, legend={0: "clear", 1: "cloud"})
    share = (classes == CLOUD).mean(("y", "x"))
    images, classes = (data.isel(time=(share < 0.6).values) for data in (images, classes))
    network = xoffset.pairs(images, max_gap=3)
    cloudy = (share > 0.02).sel(time=network.reference).values != (share > 0.02).sel(time=network.secondary).values
    network = network.isel(pair=np.flatnonzero(cloudy)[::2])
    options = {"template": 24, "search": 5, "step": 6}
    before = xoffset.correlate(images, network, **options)
    after = xoffset.correlate(images.where(masking.usable(classes, buffer=20.0)), network, **options)

    # share of each window that is cloud in one of the two images
    under = scipy.ndimage.uniform_filter((classes == CLOUD).values.astype(float), (0, 24, 24), mode="nearest")
    under = classes.copy(data=under).sel(x=before.x, y=before.y, method="nearest")
    under = np.maximum(*(under.sel(time=network[name]).values for name in ("reference", "secondary")))
    (had, wrong), (has, _) = ((data.dx.notnull().values, np.hypot(data.dx, data.dy) > 25.0) for data in (before, after))
    wrong = wrong.values
    # the dates are misplaced by up to 16 m; forest changes with the seasons, clouds are no forest
    assert wrong[under > 0.5].sum() / had[under > 0.5].sum() > 2 * wrong[under == 0].sum() / had[under == 0].sum()
    assert has[under > 0.5].sum() <= 0.01 * had[under > 0.5].sum()
    right = had & ~wrong & (under == 0)
    assert has[right].mean() >= 0.97


def test_two_classifiers_of_clouds_agree_on_slovenia(slovenia):
    """Sen2Cor and s2cloudless on 36 dates of the same place."""
    # before these dates the layer holds 255: there was no product
    nothing = masking.classes(
        slovenia["scl"].isel(time=slice(3)), like=slovenia["ndvi"].isel(time=slice(3)), legend="scl"
    )
    assert (nothing == NULL).all()
    told = (slovenia["scl"] < 255).all(("y", "x")).values
    assert told.sum() == 36
    images, scl, cloud = (slovenia[name].isel(time=told) for name in ("ndvi", "scl", "cloud"))
    classes = masking.classes(scl.rename("scl"), like=images)
    wanted = np.array([NULL, NULL, SHADOW, SHADOW, CLEAR, CLEAR, WATER, CLEAR, CLOUD, CLOUD, CLOUD, SNOW])
    np.testing.assert_array_equal(classes, wanted[scl.values.astype(int)])
    assert (cloud.values[classes.values == CLOUD] == 1).mean() > 0.8
    assert (cloud.values[np.isin(classes.values, [SHADOW, SNOW, WATER])] == 1).mean() < 0.1


def test_scene_classification_of_a_real_product(data_folder):
    product = next((data_folder / "sentinel2_safe").glob("*MSIL2A*.SAFE"))
    stack = xoffset.open_stack(product, band="B04")
    classes = masking.classes(product, like=stack)
    layer = xoffset.class_layer(product, like=stack)
    assert classes.dims == ("time", "y", "x")
    np.testing.assert_array_equal(classes == CLOUD, layer.isin([8, 9, 10]))
    np.testing.assert_array_equal(classes == NULL, layer.isin([0, 1]))
    assert (layer == 9).sum() > 50

    # by their light: most of the ground is sea with glint, whose light is that of a shadow
    bands = {band: xoffset.open_stack(product, band=band) for band in ("B02", "B03", "B04", "B8A", "B11")}
    found = masking.classes(bands, like=stack)
    assert ((found == NULL) == (layer == 0)).mean() > 0.999
    assert (found.values[layer.values == 9] == CLOUD).mean() > 0.95
    assert (found.values[layer.values == 8] == CLOUD).mean() > 0.75
    assert np.isin(found.values[layer.values == 6], [WATER, SHADOW]).mean() > 0.95
