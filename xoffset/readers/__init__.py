"""From files to labelled objects: open_stack() and open_result()."""
