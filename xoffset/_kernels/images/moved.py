"""Images moved by a displacement that varies smoothly over them."""

from __future__ import annotations

import numpy as np

from xoffset._kernels._jit import kernel


@kernel
def _weights(fraction):
    """Weights of the four pixels around a point that lies `fraction` behind the second: cubic convolution."""
    far, near = 1.0 + fraction, fraction
    first = ((-0.5 * far + 2.5) * far - 4.0) * far + 2.0
    second = (1.5 * near - 2.5) * near * near + 1.0
    near, far = 1.0 - fraction, 2.0 - fraction
    third = (1.5 * near - 2.5) * near * near + 1.0
    last = ((-0.5 * far + 2.5) * far - 4.0) * far + 2.0
    return first, second, third, last


@kernel
def _polynomial(terms, u, v):
    """Value of a polynomial of order 2: 1, u, v, u², uv, v²."""
    return terms[0] + terms[1] * u + terms[2] * v + terms[3] * u * u + terms[4] * u * v + terms[5] * v * v


@kernel
def _value(image, i, j, of_rows, of_columns):
    """Weighted sum of 4 x 4 pixels of which (i, j) is the first; pixels of no weight are not looked at."""
    height, width = image.shape
    total = 0.0
    for k, of_row in enumerate(of_rows):
        if of_row == 0.0:
            continue
        line = 0.0
        for m, of_column in enumerate(of_columns):
            if of_column == 0.0:
                continue
            if 0 <= i + k < height and 0 <= j + m < width:
                line += of_column * np.float64(image[i + k, j + m])
            else:
                line = np.nan
        total += of_row * line
    return total


@kernel
def _are_all(weights):
    """Whether no weight is zero."""
    return weights[0] != 0.0 and weights[1] != 0.0 and weights[2] != 0.0 and weights[3] != 0.0


@kernel
def _value_inside(image, i, j, of_rows, of_columns):
    """As `_value`, where all pixels have a weight and lie in the image: the same sums in the same order."""
    c0, c1, c2, c3 = of_columns
    total = 0.0
    for k, of_row in enumerate(of_rows):
        line = image[i + k]
        part = c0 * np.float64(line[j])
        part += c1 * np.float64(line[j + 1])
        part += c2 * np.float64(line[j + 2])
        part += c3 * np.float64(line[j + 3])
        total += of_row * part
    return total


@kernel
def resample(image, top, left, u, v, along_x, along_y, out):
    """Image seen through a displacement: each pixel has the value of the place that lies so far from it.

    Cubic convolution (Keys 1981, IEEE Trans. Acoust., Speech, Signal Process. 29, 1153-1160), which keeps the values
    where the displacement is whole pixels.

    Parameters
    ----------
    image
        (rows, columns), NaN where nothing is known.
    top, left
        Row and column of the image at which the first pixel of `out` lies.
    u, v
        (columns,) and (rows,) coordinates of the pixels of `out`.
    along_x, along_y
        (6,) displacement along columns and rows [pixel], as polynomials of u and v.
    out
        (rows, columns), NaN where a pixel that the value needs is unknown or lies beyond the image.
    """
    height, width = image.shape
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            right = _polynomial(along_x, u[column], v[row])
            down = _polynomial(along_y, u[column], v[row])
            if not (np.abs(right) < 1e9 and np.abs(down) < 1e9):
                out[row, column] = np.nan
                continue
            # whole pixels and the rest apart: the same bits wherever the image is cut
            first_row, first_column = np.floor(down), np.floor(right)
            of_columns, of_rows = _weights(right - first_column), _weights(down - first_row)
            i = row + top + int(first_row) - 1
            j = column + left + int(first_column) - 1
            if _are_all(of_rows) and _are_all(of_columns) and i >= 0 and j >= 0 and i + 3 < height and j + 3 < width:
                out[row, column] = _value_inside(image, i, j, of_rows, of_columns)
            else:
                out[row, column] = _value(image, i, j, of_rows, of_columns)
