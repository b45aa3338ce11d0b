"""The recipe `gdm-opt-etq`: coseismic displacement from pairs across the date of an earthquake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xoffset.motion.means import mean_displacement
from xoffset.recipes.base import Step, option
from xoffset.recipes.gdm import FITTED, GdmOpt


@dataclass(frozen=True)
class GdmOptEtq(GdmOpt):
    """Mean coseismic displacement with the parameters, files, signs and units of GDM-OPT-ETQ.

    The service says that it has 16 parameters, and lists 18. They are all here, the two that share a label as
    `apply_correction_and_filtering` and `apply_jitter_correction`, with the matcher of its sister services. There is no
    limit of four images.

    Parameters
    ----------
    use_a_direction_for_regularization
        *Use a direction for regularization*: "by default the regularization is isotropic but the user can choose a
        direction for the regularization meaning the displacement field will constrain a smooth gradient in this
        direction".
    teta0
        *Direction of the fault plane / Teta0*: "in the case of strike-slip earthquake and if the a priori known, it is
        recommended to chose the direction of the fault (with East Teta0=0)" [degree, clockwise on the map].
    apply_jitter_correction
        *Apply correction and filtering*, the second of that name: "if set to True, the jitter undulation observed in
        Sentinel-2 images are filtered out".
    fault_trace
        Beside those of the service: file of the line of the fault, whose motion no correction takes off.
    """

    name: ClassVar[str] = "gdm-opt-etq"
    NEEDS: ClassVar[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
        *GdmOpt.NEEDS,
        ("matcher", "micmac", ("use_a_direction_for_regularization",)),
        ("use_a_direction_for_regularization", True, ("teta0",)),
    )

    use_a_direction_for_regularization: bool = option(
        False, "whether the displacement field has a smooth gradient in one direction; else it is isotropic"
    )
    teta0: float | None = option(
        None, "direction of the fault plane, from east (0) clockwise on the map: 90 is south", unit="degree",
        least=-360, most=360, example=45.0,
    )  # fmt: skip
    apply_jitter_correction: bool = option(
        True, "whether the jitter undulation observed in Sentinel-2 images is filtered out"
    )
    fault_trace: str | None = option(
        None, "beside those of the service: trace of the fault, whose motion no correction takes off", is_path=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_a_direction_for_regularization and self.teta0 is None:
            raise ValueError(
                f"the recipe {self.name} needs teta0 for use_a_direction_for_regularization=True; got none. Pass the "
                "strike of the fault from east clockwise, such as teta0=45.0, or leave the direction out."
            )

    @property
    def direction(self) -> float | None:
        """Direction along which the motion varies little, in degrees clockwise from grid north."""
        if not self.use_a_direction_for_regularization or self.teta0 is None:
            return None
        return (90.0 + self.teta0) % 180.0

    @property
    def corrections(self) -> tuple[bool, str | None, bool]:
        """Whether a ramp comes off; how steps of detectors do, if they do; whether jitter does."""
        is_on = self.apply_correction_and_filtering
        return is_on, FITTED if is_on else None, self.apply_jitter_correction

    @property
    def correct_options(self) -> dict[str, Any]:
        """Further options of `correct`."""
        return {} if self.fault_trace is None else {"trace": self.fault_trace}

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        matching, kept = self.matching()
        correcting, corrected = self.correcting(kept)
        filtering, filtered = self.filtering(corrected) if self.apply_correction_and_filtering else ([], corrected)
        return [
            *matching, *correcting, *filtering, *self.writing(corrected, filtered),
            Step("displacement", mean_displacement, (filtered,), {}), *self.maps("displacement"), *self.of_quality(),
        ]  # fmt: skip
