"""Claims of xoffset made checkable: published cases, experiments with known truth, and a head to head with peers."""
