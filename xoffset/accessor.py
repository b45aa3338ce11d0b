"""The `.offset` accessors: each method is a function of the package with the object as its subject; no state."""

from __future__ import annotations

import xarray as xr

from xoffset import plotting
from xoffset.correction.coregister import coregister
from xoffset.correction.correct import correct
from xoffset.correction.denoise import denoise
from xoffset.correction.destripe import destripe
from xoffset.correction.light import light
from xoffset.correction.remove_median import remove_median
from xoffset.correction.remove_season import remove_season
from xoffset.correction.thinning_bias import thinning_bias
from xoffset.formats.geotiff import to_geotiff
from xoffset.inversion.invert import invert
from xoffset.inversion.tio_smoothness import tio_smoothness
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import estimate
from xoffset.matching.extend import extend
from xoffset.matching.grid_step import grid_step
from xoffset.matching.search_range import search_range
from xoffset.matching.whole_pixels import whole_pixels
from xoffset.model.flags import flag_summary, flagged
from xoffset.model.kinds import KINDS
from xoffset.model.methods import Accessor, method, namespace
from xoffset.motion.coherence import quality, vector_coherence
from xoffset.motion.coseismic import coseismic
from xoffset.motion.decompose import decompose
from xoffset.motion.ground import ground
from xoffset.motion.interval_velocity import interval_velocity
from xoffset.motion.inverse_velocity import inverse_velocity
from xoffset.motion.means import mean_displacement, mean_velocity
from xoffset.motion.onset import onset
from xoffset.motion.profile import profile
from xoffset.motion.resample import rereference, resample
from xoffset.motion.strain import strain
from xoffset.motion.trajectory import trajectory
from xoffset.motion.velocity import velocity
from xoffset.motion.yearly_velocity import yearly_velocity
from xoffset.network.diagnose import diagnose
from xoffset.network.one_a_year import one_a_year
from xoffset.network.pair import pair
from xoffset.network.pairs import pairs
from xoffset.network.plan import plan
from xoffset.network.sun_term import sun_term
from xoffset.pipeline.to_zarr import to_zarr
from xoffset.readers.crop import crop
from xoffset.report.explore import explore
from xoffset.report.summary import summary
from xoffset.screening.discard_pairs import discard_pairs
from xoffset.screening.discard_pixels import discard_pixels
from xoffset.screening.drop_masked import drop_masked
from xoffset.screening.drop_misclosed import drop_misclosed
from xoffset.screening.losses import losses
from xoffset.screening.screen import screen
from xoffset.uncertainty.area_mean import area_mean
from xoffset.uncertainty.calibrate import calibrate
from xoffset.uncertainty.closure import closure
from xoffset.uncertainty.compare import compare
from xoffset.uncertainty.misclosure import misclosure
from xoffset.uncertainty.stable_statistics import stable_statistics
from xoffset.uncertainty.widen_sheared import widen_sheared

# Kinds of objects that hold vectors, and with them the methods for vectors.
VECTORS = ("shifts", "series", "rate", "displacement")
# Kinds of results that lie on a grid, or at scattered points.
GRIDDED = tuple(kind for kind in KINDS if kind not in ("stack", "network"))


@xr.register_dataarray_accessor("offset")
class StackAccessor(Accessor):
    """What can be done with a stack of images (time, y, x)."""

    crop = method(crop, "stack")
    one_a_year = method(one_a_year, "stack")
    grid_step = method(grid_step, "stack")
    pairs = method(pairs, "stack")
    plan = method(plan, "stack")
    coregister = method(coregister, "stack")
    correlate = method(correlate, "stack")
    estimate = method(estimate, "stack")
    search_range = method(search_range, "stack")

    def _repr_html_(self) -> str:
        return summary(self._obj)


class PlotAccessor(Accessor):
    """Pictures of a product, each a function of `xoffset.plotting`."""

    NAME = ".offset.plot"

    velocity = method(plotting.velocity, "rate", on_grid=True)
    displacement = method(plotting.displacement, "shifts", "series", "displacement", on_grid=True)
    log_speed = method(plotting.log_speed, "rate", on_grid=True)
    direction = method(plotting.direction, *VECTORS, on_grid=True)
    sigma = method(plotting.sigma, *VECTORS, on_grid=True)
    variable = method(plotting.variable, *GRIDDED, on_grid=True)
    flags = method(plotting.flags, *GRIDDED, on_grid=True)
    closure = method(plotting.closure, "map", on_grid=True)
    residual = method(plotting.residual, "series", "rate", "displacement", on_grid=True)
    strain = method(plotting.strain, "map", on_grid=True)
    network = method(plotting.network, "network", "shifts", "map")
    chord = method(plotting.chord, "network", "shifts", "map")
    valid = method(plotting.valid, "shifts")
    series = method(plotting.series, "series", on_grid=True)
    stable = method(plotting.stable, *VECTORS, on_grid=True)
    correction = method(plotting.correction, "shifts", on_grid=True)
    animation = method(plotting.animation, "series", on_grid=True)
    # these are of no kind: they have no grid
    profile = method(plotting.profile)
    trajectories = method(plotting.trajectories)
    losses = method(plotting.losses)
    tuning = method(plotting.tuning)


@xr.register_dataset_accessor("offset")
class ProductAccessor(Accessor):
    """What can be done with a network, shifts, a series, a rate, or any other product."""

    diagnose = method(diagnose, "network", "shifts", "map")
    pair = method(pair, "network", "shifts", "map")
    sun_term = method(sun_term, "network", "shifts")
    tio_smoothness = method(tio_smoothness, "network", "shifts")
    screen = method(screen, "shifts")
    losses = method(losses, "shifts")
    drop_masked = method(drop_masked, "shifts", on_grid=True)
    discard_pairs = method(discard_pairs, "shifts", on_grid=True)
    discard_pixels = method(discard_pixels, "shifts")
    whole_pixels = method(whole_pixels, "shifts")
    destripe = method(destripe, "shifts", on_grid=True)
    remove_median = method(remove_median, "shifts", on_grid=True)
    correct = method(correct, "shifts", on_grid=True)
    denoise = method(denoise, "shifts", on_grid=True)
    light = method(light, "shifts", on_grid=True)
    calibrate = method(calibrate, "shifts", on_grid=True)
    widen_sheared = method(widen_sheared, "series", "rate", "displacement", on_grid=True)
    closure = method(closure, "shifts")
    extend = method(extend, "shifts", on_grid=True)
    invert = method(invert, "shifts")
    mean_displacement = method(mean_displacement, "shifts")
    mean_velocity = method(mean_velocity, "shifts")
    vector_coherence = method(vector_coherence, "shifts", on_grid=True)
    quality = method(quality, "shifts")
    yearly_velocity = method(yearly_velocity, "shifts")
    misclosure = method(misclosure, "shifts", on_grid=True)
    drop_misclosed = method(drop_misclosed, "series")
    interval_velocity = method(interval_velocity, "shifts", "series")
    velocity = method(velocity, "shifts", "series")
    decompose = method(decompose, "shifts", "series")
    coseismic = method(coseismic, "shifts", "series")
    onset = method(onset, "series")
    inverse_velocity = method(inverse_velocity, "series")
    remove_season = method(remove_season, "series")
    rereference = method(rereference, "series")
    resample = method(resample, "series")
    trajectory = method(trajectory, "series", on_grid=True)
    strain = method(strain, *VECTORS, on_grid=True)
    profile = method(profile, *VECTORS, on_grid=True)
    ground = method(ground, *VECTORS)
    thinning_bias = method(thinning_bias, *VECTORS, on_grid=True)
    stable_statistics = method(stable_statistics, *VECTORS, on_grid=True)
    area_mean = method(area_mean, *VECTORS, on_grid=True)
    compare = method(compare, "series", "rate", "displacement", on_grid=True)
    explore = method(explore, *VECTORS, on_grid=True)
    to_geotiff = method(to_geotiff, *GRIDDED, on_grid=True)
    to_zarr = method(to_zarr, *GRIDDED, on_grid=True)
    flagged = method(flagged, *GRIDDED)
    flag_summary = method(flag_summary, *GRIDDED)
    plot = namespace(PlotAccessor)

    def _repr_html_(self) -> str:
        return summary(self._obj)
