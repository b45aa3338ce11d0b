"""AutoRIFT and MintPy, one image a year."""

from __future__ import annotations

from _service_rows import Row

TESTS = "recipes/test_annual_rate.py"
_RATE = "xoffset.recipes.AnnualRate"
_OFFSETS = f"{TESTS}::test_offsets_are_in_metres"
_MINTPY = f"{TESTS}::test_files_of_mintpy_hold_the_products"
_MAPS = f"{TESTS}::test_velocities_are_maps"
_CLOUDS = f"{TESTS}::test_clouds_of_the_image_and_of_the_area_leave_it_out"

ROWS = [
    Row("F1", "One image per year", "xoffset.one_a_year",
        f"{TESTS}::test_one_image_a_year_of_one_season network/test_one_a_year.py::test_no_combination_spreads_less"),
    Row("F2", "Collection, band", f"{_RATE}.collection {_RATE}.band {_RATE}.images {_RATE}.datetime",
        f"{TESTS}::test_band_orbit_and_tile_are_those_of_the_products "
        f"{TESTS}::test_catalogues_are_searched_with_the_choice_of_the_workflow"),
    Row("F3", "Relative orbit, tile frame", f"{_RATE}.relative_orbit {_RATE}.tile",
        f"{TESTS}::test_band_orbit_and_tile_are_those_of_the_products"),
    Row("F4", "Max cloud of the image, of the bbox", f"{_RATE}.max_cloud_image {_RATE}.max_cloud_bbox", _CLOUDS),
    Row("F5", "Mask classes", f"{_RATE}.mask_classes {_RATE}.classes xoffset.masking.drop_cloudy", _CLOUDS),
    Row("F6", "AOI buffer", f"{_RATE}.aoi {_RATE}.aoi_buffer xoffset.crop",
        f"{TESTS}::test_the_area_of_interest_has_a_buffer"),
    Row("F7", "Pairs", "xoffset.pairs", f"{TESTS}::test_one_image_a_year_of_one_season"),
    Row("F8", "Grid", f"{_RATE}.grid xoffset.grid_step", f"{TESTS}::test_grid_and_chips_are_those_of_autorift"),
    Row("F9", "Chips, search", f"{_RATE}.chip_size_min {_RATE}.chip_size_max {_RATE}.search_limit",
        f"{TESTS}::test_grid_and_chips_are_those_of_autorift "
        f"{TESTS}::test_search_and_filter_reach_as_far_as_asked_for"),
    Row("F10", "Pre-filter", f"{_RATE}.prefilter_width", f"{TESTS}::test_search_and_filter_reach_as_far_as_asked_for"),
    Row("F11", "Reference", f"{_RATE}.landslides {_RATE}.landslide_buffer xoffset.remove_median",
        f"{TESTS}::test_stable_ground_is_that_outside_of_landslides"),
    Row("F12", "Offset to metres", "autorift.write_offsets", _OFFSETS),
    Row("F13", "MintPy loader", "autorift.write_offsets mintpy.write", f"{_OFFSETS} {_MINTPY}"),
    Row("F14", "Inversion", f"{_RATE}.weighted xoffset.invert",
        f"{TESTS}::test_pairs_weigh_alike_unless_asked_for"),
    Row("F15", "Rate", "xoffset.velocity", f"{TESTS}::test_the_rate_is_a_plain_line"),
    Row("O30a", "EWOffset.tif", "autorift.write_offsets", _OFFSETS),
    Row("O30b", "NSOffset.tif", "autorift.write_offsets", _OFFSETS),
    Row("O30c", "folder corrected, metadata.txt", "autorift.write_offsets", _OFFSETS),
    Row("O31a", "timeseriesRg.h5", "mintpy.write", _MINTPY),
    Row("O31b", "timeseriesAz.h5", "mintpy.write", _MINTPY),
    Row("O31c", "residualInvRg.h5, residualInvAz.h5", "mintpy.write_quality", _MINTPY),
    Row("O31d", "numInvOffsetRg.h5, numInvOffsetAz.h5", "mintpy.write_quality", _MINTPY),
    Row("O32a", "velocity_ew.tif", "mintpy.write_velocity", _MAPS),
    Row("O32b", "velocity_sn.tif", "mintpy.write_velocity", _MAPS),
    Row("O32c", "velocityStd in velocityRg.h5, velocityAz.h5", "mintpy.write_velocity", _MINTPY),
]  # fmt: skip
# Numbers that must be there.
WANTED = [
    *(f"F{k}" for k in range(1, 16)), "O30a", "O30b", "O30c", "O31a", "O31b", "O31c", "O31d", "O32a", "O32b", "O32c",
]  # fmt: skip
# Headings of the rows whose numbers begin with a letter.
TITLES = {"F": "AutoRIFT and MintPy: parameters", "O": "AutoRIFT and MintPy: files"}
