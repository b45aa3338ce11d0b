"""tune(): the window, filter, band and baselines of a recipe that suit some scenes, and the trade-off behind them."""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._arrays import planting
from xoffset.masking.combine import combine
from xoffset.matching.correlate import correlate
from xoffset.matching.estimate import Cost, estimate
from xoffset.model import grids, masks, products
from xoffset.model.quality_variables import TUNING, TUNING_EVENT
from xoffset.readers.open_stack import open_stack
from xoffset.recipes import sampling
from xoffset.recipes.base import SCENES, filled
from xoffset.recipes.own import Own
from xoffset.screening.screen import screen

_log = logging.getLogger("xoffset")
_CALLER = "tune"
Progress = Callable[[int, int], object]


class Tuned(NamedTuple):
    """A recipe with the values that suit some scenes best, and what each of those that were tried made of them."""

    recipe: Own
    table: xr.Dataset


def tune(
    recipe: Own,
    scenes: str | os.PathLike[str] | list[str] | list[Path] | xr.DataArray,
    stable: xr.DataArray,
    *,
    windows: Sequence[int | Sequence[int]] = (16, 32, 64),
    prefilters: Sequence[str] = ("bandpass", "naof"),
    bands: Sequence[int | str] = (),
    motions: Sequence[float] = (0.2, 1.0, 4.0),
    width: float | None = None,
    tiles: int = 4,
    pairs_of_each: int = 2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuned:
    """Recipe with the window, filter, band and baselines that suit these scenes, and the trade-off behind it.

    Each combination matches a sample of tiles, as they are and with motion planted into them, and is judged by what it
    makes of both: small windows and short baselines are noise, large ones lose motion that is narrow, long baselines
    what has changed its looks.

    Parameters
    ----------
    recipe
        `Landslide`, `Glacier` or `Earthquake`, which tells the motion that is expected, and all that is not tried.
    scenes
        Images as `open_stack` takes them, or a stack (time, y, x).
    stable
        True where the ground does not move (y, x), boolean, on any grid: tiles lie there.
    windows
        Sides of windows [px] to try, each a number, or several that are tried at each place.
    prefilters
        Filters to try.
    bands
        Bands to try, of scenes that have several; none: that of the recipe.
    motions
        Values of `min_motion` to try [px], which tell the shortest baseline; those for which there are no pairs are
        left out. An earthquake has no such choice.
    width
        Width [m] of the narrowest motion that must not be lost, 2 px at least, and no more than a tile. None: that of
        the widest place that is not stable, from 8 to 64 px.
    tiles, pairs_of_each
        Number of tiles, and of pairs that are matched in each of them.
    seed
        Of the choice of tiles and pairs, and of the direction of the planted motion.
    progress
        Called after each combination with how many are done, and how many there are.

    Returns
    -------
    recipe
        The recipe with `window`, `prefilter`, `band` and `min_motion` of the least error.
    table : xarray.Dataset
        By (trial), with coordinates `window` (text, sides apart by blanks), `prefilter`, `band` (text, empty if none
        was asked for) and `min_motion` [px] (NaN of an earthquake): `spread` [m yr-1], of an earthquake [m], NMAD of
        the single match on stable ground about its median; `coverage` [1], share of the stable nodes with a match;
        `retention` [1], median share of the planted motion that matches show; `found` [1], share of the nodes in it
        with a match less than half a pixel or a quarter of the motion off; `error` in the unit of the spread, by which
        the choice is made; `is_chosen`. NaN where there is no match.

    Raises
    ------
    TypeError
        If the recipe is none of the three, or an argument is of the wrong type.
    ValueError
        If there is too little stable ground for a tile, no pair for any baseline, or a value is out of range.

    Notes
    -----
    A band of ground, `width` wide, slides along itself in a direction drawn at random, by half of the largest motion
    that is expected, less toward its margins. Displacements are rounded to whole pixels before the later image is
    changed, so that each of its pixels is one of the real image: noise, light and the loss of likeness between the two
    dates stay as they are, and nothing is interpolated, which would blur what is to be found. The price is a margin in
    steps. What is found without the planted motion is taken off before the comparison. Motion of fewer than about five
    nodes across is often flagged as at odds with its neighbours: a smaller `step` of the recipe finds more of it.

    With the spread s, the retention r, the share f that is found and the motion m, `error` is √(s² + ((1 - r)·m)²)/√f:
    noise and bias of a match, over the root of the number of matches that an area keeps. It is what a mean over the
    moving area is off by, up to a factor that all combinations share.

    Masks of clouds and stripes are not looked at. The cost is told in the log before anything is matched.

    Examples
    --------
    >>> import xoffset
    >>> stack, truth = xoffset.synthetic.stack((256, 256), dates=["2020-01-01", "2021-01-01"], velocity=30.0, snr=4.0)
    >>> recipe = xoffset.recipes.Landslide(max_velocity=30.0)
    >>> stable = abs(truth.vx) + abs(truth.vy) == 0.0
    >>> tuned = recipe.tune(stack, stable, windows=(16, 32), prefilters=("bandpass",), motions=(0.2,), tiles=1)
    >>> tuned.recipe.window in ((16,), (32,))
    True
    """
    if not isinstance(recipe, Own):
        raise TypeError(
            f"tune() needs one of our own recipes; got {type(recipe).__name__}. Pass such as "
            "xoffset.recipes.Landslide(max_velocity=10.0)."
        )
    masks.check_boolean(stable, masks.STABLE, _CALLER)
    for name, value in {"tiles": tiles, "pairs_of_each": pairs_of_each}.items():
        _options.as_whole_number(value, name, _CALLER, least=1, example=4)
    _options.as_whole_number(seed, "seed", _CALLER, least=0, example=0)
    trials = list(_trials(recipe, windows, prefilters, bands, motions))
    drawn = _drawn(trials, scenes, stable, _Asked(width, tiles, pairs_of_each, seed))
    _tell_cost(drawn)
    found = []
    for done, each in enumerate(drawn, 1):
        found.append(_scores(*each))
        if progress is not None:
            progress(done, len(drawn))
    table = _table([trial for trial, _ in drawn], found)
    best, _ = drawn[int(table["is_chosen"].values.argmax())]
    return Tuned(recipe.changed(best.changes), table)


class _Asked(NamedTuple):
    """What is drawn."""

    width: float | None
    tiles: int
    pairs: int
    seed: int


class _Trial(NamedTuple):
    """A combination: the fields that it changes, and the recipe with them, of one band."""

    changes: dict[str, Any]
    recipe: Own

    @property
    def of_images(self) -> tuple[Any, Any]:
        """What tells its images and pairs from those of other trials."""
        return self.changes.get("band"), self.changes.get("min_motion")


# -------------------------------------------------------------------------------------------------------------- trials


def _trials(
    recipe: Own,
    windows: Sequence[int | Sequence[int]],
    prefilters: Sequence[str],
    bands: Sequence[int | str],
    motions: Sequence[float],
) -> Iterator[_Trial]:
    """Combinations of all values, checked by the recipe."""
    lists = {"windows": windows, "prefilters": prefilters, "bands": bands, "motions": motions}
    for name, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or (name != "bands" and not values):
            raise TypeError(f"tune() needs a list as {name}; got {values!r}. Pass such as {name}=[...].")
    for window in windows:
        sides = window if isinstance(window, (tuple, list)) else (window,)
        if not sides or not all(_options.is_whole(side) and side >= 1 for side in sides):
            raise ValueError(
                f"tune() needs whole numbers of pixels as windows, or several that are tried at each place; got "
                f"{window!r}. Pass such as windows=[16, (16, 32), 64]."
            )
    axes: dict[str, Sequence[Any]] = {"window": windows, "prefilter": prefilters}
    axes |= {"band": bands} if bands else {}
    axes |= {"min_motion": motions} if hasattr(recipe, "min_motion") else {}
    one = recipe if recipe.bands is None else recipe.changed({"bands": None, "band": recipe.bands[0]})
    for values in itertools.product(*axes.values()):
        changes = dict(zip(axes, values, strict=True))
        yield _Trial(changes, one.changed(changes))


def _drawn(
    trials: list[_Trial], scenes: Any, stable: xr.DataArray, asked: _Asked
) -> list[tuple[_Trial, list[sampling.Sample]]]:
    """Trials with the tiles that they are tried on; those for which there are no pairs are left out."""
    inputs = _all_inputs(trials, scenes)
    stack = next(iter(inputs.values()))["stack"]
    largest = max(max(trial.recipe.window) for trial in trials)
    side = sampling.side_of(largest, max(sampling.half_of(each["search"]) for each in inputs.values()), stack)
    ground = np.asarray(combine(stack, slopes=stable).transpose("y", "x").values)
    width = sampling.width_of(ground, stack, side, asked.width)
    generator = np.random.default_rng(asked.seed)
    corners = sampling.corners_of(ground, side, width, asked.tiles, generator)
    angles = generator.uniform(0.0, 2.0 * np.pi, len(corners))
    tiles: dict[tuple[Any, Any], list[sampling.Sample]] = {}
    for key, each in inputs.items():
        recipe = next(trial.recipe for trial in trials if trial.of_images == key)
        count = each["network"].sizes["pair"]
        network = each["network"].isel(pair=np.sort(generator.permutation(count)[: asked.pairs]))
        tiles[key] = []
        for corner, angle in zip(corners, angles, strict=True):
            tile = {dim: slice(k, k + side) for dim, k in zip(("y", "x"), corner, strict=True)}
            tiles[key].append(
                sampling.sample_of(
                    recipe, each["stack"].isel(tile), network, ground[tile["y"], tile["x"]],
                    sampling.Band(width, float(angle), sampling.half_of(each["search"])), each["search"],
                )
            )  # fmt: skip
    return [(trial, tiles[trial.of_images]) for trial in trials if trial.of_images in tiles]


def _all_inputs(trials: list[_Trial], scenes: Any) -> dict[tuple[Any, Any], dict[str, Any]]:
    """Stack, network and search of all trials, but of those for which no two dates are as far apart as they ask."""
    found: dict[tuple[Any, Any], dict[str, Any]] = {}
    errors = []
    for trial in trials:
        if trial.of_images in found:
            continue
        try:
            found[trial.of_images] = _inputs(trial.recipe, scenes)
        except ValueError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def _inputs(recipe: Own, scenes: Any) -> dict[str, Any]:
    """Stack, network and search of a recipe."""
    results: dict[str, Any] = {SCENES: scenes}
    for step in recipe.ways(scenes)[-1].matching():
        subjects = [filled(each, results) for each in step.subjects]
        options = {name: filled(each, results) for name, each in step.options.items()}
        if step.call is open_stack:
            is_opened = isinstance(scenes, xr.DataArray) and set(options) <= {"chunks"}
            results[step.name] = scenes if is_opened else open_stack(*subjects, **options)
        elif step.name in ("planned", "network"):
            results[step.name] = step.call(*subjects, **options)
        elif step.call is correlate:
            results["search"] = options["search"]
    return results


# -------------------------------------------------------------------------------------------------------------- scores


def _tell_cost(drawn: list[tuple[_Trial, list[sampling.Sample]]]) -> None:
    """Log how much is matched, and about how long it takes."""
    costs = [_cost(*each, calibrate=False).shifts for each in drawn]
    trial, tiles = drawn[int(np.argmax(costs))]
    shifts = [2 * len(tiles) * each for each in costs]
    cost = _cost(trial, tiles, calibrate=True)
    seconds = cost.cpu_seconds / max(cost.shifts, 1) * sum(shifts)
    _log.info(
        "tune() tries %d combinations on %d tiles of %d px and %d pairs: %.2g scores, about %.0f CPU seconds",
        len(drawn), len(tiles), tiles[0].images.shape[1], tiles[0].plain.sizes["pair"], sum(shifts), seconds,
    )  # fmt: skip


def _cost(trial: _Trial, tiles: list[sampling.Sample], *, calibrate: bool) -> Cost:
    """What one tile without planted motion costs."""
    with _options.speaking_as(_CALLER, "estimate"):
        return estimate(tiles[0].images, tiles[0].plain, calibrate=calibrate, **_options_of(trial, tiles[0]))


def _options_of(trial: _Trial, tile: sampling.Sample) -> dict[str, Any]:
    """Options of `correlate`."""
    return trial.recipe.match_options | {"search": tile.search}


def _scores(trial: _Trial, tiles: list[sampling.Sample]) -> planting.Scores:
    """Scores of a trial on all of its tiles."""
    tests = {name: each for name, each in trial.recipe.screen_options.items() if name != "max_separation"}
    parts = []
    for tile in tiles:
        both = xr.concat([tile.plain, tile.planted], dim="pair")
        both = both.isel(pair=np.lexsort([both["secondary"].values, both["reference"].values]))
        shifts = screen(correlate(tile.images, both, **_options_of(trial, tile)), **tests)
        vectors = np.stack([shifts["dy"].values, shifts["dx"].values]).astype(np.float64)
        still, moved = (vectors[:, _places_of(shifts, each)] for each in (tile.plain, tile.planted))
        rows, columns = (_nearest(tile.images[dim].values, shifts[dim].values) for dim in ("y", "x"))
        at = np.ix_(rows, columns)
        truth = np.stack([[each[at] for each in field] for field in tile.field], axis=1)
        parts.append((still, moved, truth, np.broadcast_to(tile.is_stable[at], still.shape[1:])))
    still, moved, truth, is_stable = (np.concatenate(each, axis=-3) for each in zip(*parts, strict=True))
    scale = np.concatenate([tile.scale for tile in tiles])
    pixel = min(abs(each) for each in grids.spacing(tiles[0].images, _CALLER))
    return planting.scores(still, moved, truth, is_stable, scale, pixel)


def _places_of(shifts: xr.Dataset, network: xr.Dataset) -> list[int]:
    """Numbers of the pairs of a network among those of shifts."""
    there = list(zip(shifts["reference"].values, shifts["secondary"].values, strict=True))
    wanted = zip(network["reference"].values, network["secondary"].values, strict=True)
    return [there.index(each) for each in wanted]


def _nearest(pixels: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Numbers of the pixels that nodes are at."""
    return np.asarray(np.rint((nodes - pixels[0]) / (pixels[1] - pixels[0])), dtype=np.intp)


def _table(trials: list[_Trial], found: list[planting.Scores]) -> xr.Dataset:
    """What each trial made of the sample, and which has the least error."""
    recipe = trials[0].recipe
    motion = sampling.PART * recipe.largest(1.0)
    spread, coverage, retention, share = np.array(found, dtype=np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.hypot(spread, (1.0 - retention) * motion) / np.sqrt(share)
    error = np.where(share > 0.0, error, np.nan)
    if np.isnan(error).all():
        raise ValueError(
            f"tune() needs one combination at least that finds the planted motion; got none of {len(trials)}. Try "
            "larger windows, check the largest motion that the recipe is told, or plant a wider one: width=..."
        )
    is_chosen = np.zeros(error.size, dtype=bool)
    is_chosen[np.nanargmin(error)] = True
    fields = {
        "spread": spread, "coverage": coverage, "retention": retention, "found": share, "error": error,
        "is_chosen": is_chosen,
    }  # fmt: skip
    coords: dict[Any, Any] = {
        "window": ("trial", [" ".join(map(str, trial.recipe.window)) for trial in trials]),
        "prefilter": ("trial", [trial.recipe.prefilter for trial in trials]),
        "band": ("trial", [str(trial.changes.get("band", "")) for trial in trials]),
        "min_motion": (
            "trial", [trial.changes.get("min_motion", math.nan) for trial in trials],
            {"units": "px", "long_name": "least motion of the fastest ground in a pair"},
        ),
    }  # fmt: skip
    return products.product(
        {name: (("trial",), values) for name, values in fields.items()},
        TUNING if recipe.IS_RATE else TUNING_EVENT,
        like=xr.Dataset(),
        step={"function": _CALLER, "recipe": recipe.name},
        coords=coords,
    )
