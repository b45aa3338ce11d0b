"""What nodes say alike: products of values at nodes so many rows or columns apart."""

from __future__ import annotations

from xoffset._kernels._jit import kernel


@kernel
def products(value, nodes, number, along, size, lag, step):
    """Sum of the products of values at nodes and at those `lag` farther, and how many nodes have such a neighbour.

    Parameters
    ----------
    value
        (component, node).
    nodes
        (node,) place of each node in the grid, counted along its rows, ascending.
    number
        (place,) number of the node at a place of the grid, -1 where none is.
    along, size
        (node,) row or column of each node, and how many of these the grid has.
    lag, step
        Rows or columns to the neighbour, and places from one of them to the next.

    Returns
    -------
    total : float
        Of all components.
    count : int
    """
    total, count = 0.0, 0
    for k in range(nodes.size):
        if along[k] + lag >= size:
            continue
        neighbour = number[nodes[k] + lag * step]
        if neighbour < 0:
            continue
        for component in range(value.shape[0]):
            total += value[component, k] * value[component, neighbour]
        count += 1
    return total, count
