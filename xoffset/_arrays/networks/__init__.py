"""Networks of pairs: graph, observations, solver, fits."""
