"""Order statistics, by selection in place."""

from __future__ import annotations

from xoffset._kernels._jit import kernel


@kernel
def _select(values, count, first, last):
    """Put those of the first values in place that are at `first` and `last` in their order; the last is the next one.

    The values between are no smaller than those before and no larger than those behind.
    """
    low, high = 0, count - 1
    while True:
        i = _partition(values, low, high)
        if i < first:
            low = i + 1
        elif i > last:
            high = i - 1
        elif first == last:
            break
        elif i == first:
            low, first = i + 1, last
        else:
            high, last = i - 1, first


@kernel
def _partition(values, low, high):
    """Divide a part of the values by the median of its first, middle and last one; returns where that comes to lie."""
    middle = (low + high) >> 1
    if values[middle] < values[low]:
        values[low], values[middle] = values[middle], values[low]
    if values[high] < values[middle]:
        values[high], values[middle] = values[middle], values[high]
    if values[middle] < values[low]:
        values[low], values[middle] = values[middle], values[low]
    pivot = values[middle]
    values[high], values[middle] = values[middle], values[high]
    i, j = low, high - 1
    while True:
        while i < high and values[i] < pivot:
            i += 1
        while j >= low and pivot < values[j]:
            j -= 1
        if i >= j:
            break
        values[i], values[j] = values[j], values[i]
        i += 1
        j -= 1
    values[i], values[high] = values[high], values[i]
    return i


@kernel
def _median(values, count):
    """Median of the first values; they change their order."""
    middle = count >> 1
    below = middle - 1 + (count & 1)
    _select(values, count, below, middle)
    return 0.5 * (values[below] + values[middle])
