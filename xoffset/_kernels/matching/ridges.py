"""How much hold windows have along ridges, where most of the slope is noise."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import lean_kernel

# Least share of the slopes that both images have in common: small windows measure it badly.
LEAST_AGREEMENT = 0.1
# Ratio of squared slopes in two directions above which the weaker is judged by itself; ordinary ground is below 2.
ELONGATED = 4.0


@lean_kernel
def weakest_hold(template, moved, gain, share, out):
    """Direction (x, y) of the least slopes, and how many times less of them than `share` both images have.

    Along a ridge most slope may be noise, which the share over both directions does not tell. 1 where the window's
    slopes point every way.
    """
    zero, one = out.dtype.type(0.0), out.dtype.type(1.0)
    xx, xy, yy = template.sums[3], template.sums[4], template.sums[5]
    out[0], out[1], out[2] = 0, 0, 1
    size, pitch = template.size, template.pitch
    half = (xx - yy) / 2
    apart = np.sqrt(half * half + xy * xy)
    if size < 5 or (xx + yy) / 2 + apart < ELONGATED * ((xx + yy) / 2 - apart):
        return
    # of the two forms of the eigenvector, the one that is no difference of like numbers
    along_x, along_y = (xy, -half - apart) if half > 0 else (half - apart, xy)
    length = np.sqrt(along_x * along_x + along_y * along_y)
    along_x, along_y = along_x / length, along_y / length
    near, far = one * 2 / 3, one / 12
    common, own = zero, zero
    for i in range(2, size - 2):
        for j in range(2, size - 2):
            k = i * pitch + j
            other_x = near * (moved[k + 1] - moved[k - 1]) - far * (moved[k + 2] - moved[k - 2])
            other_y = near * (moved[k + pitch] - moved[k - pitch]) - far * (moved[k + 2 * pitch] - moved[k - 2 * pitch])
            slope = along_x * template.slope_x[k] + along_y * template.slope_y[k]
            common += slope * (along_x * other_x + along_y * other_y)
            own += slope * slope
    least = max(gain * common / max(own, one * 1e-30), one * LEAST_AGREEMENT)
    out[0], out[1], out[2] = along_x, along_y, max(share / least, one)


@lean_kernel
def loosen(weak, match):
    """Widen the covariance match[3:6] along the direction of `weakest_hold`."""
    x, y, more = weak[0], weak[1], weak[2] - 1
    if more == 0:
        return
    xx, xy, yy = 1 + more * x * x, more * x * y, 1 + more * y * y
    a, b, c = match[3], match[5], match[4]
    match[3] = xx * xx * a + 2 * xx * xy * b + xy * xy * c
    match[4] = xy * xy * a + 2 * xy * yy * b + yy * yy * c
    match[5] = xx * xy * a + (xx * yy + xy * xy) * b + xy * yy * c
