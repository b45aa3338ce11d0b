"""How well a network of pairs holds together."""

from __future__ import annotations

import xarray as xr

from xoffset._arrays.networks import graph
from xoffset.model import checks, history, products, variables
from xoffset.model.dates import as_dates


def diagnose(network: xr.Dataset) -> xr.Dataset:
    """How well a network of pairs holds together: its components and the redundancy of each date.

    Parameters
    ----------
    network
        Pairs (pair), from `pairs` or any product with dim `pair`.

    Returns
    -------
    xarray.Dataset
        On `time`: `n_pairs`, the number of pairs of the date (1: no check is possible), and `component`, the number of
        the group of dates it is connected with. Without dims: `n_components`; more than 1 means that no displacement
        can be told between the groups. `redundancy`: pairs per unknown displacement, 1 means that nothing is checked.

    Raises
    ------
    ValueError
        If the network has no pairs.

    Examples
    --------
    >>> import xoffset, xoffset.synthetic
    >>> stack, _ = xoffset.synthetic.stack((64, 64), dates=["2020-01-01", "2020-02-01", "2020-03-01"])
    >>> int(xoffset.diagnose(xoffset.pairs(stack)).n_components)
    1
    """
    network = checks.check_pairs(network, "diagnose")
    reference, secondary = (as_dates(network[name].values) for name in ("reference", "secondary"))
    epochs, ends = graph.incidence(reference, secondary)
    component = graph.components(epochs.size, ends)
    groups = int(component.max()) + 1
    together = graph.undirected(ends)
    found = {
        "n_pairs": graph.degree(epochs.size, together),
        "component": component,
        "n_components": groups,
        "redundancy": len(together) / (epochs.size - groups),
    }
    table = variables.DIAGNOSIS
    labelled = {name: (table[name].dims, values, products.attrs_of(table[name])) for name, values in found.items()}
    attrs = {"Conventions": "CF-1.11", "processing": history.processed(network, {"function": "diagnose"})}
    return products.finish(xr.Dataset(labelled, coords={"time": epochs}, attrs=attrs))
