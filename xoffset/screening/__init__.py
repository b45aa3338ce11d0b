"""Which matches are doubtful: screen()."""
