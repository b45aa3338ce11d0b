"""The recipe `pycorr`: what the program pycorr_iceflow does, with its options and its files."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from xoffset._arrays.filters.options import Highpass
from xoffset._arrays.matching.ncc import NCC
from xoffset.correction.correct import correct
from xoffset.formats import looks, pycorr
from xoffset.masking.land_classes import land_classes
from xoffset.masking.stable_ground import stable_ground
from xoffset.matching.correlate import correlate
from xoffset.matching.search_range import search_range
from xoffset.model import grids
from xoffset.network.pairs import pairs
from xoffset.plotting import style
from xoffset.readers.open_speed import open_speed
from xoffset.readers.open_stack import open_stack
from xoffset.readers.rasters import find
from xoffset.recipes.base import SCENES, Folder, Recipe, Result, Step
from xoffset.recipes.pycorr_options import PycorrOptions
from xoffset.recipes.services import BLOCK, check_matched
from xoffset.screening.screen import screen

# Days of a year, of which speeds are that `search_range` takes.
YEAR_DAYS = 365.25
# How far to search on ground that stands still, and beyond what is expected of the rest [px]; how many times that.
LAND_RANGE, FACTOR = 5, 1.5


@dataclass(frozen=True)
class Pycorr(PycorrOptions):
    """pycorr_iceflow: chips of one image are found in the next, high-passed, with its masks, layers and pictures.

    Two images are a pair; of more each is matched with the next one, or with the next `max_gap`. Pairs run forward in
    time.

    Parameters
    ----------
    img1_name, img2_name
        "image 1 filename", "image 2 filename": two of the images in the folder of the scenes. None: all scenes.
    imgdir, img1dir, img2dir
        "single source dir for both images", "source dir for image 1", "source dir for image 2", in place of the scenes.
    output_dir
        "output dir", within the folder of the run.
    img1datestr, img2datestr, datestrfmt
        "date string for image 1", "image 2", and their "date string format", as of strptime; without it dates are ISO
        8601. `datestrfmt` alone is looked for in the names of the files.
    out_name_base
        "output filename base": of several pairs followed by the dates of each. None: the dates.
    bbox
        "bbox for feature tracking area in projection m - minx miny maxx maxy - defaults to entire common area".
    plotvmax
        "max vel for colormap", in the unit of the velocities.
    trackvmax
        "max vel that can be tracked (half_target_chip will be made larger if necessary, but if speed_ref is slow, that
        limit will be used...)" [m/d].
    nodatavmax
        "max vel (m/d) that can be tracked if speedref file is used and has nodata at location" [m/d].
    half_source_chip, half_target_chip
        "half size of source (small) chip", "half size of target (large or search) chip" [px]: the search reaches as far
        as their difference.
    inc
        "inc(rement) or chip center grid spacing in pixels (must be even integer)" [px].
    gfilt_sigma
        "gaussian filter sigma (standard deviation in pixels for Gaussian kernel)" of the high-pass [px].
    dcam, cam, cam1
        "masked_where(((del_corr_arr<dcam)&(corr_arr<cam)) | (corr_arr<cam1))".
    lgo_mask_filename, lgo_mask_file_dir
        "file name for land_glacier_ocean mask file": 1 land, 0 glacier, 2 or 0 water; "path to directory containing"
        it. It is written as `lgo_mask`.
    use_itslive_land_mask_from_web
        "pull a land mask from itslive.jpl.nasa.gov S3 bucket (will enable offset correction and disable local lgo_mask
        use)".
    VRT_dir, v, progupdates
        "path to directory where temporary .vrt files will be stored", "verbose", "progress updates": accepted, and
        nothing to do, since no such files are made, and progress is always shown.
    max_allowable_pixel_offset_correction
        "if calculated offset correction of any type is larger than this many pixels, it will NOT be applied" [px]: the
        pair is flagged `not_corrected`, and the log tells.
    do_not_highpass_input_images
        "DO NOT highpass input images before correlation".
    mpy
        "meters per year - [meters per day if not raised]", of 365.25 days.
    log10
        "output second rgba color image that is log10(v) (and second kmz with colorbar in addition to GTiff ...)".
    nlf
        "do not output log entries in nc file that contain command line etc".
    output_geotiffs_instead_of_netCDF
        "output GeoTIFFs of vx,vy,vv,del_corr instead of .nc file with layers".
    offset_correction_lgo_mask
        "estimate offset from land pixels and make correct output vels with constant vx and vy shifts".
    lgo_mask_limit_land_offset
        "when source chip center is a land pixel, limit search distance", also on water: to 5 px.
    band
        Band of files with several.
    max_gap, max_baseline
        Pairs of more than two images: with how many of the next ones, and the longest of them.
    speed_ref, speed_ref_per
        Map of the speed that is expected, two rasters of vx and vy, one of the speed, or a product; and the unit of
        time of rasters that do not tell it. Where it is slow the search is shorter.
    itslive_land_mask_index
        Address of the index of the tiles of `use_itslive_land_mask_from_web`.
    """

    name: ClassVar[str] = "pycorr"

    def scenes_of(self, scenes: Any) -> Any:
        """The two images that are named, in the folder of the scenes or those that are given for them; or all scenes.

        Raises
        ------
        ValueError
            If images are named and the scenes are no folder, or dates are told of more or fewer than two.
        """
        if self.img1_name is not None and self.img2_name is not None:
            folders = [self.imgdir or each for each in (self.img1dir, self.img2dir)]
            is_folder = isinstance(scenes, (str, os.PathLike)) and Path(scenes).is_dir()
            if None in folders and not is_folder:
                raise ValueError(
                    f"the recipe {self.name} needs a folder as scenes, in which to look for img1_name and img2_name; "
                    f"got {_named(scenes)}. Pass the folder, or imgdir."
                )
            names = self.img1_name, self.img2_name
            return [str(Path(folder or scenes) / name) for folder, name in zip(folders, names, strict=True)]
        if self.img1datestr is not None:
            if isinstance(scenes, xr.DataArray) or len(find(scenes)) != 2:
                raise ValueError(
                    f"the recipe {self.name} needs two files as scenes for img1datestr and img2datestr; got "
                    f"{_named(scenes)}. Name the images: img1_name and img2_name."
                )
            return find(scenes)
        return scenes

    def script(self, scenes: Any = "scenes", out: str = "results") -> str:
        """The same steps as plain calls in Python, which store and resume the same products."""
        is_named = self.img1_name is not None and isinstance(scenes, (str, os.PathLike)) and Path(scenes).is_dir()
        return Recipe.script(self, self.scenes_of(scenes) if is_named else scenes, out)

    def check_plan(self, results: Mapping[str, Any]) -> None:
        """Refuse a run whose netCDF files could not be written at its end."""
        if self.output_geotiffs_instead_of_netCDF:
            return
        looks.optional("h5netcdf", "netcdf", self.name)
        if grids.crs_of(results["stack"]) is None:
            raise ValueError(
                f"the recipe {self.name} needs images with a CRS for netCDF; got local metres. Name it, "
                "stack.rio.write_crs('EPSG:...'), or pass output_geotiffs_instead_of_netCDF=True."
            )

    def check(self, name: str, product: xr.Dataset) -> None:
        """Refuse matches of which no pair has any, such as of images without data."""
        if name == "matches":
            check_matched(product, self.name, "images, half_source_chip, half_target_chip and bbox")

    @property
    def steps(self) -> list[Step]:
        """Calls that make the products, in order."""
        stack, network, of = Result("stack"), Result("network"), Result("shifts")
        told: dict[str, Any] = {"band": self.band, "bbox": self.bbox, "date": self.datestrfmt, "chunks": BLOCK}
        if self.img1datestr is not None:
            told["date"] = [date.isoformat() for date in self.dates]
        network_of: dict[str, Any] = {"max_gap": self.max_gap}
        network_of |= {} if self.max_baseline is None else {"max_baseline": self.max_baseline}
        found = [
            Step("stack", open_stack, (SCENES,), {name: each for name, each in told.items() if each is not None}),
            Step("network", pairs, (stack,), network_of),
        ]
        if self.lgo_mask is not None:
            found.append(Step("land", land_classes, (self.lgo_mask,), {"like": stack}))
        ranges = self._ranges()
        matching: dict[str, Any] = {
            "template": 2 * self.half_source_chip, "search": Result("reach") if ranges else self.search,
            "step": self.inc, "matcher": NCC(curvature=True),
            "prefilter": None if self.do_not_highpass_input_images else Highpass(self.gfilt_sigma),
        }  # fmt: skip
        masks: dict[str, Any] = {"false_alarm": None, "ambiguity": None, "neighbourhood": False}
        masks |= {"pycorr": (self.dcam, self.cam, self.cam1)}
        found += [
            *ranges,
            Step("matches", correlate, (stack, network), matching, True, title="Matching"),
            Step("shifts", screen, (Result("matches"),), masks, True, title="Screening"),
        ]
        if self.is_corrected:
            longest = np.format_float_positional(self.max_allowable_pixel_offset_correction, trim="-")
            by = {"stable": Result("ground"), "order": 0, "max_shift": f"{longest} px"}
            found += [
                Step("ground", stable_ground, (of,), {"classes": Result("land")}),
                Step("corrected", correct, (of,), by, True, True, "Correcting"),
            ]
            of = Result("corrected")
        return found + self._writing(of)

    def _ranges(self) -> list[Step]:
        """Steps that tell how far to search at each node, if it is not as far everywhere."""
        stack = Result("stack")
        found: list[Step] = []
        options: dict[str, Any] = {}
        if self.trackvmax is not None:
            options["max_speed"] = self.trackvmax * YEAR_DAYS
        if self.speed_ref is not None:
            per = {} if self.speed_ref_per is None else {"per": self.speed_ref_per}
            found.append(Step("speed", open_speed, (self.speed_ref,), {"like": stack} | per))
            options |= {"speed": Result("speed"), "unknown_speed": self.nodatavmax * YEAR_DAYS, "factor": FACTOR}
        if self.lgo_mask_limit_land_offset:
            options["still"] = Result("land")
        if not options:
            return []
        sizes: dict[str, Any] = {
            "search": self.search,
            "template": 2 * self.half_source_chip,
            "step": self.inc,
        }
        sizes |= {} if options.keys() == {"max_speed"} else {"margin": LAND_RANGE}
        return [*found, Step("reach", search_range, (stack, Result("network")), sizes | options)]

    def _writing(self, of: Result) -> list[Step]:
        """Steps that write the files of the program."""
        folder, per = Folder(self.output_dir), "year" if self.mpy else "day"
        names: dict[str, Any] = {"per": per, "overwrite": True}
        names |= {} if self.out_name_base is None else {"base": self.out_name_base}
        layers: dict[str, Any] = {"unmasked": Result("matches")} | names
        layers |= {} if self.nlf else {"log": self.command}
        if self.output_geotiffs_instead_of_netCDF:
            found = [Step("files", pycorr.write_geotiffs, (of, folder), layers)]
        else:
            layers |= {"images": Result("stack")} | ({} if self.lgo_mask is None else {"classes": Result("land")})
            found = [Step("files", pycorr.write, (of, folder), layers)]
        if style.has_extra():
            shown = {"plotvmax": self.plotvmax, "log10": self.log10} | names
            found.append(Step("browse", pycorr.write_browse, (of, folder), shown))
        return found

    @property
    def command(self) -> str:
        """Command with these options, those left out that are as they are by default; its files are not named."""
        words = ["xoffset", "run", self.name]
        for field in dataclasses.fields(self):
            value, flag = getattr(self, field.name), f"--{field.name.replace('_', '-')}"
            if value == field.default:
                continue
            if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
                words += [word for each in value for word in (flag, each)]
            else:
                given = value if isinstance(value, tuple) else (value,)
                words += [flag] if value is True else [flag, *map(str, given)]
        return shlex.join(words)

    # -------------------------------------------------------------------------------------------------- what is missing

    @property
    def warnings(self) -> list[str]:
        """What to tell before a run with these parameters."""
        idle = [name for name in ("VRT_dir", "v", "progupdates") if self._is_given(name)]
        if not idle:
            return []
        return [
            f"the recipe {self.name} has nothing to do for {', '.join(idle)}: it makes no .vrt files, and always shows "
            "progress."
        ]

    @property
    def not_written(self) -> dict[str, str]:
        """Files of the program that are not written, and why."""
        stem = f"{self.out_name_base or 'DATE1_DATE2'}"
        found = {}
        if self.output_geotiffs_instead_of_netCDF:
            found[f"{stem}_hp.nc"] = "output_geotiffs_instead_of_netCDF"
        if not style.has_extra():
            found[f"{stem}.tif, .kmz"] = "pictures need the extra: pip install 'xoffset[plot]'"
        return found


def _named(scenes: Any) -> str:
    """Scenes in a few words."""
    return "a stack" if isinstance(scenes, xr.DataArray) else repr(scenes)[:80]
