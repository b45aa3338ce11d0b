"""The recipes `landslide` and `glacier`: velocity and displacement through time, by what we would do ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from xoffset.inversion.invert import invert
from xoffset.motion.onset import onset
from xoffset.motion.velocity import velocity
from xoffset.network.sun_term import sun_term
from xoffset.recipes.base import Result, Step, option
from xoffset.recipes.own import Own
from xoffset.recipes.services import AUTO, NONE

# What is done about that which moves with the sun.
SUN = "sun"
_LIGHT = "whether what moves with the sun is told from motion; 'auto': if the dates tell the two apart"


@dataclass(frozen=True)
class Flowing(Own):
    """Parameters of what goes on moving: landslides, rock glaciers, glaciers, dunes.

    Parameters
    ----------
    max_velocity
        Fastest motion that is expected [m yr-1]. The longest pair is that in which it stays within `max_search`.
        Required.
    min_motion
        How far the fastest ground moves at least in a pair [px]: the shortest pair is that in which it does.
    light
        Textures that hold shadows seem to move with the sun, back and forth each year. ``"sun"``: a term of the sun is
        fitted beside the velocity, and comes off the displacement, see `velocity` and `invert`; motion with the seasons
        goes with it. ``"auto"``: where `sun_term` says that the dates tell the two apart; else the run warns.
        ``"none"``: never.
    """

    max_velocity: float = option(
        None, "fastest motion that is expected", unit="m/yr", least=1e-6, is_required=True, example=10.0
    )
    min_motion: float = option(
        0.2, "how far the fastest ground moves at least in a pair, which tells the shortest", unit="px", least=1e-3
    )
    light: str = option(AUTO, _LIGHT, choices=(AUTO, SUN, NONE))

    @property
    def plan_options(self) -> dict[str, Any]:
        """Options of `plan`, by the motion that is expected."""
        return {"v_max": self.max_velocity, "precision": self.min_motion}

    def largest(self, years: float) -> float:
        """Largest motion [m] that is expected in a pair of so many years."""
        return self.max_velocity * years

    def motion(self, of: Result) -> list[Step]:
        """Steps from the shifts to velocity and displacement through time, and to their files."""
        told = [Step("light", sun_term, (Result("network"),), {"sun": Result("stack")})] if self.light == AUTO else []
        sun = {} if self.light == NONE else {"sun": Result("light.sun" if told else "stack")}
        return [
            *told,
            *self.widened("series", invert, (of,), "Inverting", sun),
            # from the pairs, since a series has no value where its reference date is under a cloud
            *self.widened("velocity", velocity, (of,), "Fitting velocity", sun),
            self.geotiff("velocity", "velocity"),
            self.geotiff("series", "displacement"),
        ]

    def undone(self, results: Mapping[str, Any]) -> dict[str, str]:
        """What a run leaves undone, by its results that are not computed yet, and why."""
        why = results["light"].why if self.light == AUTO else ""
        if not why:
            return {}
        what = "no file: velocity and displacement without what moves with the sun"
        return {what: f"{why} light='none' leaves the term out without this warning."}


@dataclass(frozen=True)
class Landslide(Flowing):
    """Velocity and displacement through time of landslides and rock glaciers, as we would measure them ourselves.

    Pairs follow from the speed that is expected: long enough that it shows, short enough that it stays within the
    search. Windows of 16 to 64 px, of which each place keeps the smallest that stands out, since landslides are narrow
    beside the window that noise asks for. Chance, ambiguity, agreement with neighbours, and long pairs that hold on to
    what stays are tested. What images as wholes move by comes off date by date, told on stable ground or, where none is
    told, by the mode of the field, which a landslide is a small part of. Where the dates tell what moves with the sun
    from motion, it comes off. The standard errors are scaled to the spread on stable ground, robustly inverted, and go
    on to the velocity, and to the dates at which it changed.
    """

    name: ClassVar[str] = "landslide"

    def motion(self, of: Result) -> list[Step]:
        """Steps from the shifts to velocity, displacement through time and changes of the velocity, and to files."""
        return [
            *super().motion(of),
            # what all dates err by alike in sheared ground is no noise of a change
            Step("onset", onset, (Result("series_of_pairs"),), {}, True, title="Finding changes"),
            self.geotiff("onset", "onset"),
        ]

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        if self.has_ground:
            return []
        return [
            f"{self.name}: no ground is told that stands still; velocities count from the mode of the motion on each "
            "date, and standard errors are those of the matches. Pass stable or moving."
        ]


@dataclass(frozen=True)
class Glacier(Flowing):
    """Velocity and displacement through time of glaciers, as we would measure them ourselves.

    As `Landslide`, but snow is matched, since it is what moves; windows are of 32 px alone, since sizes that have to
    agree lose ice that is sheared: of the fastest ice of Yahtse glacier a third, where one size loses a tenth; and
    without stable ground nothing comes off the shifts, since a cut-out of a glacier may hold nothing else. Ice moves
    with the seasons, which a term of the sun would take for light: there is none by default.
    """

    name: ClassVar[str] = "glacier"
    NEEDS: ClassVar[Mapping[str, tuple[str, ...]]] = {**Own.NEEDS, "min_nodes": ("stable", "moving")}
    SNOW: ClassVar[bool] = False

    window: tuple[int, ...] = option(
        (32,), "sides of the windows; of several each place keeps the smallest that stands out", unit="px"
    )
    light: str = option(NONE, _LIGHT, choices=(AUTO, SUN, NONE))

    @property
    def correct_options(self) -> dict[str, Any] | None:
        """Options of `correct` beside the ground; None: nothing is corrected."""
        return super().correct_options if self.has_ground else None

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        if self.has_ground:
            return []
        return [
            f"{self.name}: no ground is told that stands still; images are taken as they lie, and an error of their "
            "position is in the velocities and not in their standard errors. Pass stable or moving."
        ]
