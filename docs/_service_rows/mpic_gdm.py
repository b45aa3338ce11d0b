"""MPIC-OPT, GDM-OPT-ETQ, GDM-OPT-SLIDE and GDM-OPT-ICE."""

from __future__ import annotations

from _service_rows import Row

MPIC, PARAMETERS, PRODUCTS = "recipes/test_mpic.py", "recipes/test_gdm_parameters.py", "recipes/test_gdm_products.py"
FAULTS = "recipes/test_gdm_faults.py"
_MPIC = "xoffset.recipes.MpicOpt"
_ETQ, _SLIDE, _ICE = (f"xoffset.recipes.GdmOpt{name}" for name in ("Etq", "Slide", "Ice"))
_FILES = f"{PRODUCTS}::test_files_hold_what_was_computed"
_SAFE = f"{PARAMETERS}::test_bands_orbits_regions_classes_and_detectors_of_products"
_ALL = f"{PARAMETERS}::test_apply_correction_and_filtering_switches_all_of_it"

ROWS = [
    Row("M1", "Sentinel-2 band", f"{_MPIC}.band", f"{MPIC}::test_band_is_that_of_the_products"),
    Row("M2", "Sentinel-2 tile", f"{_MPIC}.tile", f"{MPIC}::test_tile_is_one_of_several"),
    Row("M3", "Split date", f"{_MPIC}.split_date", f"{MPIC}::test_split_date_parts_the_series_and_is_of_its_end"),
    Row("M4", "Temporal matching range", f"{_MPIC}.temporal_matching_range",
        f"{MPIC}::test_temporal_matching_range_counts_previous_images"),
    Row("M5", "Activate backward matching", f"{_MPIC}.activate_backward_matching",
        f"{MPIC}::test_backward_matching_turns_each_pair"),
    Row("M6", "Window size", f"{_MPIC}.window_size", f"{MPIC}::test_window_size_averages"),
    Row("M7", "Decorrelation threshold", f"{_MPIC}.decorrelation_threshold",
        f"{MPIC}::test_decorrelation_threshold_discards"),
    Row("M8", "Spatial matching range", f"{_MPIC}.spatial_matching_range",
        f"{MPIC}::test_spatial_matching_range_bounds_what_is_found"),
    Row("M9", "Regularization parameter", f"{_MPIC}.regularization_parameter",
        f"{MPIC}::test_regularization_smooths"),
    Row("G1", "DEM", f"{_ETQ}.dem xoffset.open_dem", f"{PARAMETERS}::test_slopes_of_the_interval_are_removed"),
    Row("G2", "Sentinel-2 band", f"{_ETQ}.band", _SAFE),
    Row("G3", "Split date", f"{_ETQ}.split_date", f"{PARAMETERS}::test_split_date_makes_pairs_across_it_alone"),
    Row("G4", "Minimum matching range", f"{_ETQ}.minimum_matching_range",
        f"{PARAMETERS}::test_matching_ranges_count_acquisitions"),
    Row("G5", "Maximum matching range", f"{_ETQ}.maximum_matching_range",
        f"{PARAMETERS}::test_matching_ranges_count_acquisitions"),
    Row("G6", "Matching direction", f"{_ETQ}.matching_direction",
        f"{PARAMETERS}::test_backward_pairs_have_the_later_date_first"),
    Row("G7", "Window size", f"{_ETQ}.window_size", f"{PARAMETERS}::test_window_size_is_half_a_side"),
    Row("G8", "Decorrelation threshold", f"{_ETQ}.decorrelation_threshold",
        f"{PARAMETERS}::test_decorrelation_threshold_discards_low_scores"),
    Row("G9", "Spatial matching range", f"{_ETQ}.spatial_matching_range",
        f"{PARAMETERS}::test_spatial_matching_range_limits_the_search"),
    Row("G10", "Regularization parameter", f"{_ETQ}.regularization_parameter",
        f"{PARAMETERS}::test_regularization_parameter_smooths"),
    Row("G11", "Use a direction for regularization", f"{_ETQ}.use_a_direction_for_regularization",
        f"{FAULTS}::test_teta0_counts_from_east_clockwise"),
    Row("G12", "Direction of the fault plane / Teta0", f"{_ETQ}.teta0",
        f"{FAULTS}::test_teta0_counts_from_east_clockwise"),
    Row("G13", "Snow mask", f"{_ETQ}.snow_mask", f"{PARAMETERS}::test_snow_and_cloud_masks_and_water_always"),
    Row("G14", "Cloud mask", f"{_ETQ}.cloud_mask", f"{PARAMETERS}::test_snow_and_cloud_masks_and_water_always"),
    Row("G15a", "Slope mask range minimum", f"{_ETQ}.slope_mask_range_minimum",
        f"{PARAMETERS}::test_slopes_of_the_interval_are_removed"),
    Row("G15b", "Slope mask range maximum", f"{_ETQ}.slope_mask_range_maximum",
        f"{PARAMETERS}::test_slopes_of_the_interval_are_removed"),
    Row("G16", "Apply correction and filtering", f"{_ETQ}.apply_correction_and_filtering", _ALL),
    Row("G17", "Apply correction and filtering (jitter)", f"{_ETQ}.apply_jitter_correction",
        f"{PARAMETERS}::test_jitter_comes_off_where_it_is_asked_for"),
    Row("X1", "Matching mode", f"{_SLIDE}.matching_mode", f"{PARAMETERS}::test_matching_ranges_may_count_days"),
    Row("X2", "Sentinel-2 relative orbit", f"{_SLIDE}.sentinel_2_relative_orbit", _SAFE),
    Row("X3", "Region of interest", f"{_SLIDE}.region_of_interest", _SAFE),
    Row("X4", "MicMac or GeFolki", f"{_SLIDE}.matcher {_ETQ}.matcher",
        f"{PARAMETERS}::test_gefolki_has_parameters_of_its_own"),
    Row("X5", "Sub-pixel matching", f"{_SLIDE}.sub_pixel_matching xoffset.whole_pixels",
        f"{PARAMETERS}::test_sub_pixel_matching_off_leaves_whole_pixels"),
    Row("X6", "GeFolki radius", f"{_SLIDE}.radius", f"{PARAMETERS}::test_gefolki_has_parameters_of_its_own"),
    Row("X7", "GeFolki levels", f"{_SLIDE}.levels", f"{PARAMETERS}::test_gefolki_has_parameters_of_its_own"),
    Row("X8", "GeFolki iteration", f"{_SLIDE}.iteration", f"{PARAMETERS}::test_gefolki_has_parameters_of_its_own"),
    Row("X9", "GeFolki rank", f"{_SLIDE}.rank", f"{PARAMETERS}::test_gefolki_has_parameters_of_its_own"),
    Row("X10", "Glacier mask and buffer",
        f"{_ICE}.glacier_mask {_ICE}.buffer_outside_glacier_extent {_ICE}.glacier_outlines",
        f"{PARAMETERS}::test_glaciers_are_matched_inside_their_outlines"),
    Row("X11", "Topographic shadow", f"{_SLIDE}.topographic_shadow",
        f"{PARAMETERS}::test_topographic_shadow_is_masked"),
    Row("X12", "Deramping", f"{_SLIDE}.deramping", f"{PARAMETERS}::test_deramping_takes_a_plane_off"),
    Row("X13", "Along-track destriping and its value",
        f"{_SLIDE}.along_track_destriping {_SLIDE}.along_track_destriping_value xoffset.destripe", _SAFE),
    Row("X14", "Across-track destriping", f"{_SLIDE}.across_track_destriping",
        f"{PARAMETERS}::test_jitter_comes_off_where_it_is_asked_for"),
    Row("X15", "Displacement amplitude threshold", f"{_SLIDE}.displacement_amplitude_threshold",
        f"{PARAMETERS}::test_amplitude_threshold_is_in_pixels"),
    Row("X16", "Displacement direction, maximum angle deviation",
        f"{_SLIDE}.displacement_direction {_SLIDE}.maximum_angle_deviation",
        f"{PARAMETERS}::test_direction_filter_follows_the_slope"),
    Row("X17", "Motion analysis", f"{_SLIDE}.motion_analysis",
        f"{PARAMETERS}::test_motion_analysis_and_tio_may_be_left_out"),
    Row("X18", "Run TIO", f"{_SLIDE}.run_tio", f"{PARAMETERS}::test_motion_analysis_and_tio_may_be_left_out"),
    Row("X19", "Inversion weight", f"{_SLIDE}.inversion_weight",
        f"{PARAMETERS}::test_weights_of_the_inversion_have_an_effect"),
    Row("X20", "Discard pairs, discarding threshold",
        f"{_SLIDE}.discard_pairs {_SLIDE}.discarding_threshold xoffset.discard_pairs",
        f"{PARAMETERS}::test_pairs_are_discarded_by_their_masked_share"),
    Row("X21", "Correlation weighting", f"{_SLIDE}.correlation_weighting",
        f"{PARAMETERS}::test_weights_of_the_inversion_have_an_effect"),
    Row("O1", "cloud_masks_assembled", "mpic.write_masks", f"{MPIC}::test_masks_are_those_of_the_service"),
    *(Row(number, name, place, f"{MPIC}::test_products_are_those_of_the_service") for number, name, place in (
        ("O2", "Px1", "mpic.write"), ("O3", "Px2", "mpic.write"), ("O4", "Correl", "mpic.write"),
        ("O5", "vector_coherence", "mpic.write_indicators"), ("O6", "mean_displacement", "mpic.write_indicators"),
        ("O7", "mean_veloc_ew", "mpic.write_indicators"), ("O8", "mean_veloc_ns", "mpic.write_indicators"),
    )),
    Row("O9", "previews", "mpic.write_previews", f"{MPIC}::test_previews_are_drawn"),
    *(Row(number, name, place, _FILES) for number, name, place in (
        ("O10", "MM_Mean_displ_magnitude", "gdm.write_analysis"),
        ("O11a", "MM_Mean_displacement_EW", "gdm.write_analysis"),
        ("O11b", "MM_Mean_displacement_NS", "gdm.write_analysis"), ("O12", "MM_Quality", "gdm.write_analysis"),
        ("O13a", "MM_EW_displ, corrected", "gdm.write"), ("O13b", "MM_NS_displ, corrected", "gdm.write"),
        ("O14a", "MM_EW_displ, FILTER_Displmax", "gdm.write"), ("O14b", "MM_NS_displ, FILTER_Displmax", "gdm.write"),
        ("O15", "MM_Corr", "gdm.write"), ("O16", "decorrel_mask", "gdm.write_decorrelation"),
        ("O17", "spectral_mask", "gdm.write_classes"), ("O18", "slope_mask_mask", "gdm.write_slopes"),
    )),
    *(Row(number, f"folder {name}", place, f"{PRODUCTS}::test_folders_are_those_of_the_service")
      for number, name, place in (
        ("O19a", "Analysis", "gdm.write_analysis"), ("O19b", "Displacements", "gdm.write"),
        ("O19c", "Masks", "gdm.write_classes"), ("O19d", "Preview", "gdm.write_previews"),
    )),
    Row("O20", "MM_Mean_velocity magnitude, EW, NS", "gdm.write_analysis", _FILES),
    Row("O21", "chord diagram", "gdm.write_chord", f"{PRODUCTS}::test_folders_are_those_of_the_service"),
    Row("O22", "TIO mean velocity", "gdm.write_analysis", _FILES),
    Row("O23", "displacement time series, Inversion.tgz", "gdm.write_series",
        f"{PRODUCTS}::test_series_are_a_table_and_an_archive"),
]  # fmt: skip
# Numbers that must be there.
WANTED = [
    *(f"M{k}" for k in range(1, 10)), *(f"G{k}" for k in range(1, 15)), "G15a", "G15b", "G16", "G17",
    *(f"X{k}" for k in range(1, 22)), *(f"O{k}" for k in range(1, 11)), "O11a", "O11b", "O12", "O13a", "O13b", "O14a",
    "O14b", *(f"O{k}" for k in range(15, 19)), "O19a", "O19b", "O19c", "O19d", *(f"O{k}" for k in range(20, 24)),
]  # fmt: skip
# Headings of the rows whose numbers begin with a letter.
TITLES = {
    "M": "MPIC-OPT: parameters",
    "G": "GDM-OPT-ETQ: parameters",
    "X": "GDM-OPT-SLIDE and -ICE: further parameters",
    "O": "MPIC-OPT and GDM-OPT: files",
}
