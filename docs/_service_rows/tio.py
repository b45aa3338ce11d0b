"""TIO."""

from __future__ import annotations

from _service_rows import Row

TESTS = "recipes/test_tio.py"
_TIO = "xoffset.recipes.Tio"
_FILES = f"{TESTS}::test_products_are_those_of_the_service"
_WEIGHTS = "inversion/test_tio_weights.py"

ROWS = [
    Row("T1", "References to catalogue entries", "xoffset.run",
        f"{TESTS}::test_band_and_tile_are_those_of_the_products"),
    Row("T2", "Region of interest", f"{_TIO}.region_of_interest xoffset.crop",
        f"{TESTS}::test_the_region_is_cropped_by_whole_pixels"),
    Row("T3", "Cloud level threshold", f"{_TIO}.cloud_thres {_TIO}.cloud_band xoffset.masking.drop_cloudy",
        f"{TESTS}::test_dates_whose_water_vapour_band_is_bright_are_left_out"),
    Row("T4", "Max number of pairs per date", f"{_TIO}.max_pairs_per_date",
        f"{TESTS}::test_each_image_is_matched_with_the_next_ones"),
    Row("T5", "Remove median value", f"{_TIO}.rm_median xoffset.remove_median",
        f"{TESTS}::test_the_median_of_the_whole_map_comes_off"),
    Row("T6", "Smoothing coefficient", f"{_TIO}.smoothing_coefficient xoffset.tio_smoothness",
        f"{TESTS}::test_smoothing_bends_and_below_a_limit_does_not "
        f"{_WEIGHTS}::test_the_usual_smoothing_is_that_of_tio"),
    Row("T7", "RMS misclosure threshold", f"{_TIO}.rms_misclosure_threshold xoffset.drop_misclosed",
        f"{TESTS}::test_misclosure_in_metres_masks_pixels"),
    Row("T8", "Scaling value for weighting residuals", f"{_TIO}.weighting_res_scaling_val",
        f"{TESTS}::test_residuals_weigh_pairs_by_their_scale "
        f"{_WEIGHTS}::test_weights_by_residuals_are_those_of_the_twin"),
    Row("T9", "Mask pixels with large residuals", f"{_TIO}.mask_large_residuals",
        f"{TESTS}::test_large_residuals_are_masked_as_the_form_says"),
    Row("T10", "Pair weight", "xoffset.invert",
        f"{TESTS}::test_the_inversion_is_that_of_tio inversion/test_named_weights.py::test_tio_as_its_script_has_it"),
    Row("T11", "Minimum pairs using each image, max fraction of discarded pairs",
        f"{_TIO}.minimum_pairs_per_image {_TIO}.maximum_fraction_of_discarded_pairs xoffset.discard_pixels",
        f"{TESTS}::test_pixels_need_enough_pairs"),
    Row("T12", "Smoothing scheme", "xoffset.tio_smoothness", f"{_WEIGHTS}::test_coefficients_become_strengths"),
    Row("T13", "Iterations to correct unwrapping errors: none", _TIO, f"{TESTS}::test_the_inversion_is_that_of_tio"),
    Row("T14", "Image preparation", f"{_TIO}.band {_TIO}.tile xoffset.crop",
        f"{TESTS}::test_band_and_tile_are_those_of_the_products {TESTS}::test_the_region_is_cropped_by_whole_pixels"),
    Row("T15", "No data", "tio.NODATA", _FILES),
    Row("O33a", "depl_cumule_EW", "tio.write", _FILES),
    Row("O33b", "depl_cumule_NS", "tio.write", _FILES),
    Row("O34a", "RMSpixel_dates", "tio.write_misclosure xoffset.misclosure", _FILES),
    Row("O34b", "RMSpixel_pairs", "tio.write_misclosure xoffset.misclosure", _FILES),
    Row("O35", "quicklooks", "tio.write_quicklooks", f"{TESTS}::test_quicklooks_move_and_lie_on_the_map"),
]  # fmt: skip
# Numbers that must be there.
WANTED = [*(f"T{k}" for k in range(1, 16)), "O33a", "O33b", "O34a", "O34b", "O35"]
# Headings of the rows whose numbers begin with a letter.
TITLES = {"T": "TIO: parameters", "O": "TIO: files"}
