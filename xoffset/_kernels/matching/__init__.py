"""Search, peaks, refinement and significance of matches."""
