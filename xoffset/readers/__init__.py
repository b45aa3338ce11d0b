"""From files to labelled objects: stacks, results, and what scenes know beside their pixels."""
