"""Weighted least squares of a few terms for two components, and what the data tell of each term."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel

# Squared sine of the angle between a term and those before it under which the data do not tell them apart.
DEPENDENT = 1e-10


@kernel
def _factor(normal, lower, scale, is_base):
    """Cholesky factor of the normal matrix with a unit diagonal, without the terms that depend on those before them.

    The row of a term left out holds what it is made of.
    """
    for j in range(scale.size):
        scale[j] = 1.0 / np.sqrt(normal[j, j]) if normal[j, j] > 0.0 else 0.0
        rest = 1.0
        for i in range(j):
            lower[j, i] = 0.0
            if is_base[i]:
                value = normal[j, i] * scale[j] * scale[i]
                for k in range(i):
                    value -= lower[j, k] * lower[i, k]
                lower[j, i] = value / lower[i, i]
                rest -= lower[j, i] * lower[j, i]
        is_base[j] = scale[j] > 0.0 and rest > DEPENDENT
        lower[j, j] = np.sqrt(rest) if is_base[j] else 0.0
        if not is_base[j]:
            # a term left out must not enter the rows after it
            for k in range(j + 1, scale.size):
                lower[k, j] = 0.0


@kernel
def _back(lower, is_base, x):
    """Solve with the transpose of the factor, in place."""
    for i in range(x.size - 1, -1, -1):
        if is_base[i]:
            for k in range(i + 1, x.size):
                if is_base[k]:
                    x[i] -= lower[k, i] * x[k]
            x[i] /= lower[i, i]


@kernel
def _solve(lower, scale, is_base, x):
    """Solve with the factor of `_factor`, in place; terms left out are zero."""
    for i in range(x.size):
        if is_base[i]:
            x[i] *= scale[i]
            for k in range(i):
                if is_base[k]:
                    x[i] -= lower[i, k] * x[k]
            x[i] /= lower[i, i]
        else:
            x[i] = 0.0
    _back(lower, is_base, x)
    for i in range(x.size):
        x[i] *= scale[i]


@kernel
def _least_squares(design, rows, observed, base, weight, matrices, scale, is_base, solution):
    """Weighted least squares for both components.

    Leaves the normal matrix, its inverse and its factor in `matrices`: of the terms that are not left out, the inverse
    is zero elsewhere.
    """
    normal, inverse, lower = matrices[0], matrices[1], matrices[2]
    terms = scale.size
    for i in range(terms):
        solution[0, i], solution[1, i] = 0.0, 0.0
        for j in range(terms):
            normal[i, j] = 0.0
            inverse[i, j] = 1.0 if i == j else 0.0
    if terms == 1:
        # a line through the origin is the usual case, and three sums are all it needs
        total, along_x, along_y = 0.0, 0.0, 0.0
        for k in range(rows.size):
            g = design[rows[k], 0]
            pull = base[k] * weight[k] * g
            total += pull * g
            along_x += pull * observed[0, k]
            along_y += pull * observed[1, k]
        normal[0, 0], solution[0, 0], solution[1, 0] = total, along_x, along_y
    else:
        for k in range(rows.size):
            strength = base[k] * weight[k]
            if strength == 0.0:
                continue
            for i in range(terms):
                pull = strength * design[rows[k], i]
                if pull != 0.0:
                    for j in range(i + 1):
                        normal[i, j] += pull * design[rows[k], j]
                    solution[0, i] += pull * observed[0, k]
                    solution[1, i] += pull * observed[1, k]
    for i in range(terms):
        for j in range(i):
            normal[j, i] = normal[i, j]
    _factor(normal, lower, scale, is_base)
    # the rows of the inverse, then both components
    for i in range(terms + 2):
        x = inverse[i] if i < terms else solution[i - terms]
        _solve(lower, scale, is_base, x)
        if i < terms and not is_base[i]:
            for j in range(terms):
                inverse[i, j] = 0.0


@kernel
def _form(matrix, table, p):
    """Quadratic form of a symmetric matrix and a row of a table; a slice in a loop would cost more than its use."""
    total = 0.0
    for i in range(table.shape[1]):
        value = table[p, i]
        if value != 0.0:
            total += matrix[i, i] * value * value
            for j in range(i):
                total += 2.0 * matrix[i, j] * value * table[p, j]
    return total


@kernel
def _residual(design, p, observed, solution, axis, k):
    value = observed[axis, k]
    for i in range(design.shape[1]):
        value -= design[p, i] * solution[axis, i]
    return value


@kernel
def _squared_length(design, p, observed, solution, k):
    """Of the residual along x and y."""
    total = 0.0
    for axis in range(2):
        value = _residual(design, p, observed, solution, axis, k)
        total += value * value
    return total


@kernel
def _tell(lower, is_base, mix, is_known):
    """Which terms the data determine: those that no combination without effect contains."""
    terms = is_base.size
    for j in range(terms):
        is_known[j] = is_base[j]
    for j in range(terms):
        if is_base[j]:
            continue
        for k in range(terms):
            mix[k] = lower[j, k] if k < j and is_base[k] else 0.0
        _back(lower, is_base, mix)
        for k in range(terms):
            if is_base[k] and abs(mix[k]) > 1e-6:
                is_known[k] = False
