"""Order statistics, by selection in place."""

from __future__ import annotations

from xoffset._kernels._jit import kernel


@kernel
def _select(values, first, last):
    """Put the values in place that are at `first` and `last` in their order; the last is the same or the next one.

    The values are divided by the median of their first, middle and last one, and so is the part with the wanted ones.
    """
    low, high = 0, values.size - 1
    while True:
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
        # the pivot is where it belongs
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
def _median(values):
    """Median; the values change their order."""
    middle = values.size >> 1
    below = middle - 1 + (values.size & 1)
    _select(values, below, middle)
    return 0.5 * (values[below] + values[middle])
