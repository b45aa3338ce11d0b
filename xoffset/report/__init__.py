"""One page of HTML that judges a run: what it is worth, where it failed, what moves."""
