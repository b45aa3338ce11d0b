"""Networks of pairs and series of dates: systems, losses, variances, fits."""
