"""pycorr_iceflow."""

from __future__ import annotations

from _service_rows import Row

PARAMETERS, PRODUCTS = "recipes/test_pycorr_parameters.py", "recipes/test_pycorr_products.py"
CURVATURE = "matching/test_peak_curvature.py"
_P = "xoffset.recipes.Pycorr"


def _of(number: str, name: str, test: str, more: str = "") -> Row:
    return Row(number, f"-{name}", f"{_P}.{name} {more}".strip(), f"{PARAMETERS}::{test}")


_IDLE = "test_what_has_nothing_to_do_is_told_once"
_LAYERS = f"{PRODUCTS}::test_layers_of_netcdf_hold_what_was_computed"

ROWS = [
    Row("P1", "img1_name img2_name", f"{_P}.img1_name {_P}.img2_name", f"{PARAMETERS}::test_images_are_named"),
    _of("P2", "imgdir", "test_folders_are_those_of_the_program"),
    _of("P3a", "img1dir", "test_folders_are_those_of_the_program"),
    _of("P3b", "img2dir", "test_folders_are_those_of_the_program"),
    _of("P4", "output_dir", "test_output_dir_and_names"),
    _of("P5a", "img1datestr", "test_dates_are_told"),
    _of("P5b", "img2datestr", "test_dates_are_told"),
    _of("P6", "datestrfmt", "test_dates_are_told"),
    _of("P7", "out_name_base", "test_output_dir_and_names"),
    _of("P8", "bbox", "test_bbox_is_cut_out"),
    _of("P9", "plotvmax", "test_meters_per_year_and_the_colours"),
    _of("P10", "trackvmax", "test_trackvmax_enlarges_the_search", "xoffset.search_range"),
    _of("P11", "nodatavmax", "test_a_speed_reference_shortens_it", "xoffset.search_range xoffset.open_speed"),
    _of("P12", "half_source_chip", "test_chips_and_their_distance"),
    _of("P13", "half_target_chip", "test_half_target_chip_bounds_what_is_found"),
    _of("P14", "inc", "test_chips_and_their_distance"),
    _of("P15", "gfilt_sigma", "test_high_pass"),
    _of("P16", "dcam", "test_masks_follow_the_rule"),
    _of("P17", "cam", "test_masks_follow_the_rule"),
    _of("P18", "cam1", "test_masks_follow_the_rule"),
    _of("P19a", "lgo_mask_filename", "test_mask_file_and_folder", "xoffset.masking.land_classes"),
    _of("P19b", "lgo_mask_file_dir", "test_mask_file_and_folder"),
    _of("P20", "use_itslive_land_mask_from_web", "test_tiles_of_its_live_are_fetched", "xoffset.masking.land_classes"),
    _of("P21", "VRT_dir", _IDLE),
    _of("P22", "max_allowable_pixel_offset_correction", "test_larger_offsets_are_not_applied_but_told"),
    _of("P23", "do_not_highpass_input_images", "test_high_pass"),
    _of("P24", "v", _IDLE),
    _of("P25", "mpy", "test_meters_per_year_and_the_colours"),
    _of("P26", "log10", "test_output_dir_and_names"),
    _of("P27", "nlf", "test_output_dir_and_names"),
    _of("P28", "progupdates", _IDLE),
    _of("P29", "output_geotiffs_instead_of_netCDF", "test_geotiffs_instead_of_netcdf"),
    _of("P30", "offset_correction_lgo_mask", "test_the_offset_of_land_comes_off"),
    _of("P31", "lgo_mask_limit_land_offset", "test_land_is_searched_less", "xoffset.search_range"),
    Row("P32", "-h", _P, f"{PARAMETERS}::test_help_tells_every_option"),
    *(Row(number, names, "pycorr.write", _LAYERS) for number, names in (
        ("O24a", "vx, vx_masked"), ("O24b", "vy, vy_masked"), ("O24c", "vv, vv_masked"), ("O25a", "corr"),
        ("O25b", "del_corr"),
    )),
    *(Row(number, name, "pycorr.write xoffset.NCC.curvature", f"{_LAYERS} {CURVATURE}::{test}")
      for number, name, test in (
        ("O25c", "d2idx2", "test_curvature_is_that_of_the_equation"),
        ("O25d", "d2jdx2", "test_curvature_is_that_of_the_equation"),
    )),
    *(Row(number, name, "pycorr.write", f"{PRODUCTS}::{test}") for number, name, test in (
        ("O26a", "del_i", "test_layers_of_netcdf_hold_what_was_computed"),
        ("O26b", "del_j", "test_layers_of_netcdf_hold_what_was_computed"),
        ("O27a", "lgo_mask", "test_the_mask_is_a_layer"),
        ("O27b", "offset_correction", "test_the_offset_of_land_is_told"),
        ("O27c", "image_pair_times", "test_times_of_the_pair_are_told"),
        ("O27d", "input_image_details", "test_images_are_told"),
        ("O27e", "processing_log", "test_the_log_is_in_the_file"),
    )),
    *(Row(number, name, "pycorr.write_browse",
          f"{PRODUCTS}::test_pictures_have_the_colours_of_the_speed {PRODUCTS}::test_kmz_lie_on_the_ground_with_a_bar")
      for number, name in (("O28a", "browse, linear, and KMZ"), ("O28b", "browse, log10, and KMZ"))),
    Row("O29", "GeoTIFF set", "pycorr.write_geotiffs", f"{PRODUCTS}::test_geotiffs_hold_each_layer_under_its_own_name"),
]  # fmt: skip
# Numbers that must be there.
WANTED = [
    "P1", "P2", "P3a", "P3b", "P4", "P5a", "P5b", *(f"P{k}" for k in range(6, 19)), "P19a", "P19b",
    *(f"P{k}" for k in range(20, 33)), "O24a", "O24b", "O24c", *(f"O25{k}" for k in "abcd"), "O26a", "O26b",
    *(f"O27{k}" for k in "abcde"), "O28a", "O28b", "O29",
]  # fmt: skip
# Headings of the rows whose numbers begin with a letter.
TITLES = {"P": "pycorr_iceflow: options", "O": "pycorr_iceflow: files"}
