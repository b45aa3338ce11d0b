"""What the recipes `landslide`, `glacier` and `earthquake` share: inputs, matching, ground, and what is written."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from xoffset._arrays.matching.pyramid import Pyramid
from xoffset.correction.correct import correct
from xoffset.formats.geotiff import to_geotiff
from xoffset.formats.table import write_losses
from xoffset.masking.combine import combine
from xoffset.masking.stable_ground import stable_ground
from xoffset.masking.terrain import cast_shadow
from xoffset.masking.usable import usable
from xoffset.matching.correlate import correlate
from xoffset.network.pairs import pairs
from xoffset.network.plan import plan
from xoffset.readers.open_dem import open_dem
from xoffset.recipes.base import Folder, Result, Step, option
from xoffset.recipes.services import AUTO, NONE, Service
from xoffset.screening.combine_bands import combine_bands
from xoffset.screening.losses import losses
from xoffset.screening.screen import screen
from xoffset.uncertainty.calibrate import calibrate
from xoffset.uncertainty.widen_sheared import widen_sheared

if TYPE_CHECKING:
    import xarray as xr

    from xoffset.recipes.tune import Tuned

# Metres by which masks of clouds are closed, opened and widened: ground between clouds goes, single bright pixels stay.
CLOSING, OPENING, WIDENING = 100.0, 20.0, 60.0
# How far beyond the images mountains are looked for that cast shadows into them [m].
SHADOW_MARGIN = 5000.0
# Widest search that tries all shifts; a wider one goes from coarse to fine [px].
EXHAUSTIVE = 32


@dataclass(frozen=True)
class Own(Service):
    """Parameters that our own recipes have in common.

    Parameters
    ----------
    band, tile, classes, detectors
        Inputs, as of `MpicOpt`.
    bands
        Several bands in place of one: each is matched, and a vote joins them.
    orbit, bbox
        Relative orbit of the scenes, of Landsat the path, and the box (xmin, ymin, xmax, ymax) [m] that they are
        cropped to.
    window
        Sides of the square windows [px]. Of several, each place keeps the smallest that stands out and agrees with
        its neighbours.
    prefilter
        What is done to the images before they are matched, see `correlate`; ``"none"`` leaves them as they are.
    step
        Distance between windows [px].
    pairs_per_date
        How many pairs each date has with later dates, and with earlier ones.
    max_search
        Largest search [px]; pairs in which the motion may be longer are not made.
    max_range
        Largest range of the motion of a pair within a window [px]. Windows in which it differs more do not tell its
        mean, and are left out.
    stable, moving, buffer
        Polygons of ground that stands still, or outlines of what moves and the distance [m] from these beyond which
        ground is taken for stable. What the images as wholes move by is told there, and the standard errors are.
    dem
        Elevations, any raster: ground steeper than 40 degrees is not taken for stable.
    shadows
        Whether what lies in the shadow of the terrain is left out, by the sun of each date and `dem`.
    min_nodes
        Vectors on stable ground that a pair needs to be corrected.
    """

    bands: tuple[str, ...] | None = option(
        None, "several bands in place of one: each is matched, and a vote joins them", example=("B03", "B04", "B08")
    )
    orbit: int | None = option(None, "relative orbit of the scenes, of Landsat the path", least=1)
    bbox: tuple[float, float, float, float] | None = option(
        None, "box that scenes are cropped to: xmin, ymin, xmax, ymax", unit="m"
    )
    window: tuple[int, ...] = option(
        (16, 32, 64), "sides of the windows; of several each place keeps the smallest that stands out", unit="px"
    )
    prefilter: str = option(
        "bandpass", "filter of the images",
        choices=("bandpass", "highpass", "log", "wallis", "laplacian", "sobel", "naof", "rank", "none"),
    )  # fmt: skip
    step: int = option(8, "distance between windows", unit="px", least=1)
    pairs_per_date: int = option(4, "pairs of each date with later dates, and with earlier ones", least=1)
    max_search: int = option(32, "largest search; pairs that may move farther are not made", unit="px", least=3)
    stable: str | None = option(None, "polygons of ground that stands still", is_path=True)
    moving: str | None = option(None, "outlines of what moves", is_path=True)
    buffer: float | None = option(
        None, "distance from what moves beyond which ground is stable; 1000 if left out", unit="m", least=0
    )
    dem: str | None = option(None, "elevations, any raster: steep ground is not taken for stable", is_path=True)
    shadows: bool = option(False, "whether what lies in the shadow of the terrain is left out, by sun and dem")
    max_range: float = option(
        3.0, "largest range of the motion within a window; matches beyond are left out", unit="px", least=0.1
    )
    min_nodes: int = option(100, "vectors on stable ground that a pair needs to be corrected", least=1)

    # fields that count only where one of others is given
    NEEDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "buffer": ("moving",), "shadows": ("dem",), "dem": ("stable", "moving", "shadows"),
        "detectors": ("stable", "moving"),
    }  # fmt: skip
    # whether snow is left out
    SNOW: ClassVar[bool] = True
    # whether what is asked for is a speed, and not a displacement
    IS_RATE: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window", "bands"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, tuple):
                object.__setattr__(self, name, tuple(value) if isinstance(value, list) else (value,))
        self._check_bands()
        for field in dataclasses.fields(self):
            owners, value = self.NEEDS.get(field.name, ()), getattr(self, field.name)
            if owners and value not in (field.default, NONE) and not any(getattr(self, owner) for owner in owners):
                raise ValueError(
                    f"the recipe {self.name} needs {' or '.join(owners)} for {field.name}; got {field.name}={value!r} "
                    f"alone, which would have no effect. Leave {field.name} out, or pass {owners[0]}."
                )

    def _check_bands(self) -> None:
        if self.bands is None:
            return
        if self.band is not None:
            raise ValueError(
                f"the recipe {self.name} needs one band or several; got band={self.band!r} and bands={self.bands!r}. "
                "Leave one of them out."
            )
        if len(self.bands) < 2 or len(set(self.bands)) < len(self.bands):
            raise ValueError(
                f"the recipe {self.name} needs two bands or more as bands, each once; got {self.bands!r}. Pass some "
                "such as ('B03', 'B04', 'B08'), or one as band."
            )

    def ways(self, scenes: Any) -> list[Self]:
        """Recipes that say which band, classes and detectors of these scenes there are, the fullest first."""
        return Service.ways(self._settled(), scenes)

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python, which store and resume the same products."""
        return Service.script(self._settled(), scenes, out)

    def _settled(self) -> Self:
        """The recipe without detectors where no ground tells their steps."""
        is_open = self.detectors == AUTO and not self.has_ground
        return dataclasses.replace(self, detectors=NONE) if is_open else self

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse matches of which no pair has any, such as of images without data, or none that is corrected."""
        super().check(name.partition("_")[0], product)
        if name.startswith("corrected") and not product["is_corrected"].any():
            raise ValueError(
                f"the recipe {self.name} needs enough stable ground in at least one pair of {name}.zarr; got "
                f"{int(product['n_stable'].max())} vectors on it at most, and min_nodes={self.min_nodes}. Enlarge it, "
                "or lower min_nodes."
            )

    def check_plan(self, results: Mapping[str, Any]) -> None:
        """Accept images of one day: no file is named after days."""

    def tune(self, scenes: Any, stable: xr.DataArray, **options: Any) -> Tuned:
        """Recipe with the window, filter, band and baselines that suit these scenes, and the trade-off behind it.

        See `xoffset.recipes.tune`.
        """
        from xoffset.recipes.tune import tune

        return tune(self, scenes, stable, **options)

    # -------------------------------------------------------------------------------------------- what a recipe changes

    @property
    def plan_options(self) -> dict[str, Any]:
        """Options of `plan`, by the motion that is expected."""
        raise NotImplementedError

    @property
    def pair_options(self) -> dict[str, Any]:
        """Options of `pairs`."""
        return {"min_baseline": Result("planned.min_baseline"), "max_baseline": Result("planned.max_baseline")}

    @property
    def screen_options(self) -> dict[str, Any]:
        """Options of `screen`."""
        return {"max_separation": "auto", "max_range": self.max_range}

    @property
    def correct_options(self) -> dict[str, Any] | None:
        """Options of `correct` beside the ground; None: nothing is corrected."""
        return {"order": "plane" if self.has_ground else 0, "by_date": True}

    def largest(self, years: float) -> float:
        """Largest motion [m] that is expected in a pair of so many years."""
        raise NotImplementedError

    def motion(self, of: Result) -> list[Step]:
        """Steps from the shifts to what is asked for, and to its files."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------------ steps

    @property
    def has_ground(self) -> bool:
        """Whether stable ground is told."""
        return self.stable is not None or self.moving is not None

    @property
    def needs_band(self) -> bool:
        """Whether it is not told which band is matched."""
        return self.band is None and self.bands is None

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        told, mask = self._told()
        ground = self._ground()
        if self.bands is None:
            steps, of = self._of_band(None, mask)
        else:
            branches = {band: self._of_band(band, mask) for band in self.bands}
            steps = [step for steps, _ in branches.values() for step in steps]
            bands = {band: of for band, (_, of) in branches.items()}
            of = Result("shifts")
            steps.append(Step(of, combine_bands, (bands,), {}, True, True, "Joining bands"))
        return [
            *told, *ground, *steps, *self.motion(of),
            Step("lost", losses, (of,), {}),
            Step("loss_files", write_losses, (Result("lost"), Folder("losses")), {"overwrite": True}),
        ]  # fmt: skip

    def matching(self) -> list[Step]:
        """Steps up to the matches of the first band."""
        told, mask = self._told()
        return [*told, self._matches(None if self.bands is None else self.bands[0], mask)]

    def _told(self) -> tuple[list[Step], Result | None]:
        """Steps of the images, their pairs and the pixels that may be matched, and the mask of these, if any."""
        stack = Result("stack")
        masks, mask = self._masks()
        others = [] if self.bands is None else [self._stack_of(band) for band in self.bands[1:]]
        return [
            self._stack_of(self.band if self.bands is None else self.bands[0], stack),
            *others,
            Step("planned", plan, (stack,), self.plan_options | {"max_search": self.max_search}),
            Step("network", pairs, (stack,), self.pair_options | {"per_date": self.pairs_per_date}),
            *masks,
        ], mask

    def _stack_of(self, band: int | str | None, name: str = "") -> Step:
        """Step of the images of a band."""
        given = {"band": _as_band(band), "orbit": self.orbit, "bbox": self.bbox}
        step = self._images()
        told = dict(step.options) | {key: each for key, each in given.items() if each is not None}
        return step._replace(name=name or _named("stack", band), options=told)

    def _matches(self, band: str | None, mask: Result | None) -> Step:
        """Step of the matches of a band."""
        is_first = self.bands is None or band == self.bands[0]
        stack = Result("stack") if is_first else Result(_named("stack", band))
        options = self.match_options | ({} if mask is None else {"mask": mask})
        name = _named("matches", band)
        return Step(name, correlate, (stack, Result("network")), options, True, title=_titled("Matching", band))

    def _of_band(self, band: str | None, mask: Result | None) -> tuple[list[Step], Result]:
        """Steps from the matches of a band to shifts that are fit to be used, and the result that they lead to."""
        matches, of = self._matches(band, mask), Result(_named("shifts", band))
        found = [
            matches,
            Step(of, screen, (Result(matches.name),), self.screen_options, True, title=_titled("Screening", band)),
        ]
        stable = {"stable": Result("ground")} if self.has_ground else {}
        if self.correct_options is not None:
            detectors = self._detectors_of(band) if self.has_ground else []
            options = stable | self.correct_options | {"min_nodes": self.min_nodes}
            options |= {"stripes": Result(detectors[0].name)} if detectors else {}
            name, title = Result(_named("corrected", band)), _titled("Correcting", band)
            found += [*detectors, Step(name, correct, (of,), options, True, True, title)]
            of = name
        if self.has_ground:
            name = Result(_named("calibrated", band))
            found.append(Step(name, calibrate, (of, Result("ground")), {}))
            of = name
        return found, of

    def _detectors_of(self, band: str | None) -> list[Step]:
        """Step of the detectors that saw the pixels of a band, if they are known."""
        name, given = _named("detector", band), {} if band is None else {"band": band}
        return [step._replace(name=name, options=dict(step.options) | given) for step in self._detectors()]

    @property
    def match_options(self) -> dict[str, Any]:
        """Options of `correlate` beside the mask."""
        return {
            "template": self.window if len(self.window) > 1 else self.window[0],
            "search": Result("planned.search") if self.max_search <= EXHAUSTIVE else Pyramid(self.max_search),
            "step": self.step,
            "prefilter": None if self.prefilter == NONE else self.prefilter,
        }

    def _masks(self) -> tuple[list[Step], Result | None]:
        """Steps of the masks, and the mask that they make, if any."""
        stack = Result("stack")
        found: list[Step] = []
        parts: dict[str, Any] = {}
        if self.has_classes:
            widths = {"snow": self.SNOW, "closing": CLOSING, "opening": OPENING, "buffer": WIDENING}
            found += [self._classes(), Step("clear", usable, (Result("seen"),), widths)]
            parts["usable"] = Result("clear")
        if self.dem is not None:
            margin = {"margin": SHADOW_MARGIN} if self.shadows else {}
            found.append(Step("elevations", open_dem, (self.dem,), {"like": stack} | margin))
        if self.shadows:
            found.append(Step("shadow", cast_shadow, (Result("elevations"),), {"sun": stack}))
            parts["shadow"] = Result("shadow")
        if not parts:
            return found, None
        return [*found, Step("mask", combine, (stack,), parts)], Result("mask")

    def _ground(self) -> list[Step]:
        """Step of the ground that stands still, if it is told."""
        if not self.has_ground:
            return []
        told = {"polygons": self.stable, "moving": self.moving, "buffer": self.buffer}
        told |= {} if self.dem is None else {"dem": Result("elevations")}
        given = {name: each for name, each in told.items() if each is not None}
        return [Step("ground", stable_ground, (Result("stack"),), given)]

    def widened(
        self,
        name: str,
        call: Callable[..., Any],
        subjects: tuple[Any, ...],
        title: str,
        options: Mapping[str, Any] | None = None,
    ) -> list[Step]:
        """Steps of a product of the shifts that come first among its subjects, stored with errors of sheared ground."""
        made = Result(f"{name}_of_pairs")
        given = {"shifts": subjects[0]}
        return [
            Step(made, call, subjects, options or {}),
            Step(name, widen_sheared, (made,), given, True, True, title),
        ]

    def geotiff(self, name: str, folder: str) -> Step:
        """Step that writes a result as GeoTIFF."""
        return Step(f"{name}_files", to_geotiff, (Result(name), Folder(folder)), {"overwrite": True})


def _named(name: str, band: int | str | None) -> str:
    """Name of a result of a band, fit for a variable of Python."""
    return name if band is None else re.sub(r"\W", "_", f"{name}_{band}")


def _titled(title: str, band: str | None) -> str:
    return title if band is None else f"{title} {band}"


def _as_band(band: int | str | None) -> int | str | None:
    """Number of a band that is told as a text."""
    return int(band) if isinstance(band, str) and band.isdigit() else band
