"""Options of the recipe `pycorr`: their ranges, which of them need or exclude others, and what follows from several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from xoffset.formats import pycorr, pycorr_layers
from xoffset.masking.land_classes import ITS_LIVE
from xoffset.recipes import values
from xoffset.recipes.base import Recipe, option

# Least difference of the half sizes that leaves candidates outside of the peak, by which `del_corr` is told [px].
LEAST_RANGE = 4
# Names of files, and the folders in which they are, of which the first that is told counts.
FOLDERS = {
    "img1_name": ("imgdir", "img1dir"), "img2_name": ("imgdir", "img2dir"), "lgo_mask_filename": ("lgo_mask_file_dir",)
}  # fmt: skip


@dataclass(frozen=True)
class PycorrOptions(Recipe):
    """Options of pycorr_iceflow, as `Pycorr` tells them."""

    # fields that count only where one of others has a value that is not its default: (owners, fields)
    NEEDS: ClassVar[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
        (("speed_ref",), ("nodatavmax", "speed_ref_per")),
        (("lgo_mask_filename",), ("lgo_mask_file_dir",)),
        (
            ("lgo_mask_filename", "use_itslive_land_mask_from_web"),
            ("offset_correction_lgo_mask", "lgo_mask_limit_land_offset"),
        ),
        (
            ("offset_correction_lgo_mask", "use_itslive_land_mask_from_web"),
            ("max_allowable_pixel_offset_correction",),
        ),
        (("use_itslive_land_mask_from_web",), ("itslive_land_mask_index",)),
        (("img1_name",), ("imgdir", "img1dir", "img2dir", "img2_name")),
        (("img2_name",), ("img1_name",)),
        (("img1datestr",), ("img2datestr",)),
        (("img2datestr",), ("img1datestr",)),
    )
    # pairs of fields of which one leaves the other without effect
    EXCLUDES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("do_not_highpass_input_images", "gfilt_sigma"),
        ("use_itslive_land_mask_from_web", "lgo_mask_filename"),
        ("imgdir", "img1dir"),
        ("imgdir", "img2dir"),
    )

    img1_name: str | None = option(None, "image 1 filename", example="S2B_7VEG_20200512_0_L2A_B08.tif")
    img2_name: str | None = option(None, "image 2 filename", example="S2A_7VEG_20200527_0_L2A_B08.tif")
    imgdir: str | None = option(None, "single source dir for both images", is_path=True)
    img1dir: str | None = option(None, "source dir for image 1", is_path=True)
    img2dir: str | None = option(None, "source dir for image 2", is_path=True)
    output_dir: str = option(".", "output dir, within the folder of the run")
    img1datestr: str | None = option(None, "date string for image 1", example="20200512")
    img2datestr: str | None = option(None, "date string for image 2", example="20200527")
    datestrfmt: str | None = option(None, "date string format, as of strptime", example="%Y%m%d")
    out_name_base: str | None = option(None, "output filename base", example="L2A_7VEG")
    bbox: tuple[float, float, float, float] | None = option(None, "area in projection m: minx miny maxx maxy", unit="m")
    plotvmax: float = option(15.0, "max vel for colormap, in the unit of the velocities", least=1e-6)
    trackvmax: float | None = option(
        None, "max vel that can be tracked; half_target_chip grows with it", unit="m/d", least=1e-6, example=30.0
    )
    nodatavmax: float = option(0.333, "max vel that can be tracked where speed_ref has nodata", unit="m/d", least=0)
    half_source_chip: int = option(10, "half size of source (small) chip", unit="px", least=3, most=1000)
    half_target_chip: int = option(20, "half size of target (large or search) chip", unit="px", least=4, most=5000)
    inc: int = option(20, "chip center grid spacing, an even number", unit="px", least=2)
    gfilt_sigma: float = option(3.0, "gaussian filter sigma of the high-pass", unit="px", least=0.5, most=100)
    dcam: float = option(0.05, "min difference between corr peaks 1 and 2 for mask", least=0, most=1)
    cam: float = option(1.0, "corr peak max value for dcam & cam mask", least=0, most=1)
    cam1: float = option(0.0, "corr peak value max for or mask", least=0, most=1)
    lgo_mask_filename: str | None = option(None, "file name of the land_glacier_ocean mask", example="lgo.tif")
    lgo_mask_file_dir: str | None = option(None, "directory of the land_glacier_ocean mask file", is_path=True)
    use_itslive_land_mask_from_web: bool = option(
        False, "whether to pull a land mask of ITS_LIVE, and to correct by it"
    )
    VRT_dir: str = option(".", "directory of temporary .vrt files: nothing to do, none are made")
    max_allowable_pixel_offset_correction: float = option(
        3.0, "offset correction that is larger is not applied", unit="px", least=1e-6
    )
    do_not_highpass_input_images: bool = option(False, "whether input images are not high-passed")
    v: bool = option(False, "verbose: nothing to do")
    mpy: bool = option(False, "whether velocities are in meters per year")
    log10: bool = option(False, "whether to output second pictures of log10(v)")
    nlf: bool = option(False, "whether to leave out the log")
    progupdates: bool = option(False, "progress updates: nothing to do, they are always shown")
    output_geotiffs_instead_of_netCDF: bool = option(False, "whether to output GeoTIFFs instead of a .nc file")
    offset_correction_lgo_mask: bool = option(False, "whether to estimate and take off the offset of land pixels")
    lgo_mask_limit_land_offset: bool = option(False, "whether to limit the search distance on land and water")
    # beside those of the program
    band: int | str | None = option(None, "band of files with several: number or description")
    max_gap: int = option(1, "pairs of more than two images: with how many of the next ones", least=1)
    max_baseline: str | None = option(None, "longest pair in time, such as 90D")
    speed_ref: str | tuple[str, ...] | None = option(
        None, "speed that is expected: two rasters of vx and vy, or a product", is_path=True
    )
    speed_ref_per: str | None = option(None, "unit of time of speed_ref", choices=("day", "year"))
    itslive_land_mask_index: str = option(ITS_LIVE, "address of the index of the land masks of ITS_LIVE", is_path=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for owners, names in self.NEEDS:
            for name in names:
                if self._is_given(name) and not any(map(self._is_given, owners)):
                    raise ValueError(
                        f"the recipe {self.name} needs {' or '.join(owners)} for {name}; got {name}="
                        f"{getattr(self, name)!r} alone, which would have no effect. Pass it, or leave {name} out."
                    )
        for one, other in self.EXCLUDES:
            if self._is_given(one) and self._is_given(other):
                raise ValueError(
                    f"the recipe {self.name} needs {one} or {other}; got both, {getattr(self, one)!r} and "
                    f"{getattr(self, other)!r}, and one would have no effect. Leave one out."
                )
        self._check_numbers()
        folder = Path(self.output_dir)
        if folder.is_absolute() or ".." in folder.parts:
            raise ValueError(
                f"the recipe {self.name} needs a folder within that of the run as output_dir; got {self.output_dir!r}. "
                "Pass one such as 'velocities', or another folder to run()."
            )

    def _is_given(self, name: str) -> bool:
        """Whether a field has another value than its default."""
        default = next(field.default for field in fields(self) if field.name == name)
        return bool(getattr(self, name) != default)

    def _check_numbers(self) -> None:
        if self.inc % 2:
            raise ValueError(
                f"the recipe {self.name} needs an even number as inc [px]; got {self.inc}. Pass inc={self.inc + 1}."
            )
        if self.search < LEAST_RANGE:
            raise ValueError(
                f"the recipe {self.name} needs a half_target_chip of at least {LEAST_RANGE} px more than "
                f"half_source_chip, so that there is a second peak; got {self.half_target_chip} and "
                f"{self.half_source_chip}. Pass half_target_chip={self.half_source_chip + 10}."
            )
        name = self.out_name_base
        if name is not None and not pycorr_layers.is_name(name):
            raise ValueError(
                f"the recipe {self.name} needs a name without signs of folders as out_name_base; got {name!r}. Pass "
                "one such as 'L2A_7VEG', and folders as output_dir."
            )
        if self.log10 and self.plotvmax <= pycorr.SLOWEST:
            raise ValueError(
                f"the recipe {self.name} needs plotvmax above {pycorr.SLOWEST:g} for log10, where its scale begins; "
                f"got {self.plotvmax!r}. Raise it, or leave log10 out."
            )
        if self.img1datestr is not None and not self.dates[0] < self.dates[1]:
            raise ValueError(
                f"the recipe {self.name} needs image 1 before image 2; got {self.img1datestr!r} and "
                f"{self.img2datestr!r}. Exchange them, and the names of the images."
            )

    @property
    def dates(self) -> list[datetime]:
        """Dates of the two images, as they are told."""
        found = []
        for name in ("img1datestr", "img2datestr"):
            text = str(getattr(self, name))
            try:
                form = self.datestrfmt
                found.append(datetime.fromisoformat(text) if form is None else datetime.strptime(text, form))
            except ValueError as error:
                wanted = "a date in ISO 8601" if self.datestrfmt is None else f"a date {self.datestrfmt!r}"
                raise ValueError(
                    f"the recipe {self.name} needs {wanted} as {name}; got {text!r}. Correct it, or pass its format, "
                    "such as datestrfmt='%Y%m%d'."
                ) from error
        return found

    @property
    def lgo_mask(self) -> str | None:
        """Raster of land, glaciers and water, or the index of those of ITS_LIVE."""
        if self.use_itslive_land_mask_from_web:
            return self.itslive_land_mask_index
        if self.lgo_mask_filename is None:
            return None
        return os.path.join(self.lgo_mask_file_dir or "", self.lgo_mask_filename)  # noqa: PTH118, as pycorr does

    @property
    def files(self) -> dict[str, Any]:
        """Fields that name files, whose change makes another run of it."""
        found = super().files
        return found if self.lgo_mask_filename is None else found | {"lgo_mask_filename": self.lgo_mask}

    @classmethod
    def located(cls, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Values of a recipe file whose paths are whole: names of files count from the folders that are told for them.

        Raises
        ------
        ValueError
            If a path or a name leaves its folder.
        """
        found = super().located(given, folder)
        for name, owners in FOLDERS.items():
            if isinstance(given.get(name), str):
                owner = next((each for each in owners if isinstance(found.get(each), str)), None)
                place = values.whole(given[name], Path(found[owner]) if owner else folder, name, is_bound=True)
                # images without a folder are those of the scenes
                found[name] = place if name == "lgo_mask_filename" and owner is None else given[name]
        return found

    def placed(self, folder: Path, *, is_bound: bool = False) -> Self:
        """Recipe whose files have whole paths; others are taken from a folder, which they must not leave if `is_bound`.

        Raises
        ------
        ValueError
            If a path leaves the folder.
        """
        whole = self
        if self.lgo_mask_filename is not None and self.lgo_mask_file_dir is None:
            whole = replace(self, lgo_mask_file_dir=".")
        return Recipe.placed(whole, folder, is_bound=is_bound)

    @property
    def search(self) -> int:
        """Half-range of the search [px]."""
        return self.half_target_chip - self.half_source_chip

    @property
    def is_corrected(self) -> bool:
        """Whether the offset of land comes off."""
        return self.offset_correction_lgo_mask or self.use_itslive_land_mask_from_web
