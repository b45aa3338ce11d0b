"""Normal equations of a sum of terms, most of which are zero at most places."""

from __future__ import annotations

from xoffset._kernels._jit import kernel


@kernel
def normal_equations(dense, steps, signs, weight, value, out):
    """Weighted products of all terms with each other and with a value, summed over nodes.

    Each node has values of the dense terms, and of each kind of steps one, which counts 1 or -1; all other steps are 0.

    Parameters
    ----------
    dense
        (node, term).
    steps
        (kind, node) column of the step that the node has.
    signs
        (kind,) 1 or -1.
    weight, value
        (node,).
    out
        (column, column + 1): dense terms first, then the steps, in the last column the products with the value.
    """
    out[:] = 0.0
    last = out.shape[0]
    number = dense.shape[1]
    kinds = steps.shape[0]
    for i in range(weight.size):
        w = weight[i]
        if w == 0.0:
            continue
        here = w * value[i]
        for k in range(number):
            part = w * dense[i, k]
            for j in range(k + 1):
                out[k, j] += part * dense[i, j]
            out[k, last] += dense[i, k] * here
        for s in range(kinds):
            column, sign = steps[s, i], signs[s]
            for j in range(number):
                out[column, j] += sign * w * dense[i, j]
            for t in range(s):
                out[column, steps[t, i]] += sign * signs[t] * w
            out[column, column] += w
            out[column, last] += sign * here
    for k in range(last):
        for j in range(k):
            out[j, k] = out[k, j]
