"""Which images are matched with which: pairs(), plan() and diagnose()."""
