"""The recipe `earthquake`: coseismic displacement, by what we would do ourselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xoffset.motion.coseismic import coseismic
from xoffset.recipes.base import Result, Step, option
from xoffset.recipes.own import Own


@dataclass(frozen=True)
class Earthquake(Own):
    """Displacement of an earthquake, as we would measure it ourselves.

    All pairs cross the event, each image with those next to it on the other side. A ramp comes off only where stable
    ground in the far field tells it, or the trace of the fault, whose motion is fitted along with it: a plane through
    the whole of a displacement field takes half of it off. The displacement is that of a step at the event, fitted
    robustly to all pairs; its standard error follows from the number of images on either side, not of pairs.

    Parameters
    ----------
    date
        Instant of the earthquake (UTC), such as 2019-07-06T03:19; the bare day, where no image was taken on it.
        Required.
    max_displacement
        Largest displacement that is expected [m]. Required.
    trace
        Trace of the fault, a file of GeoJSON; no correction takes its motion off.
    """

    name: ClassVar[str] = "earthquake"
    IS_RATE: ClassVar[bool] = False

    date: str = option(
        None, "instant of the earthquake, UTC", is_required=True, example="2019-07-06T03:19"
    )  # fmt: skip
    max_displacement: float = option(
        None, "largest displacement that is expected", unit="m", least=1e-6, is_required=True, example=5.0
    )
    trace: str | None = option(None, "trace of the fault, whose motion no correction takes off", is_path=True)
    window: tuple[int, ...] = option(
        (32, 64), "sides of the windows; of several each place keeps the smallest that stands out", unit="px"
    )

    @property
    def plan_options(self) -> dict[str, Any]:
        """Options of `plan`, by the motion that is expected."""
        return {"event": self.date, "displacement": self.max_displacement}

    @property
    def pair_options(self) -> dict[str, Any]:
        """Options of `pairs`."""
        return {"split": self.date}

    @property
    def screen_options(self) -> dict[str, Any]:
        """Options of `screen`: long pairs show the same as short ones."""
        return {"max_range": self.max_range}

    @property
    def correct_options(self) -> dict[str, Any] | None:
        """Options of `correct` beside the ground."""
        if self.trace is None:
            return super().correct_options
        return {"order": "plane", "by_date": True, "trace": self.trace}

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        if self.has_ground or self.trace is not None:
            return []
        return [
            f"{self.name}: neither ground that stands still nor the trace of the fault is told; displacements count "
            "from the mode of the field, and ramps stay. Pass stable or trace."
        ]

    def largest(self, years: float) -> float:
        """Largest motion [m] that is expected in a pair, however long."""
        return self.max_displacement

    def motion(self, of: Result) -> list[Step]:
        """Steps from the shifts to the displacement of the event, and to its files."""
        return [
            *self.widened("displacement", coseismic, (of, self.date), "Fitting displacement"),
            self.geotiff("displacement", "displacement"),
        ]
