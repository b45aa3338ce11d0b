"""What a process needs before it compiles anything, loaded once for all that are forked from it; see `forked`."""

import numba

# numba knows its types and its compiler only after the first function
numba.njit(lambda x: x + 1)(1)
