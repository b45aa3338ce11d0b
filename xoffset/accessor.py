"""The `.offset` accessors: one delegating line a method, no state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from xoffset import decomposition, stacking
from xoffset._ncc import NCC
from xoffset._phase import Phase
from xoffset._prefilters import Prefilter
from xoffset._pyramid import Pyramid
from xoffset._regression import Loss
from xoffset.formats import geotiff
from xoffset.inversion import invert as invert_module
from xoffset.inversion.invert import Weights
from xoffset.matching import correlate as correlate_module
from xoffset.matching import estimate as estimate_module
from xoffset.matching import extend as extend_module
from xoffset.matching.estimate import Cost
from xoffset.model.dates import Date, Duration
from xoffset.motion import ground as ground_module
from xoffset.motion import profile as profile_module
from xoffset.motion import resample as resample_module
from xoffset.motion import strain as strain_module
from xoffset.motion import trajectory as trajectory_module
from xoffset.motion import velocity as velocity_module
from xoffset.network import diagnose as diagnose_module
from xoffset.network import pairs as pairs_module
from xoffset.network import plan as plan_module
from xoffset.network.plan import Plan
from xoffset.screening import screen as screen_module
from xoffset.uncertainty import calibrate as calibrate_module
from xoffset.uncertainty import closure as closure_module


@xr.register_dataarray_accessor("offset")
class StackAccessor:
    """What can be done with a stack of images (time, y, x)."""

    def __init__(self, obj: xr.DataArray) -> None:
        self._obj = obj

    def pairs(
        self,
        *,
        min_gap: int = 1,
        max_gap: int | None = None,
        min_baseline: Duration | None = None,
        max_baseline: Duration | None = None,
        split: str | np.datetime64 | pd.Timestamp | None = None,
        direction: Literal["forward", "both"] = "forward",
        same_orbit: bool | None = None,
        same_geometry: bool | None = None,
    ) -> xr.Dataset:
        """Pairs of dates to be matched: `xoffset.pairs`."""
        return pairs_module.pairs(
            self._obj, min_gap=min_gap, max_gap=max_gap, min_baseline=min_baseline, max_baseline=max_baseline,
            split=split, direction=direction, same_orbit=same_orbit, same_geometry=same_geometry,
        )  # fmt: skip

    def plan(self, *, v_max: float, v_min: float | None = None, precision: float = 0.1, max_search: int = 32) -> Plan:
        """Baselines that show a motion, and the search that finds it: `xoffset.plan`."""
        return plan_module.plan(self._obj, v_max=v_max, v_min=v_min, precision=precision, max_search=max_search)

    def correlate(
        self,
        network: xr.Dataset,
        *,
        template: int | Sequence[int] = 32,
        search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
        step: int = 8,
        matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
        prefilter: str | Prefilter | None = "bandpass",
        prior: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Displacement between the images of every pair: `xoffset.correlate`."""
        return correlate_module.correlate(
            self._obj, network, template=template, search=search, step=step, matcher=matcher, prefilter=prefilter,
            prior=prior,
        )  # fmt: skip

    def estimate(
        self,
        network: xr.Dataset,
        *,
        template: int | Sequence[int] = 32,
        search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
        step: int = 8,
        matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
        prefilter: str | Prefilter | None = "bandpass",
        prior: xr.Dataset | None = None,
        calibrate: bool = True,
    ) -> Cost:
        """What `correlate` will cost: `xoffset.estimate`."""
        return estimate_module.estimate(
            self._obj, network, template=template, search=search, step=step, matcher=matcher, prefilter=prefilter,
            prior=prior, calibrate=calibrate,
        )  # fmt: skip


@xr.register_dataset_accessor("offset")
class ProductAccessor:
    """What can be done with a network, shifts, a series or a rate."""

    def __init__(self, obj: xr.Dataset) -> None:
        self._obj = obj

    def diagnose(self) -> xr.Dataset:
        """How well the network holds together: `xoffset.diagnose`."""
        return diagnose_module.diagnose(self._obj)

    def screen(
        self,
        *,
        min_score: float | None = None,
        min_peak_gap: float | None = None,
        false_alarm: float | None = 0.01,
        neighbourhood: bool = True,
        max_separation: Literal["auto"] | Duration | None = None,
    ) -> xr.Dataset:
        """Shifts without doubtful matches: `xoffset.screen`."""
        return screen_module.screen(
            self._obj, min_score=min_score, min_peak_gap=min_peak_gap, false_alarm=false_alarm,
            neighbourhood=neighbourhood, max_separation=max_separation,
        )  # fmt: skip

    def calibrate(self, stable: xr.DataArray, *, apply_to: xr.Dataset | None = None) -> xr.Dataset:
        """Shifts whose standard errors tell the spread on stable ground: `xoffset.calibrate`."""
        return calibrate_module.calibrate(self._obj, stable, apply_to=apply_to)

    def closure(self, *, stable: xr.DataArray | None = None) -> xr.Dataset:
        """Misclosure around every three dates: `xoffset.closure`."""
        return closure_module.closure(self._obj, stable=stable)

    def extend(
        self,
        stack: xr.DataArray,
        network: xr.Dataset,
        *,
        template: int | Sequence[int] = 32,
        search: int | tuple[int, int] | xr.DataArray | Pyramid = 8,
        step: int = 8,
        matcher: Literal["ncc", "phase"] | NCC | Phase = "ncc",
        prefilter: str | Prefilter | None = "bandpass",
        prior: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Shifts of a network of which some pairs were matched before: `xoffset.extend`."""
        return extend_module.extend(
            self._obj, stack, network, template=template, search=search, step=step, matcher=matcher,
            prefilter=prefilter, prior=prior,
        )  # fmt: skip

    def invert(
        self,
        *,
        weights: Weights | xr.DataArray | np.ndarray = "sigma",
        loss: Literal["linear", "huber", "tukey", "l1"] = "huber",
        smooth: float | Literal["gcv"] = 0.0,
        prior: xr.Dataset | None = None,
        islands: Literal["nan", "bridge", "separate"] = "nan",
        reference: Date | Sequence[Date] | None = None,
        stable: xr.DataArray | None = None,
    ) -> xr.Dataset:
        """Displacement at every date: `xoffset.invert`."""
        return invert_module.invert(
            self._obj, weights=weights, loss=loss, smooth=smooth, prior=prior, islands=islands, reference=reference,
            stable=stable,
        )  # fmt: skip

    def rereference(self, reference: Date | Sequence[Date] | xr.DataArray) -> xr.Dataset:
        """Series whose displacement is zero at another date: `xoffset.rereference`."""
        return resample_module.rereference(self._obj, reference)

    def resample(
        self, dates: Duration | Sequence[Date] | xr.DataArray, *, max_gap: Duration | None = None
    ) -> xr.Dataset:
        """Series at regular or other dates: `xoffset.resample`."""
        return resample_module.resample(self._obj, dates, max_gap=max_gap)

    def trajectory(
        self,
        points: Sequence[tuple[float, float]] | np.ndarray,
        *,
        start: Date | None = None,
        window: float | None = None,
    ) -> xr.Dataset:
        """Paths of points that move with the ground: `xoffset.trajectory`."""
        return trajectory_module.trajectory(self._obj, points, start=start, window=window)

    def velocity(
        self, *, loss: Loss = "huber", bootstrap: int = 0, block: int | None = None, seed: int = 0
    ) -> xr.Dataset:
        """Mean velocity: `xoffset.velocity`."""
        return velocity_module.velocity(self._obj, loss=loss, bootstrap=bootstrap, block=block, seed=seed)

    def decompose(
        self,
        *,
        acceleration: bool = False,
        annual: bool = False,
        semiannual: bool = False,
        steps: Literal["search"] | Sequence[Date] | None = None,
        exponential: Sequence[tuple[Date, float]] | None = None,
        logarithmic: Sequence[tuple[Date, float]] | None = None,
        epoch: Date | None = None,
        loss: Loss = "huber",
    ) -> xr.Dataset:
        """Velocity, acceleration, seasons, steps and decays: `xoffset.decompose`."""
        return decomposition.decompose(
            self._obj, acceleration=acceleration, annual=annual, semiannual=semiannual, steps=steps,
            exponential=exponential, logarithmic=logarithmic, epoch=epoch, loss=loss,
        )  # fmt: skip

    def coseismic(
        self, date: Date, *, trend: bool = False, postseismic: float | None = None, loss: Loss = "huber"
    ) -> xr.Dataset:
        """Displacement of a sudden event: `xoffset.coseismic`."""
        return decomposition.coseismic(self._obj, date, trend=trend, postseismic=postseismic, loss=loss)

    def annual(
        self,
        *,
        max_separation: Literal["auto"] | Duration | None = "auto",
        seasonal: bool = False,
        loss: Loss = "l1",
    ) -> xr.Dataset:
        """Mean velocity of every calendar year: `xoffset.annual`."""
        return decomposition.annual(self._obj, max_separation=max_separation, seasonal=seasonal, loss=loss)

    def mean_displacement(self) -> xr.Dataset:
        """Mean displacement of all pairs: `xoffset.mean_displacement`."""
        return stacking.mean_displacement(self._obj)

    def mean_velocity(self, *, estimator: Literal["weighted", "mpic"] = "weighted") -> xr.Dataset:
        """Mean velocity of all pairs: `xoffset.mean_velocity`."""
        return stacking.mean_velocity(self._obj, estimator=estimator)

    def vector_coherence(
        self, *, window: int = 11, min_displacement: float = 0.15, min_valid: float = 0.4
    ) -> xr.Dataset:
        """How far the displacements agree on one direction: `xoffset.vector_coherence`."""
        return stacking.vector_coherence(
            self._obj, window=window, min_displacement=min_displacement, min_valid=min_valid
        )

    def quality(self, *, threshold: float = 0.2) -> xr.Dataset:
        """Share of the pairs whose score exceeds a threshold: `xoffset.quality`."""
        return stacking.quality(self._obj, threshold=threshold)

    def strain(self, *, window: int = 5, overlap: float = 4.0, min_valid: float = 0.5) -> xr.Dataset:
        """How the ground deforms: `xoffset.strain`."""
        return strain_module.strain(self._obj, window=window, overlap=overlap, min_valid=min_valid)

    def profile(
        self,
        line: Sequence[tuple[float, float]] | np.ndarray,
        *,
        spacing: float | None = None,
        width: float = 0.0,
        strike: float | None = None,
        overlap: float = 4.0,
    ) -> xr.Dataset:
        """Motion along a line, parallel and normal to a fault: `xoffset.profile`."""
        return profile_module.profile(
            self._obj, line, spacing=spacing, width=width, strike=strike, overlap=overlap,
        )  # fmt: skip

    def ground(self) -> xr.Dataset:
        """Motion toward true east and north, in metres of ground: `xoffset.ground`."""
        return ground_module.ground(self._obj)

    def to_geotiff(self, folder: str | os.PathLike[str], *, variables: str | Sequence[str] | None = None) -> list[Path]:
        """Cloud-optimised GeoTIFFs: `xoffset.to_geotiff`."""
        return geotiff.to_geotiff(self._obj, folder, variables=variables)
