"""A product on disk, written so that a run that is stopped can go on."""

from __future__ import annotations

import os

import xarray as xr

from xoffset import _options
from xoffset.pipeline.places import as_place
from xoffset.pipeline.progress import Report, as_report
from xoffset.pipeline.writing import Job, inputs_of, write_store


def to_zarr(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Report | bool | None = None,
) -> xr.Dataset:
    """Product written to a Zarr store tile by tile, and opened from there; a stopped call goes on where it was.

    Parameters
    ----------
    dataset
        Shifts, a series, a rate or another product (..., y, x), lazy or in memory. A tile is a dask block along y and
        x, with all of its pairs or dates; it is one task and one file of each variable.
    path
        Folder of the store. Until it is complete it lies beside that, as ``NAME.part``. Or an address that fsspec
        knows, such as ``"s3://bucket/NAME"``: a store there lies in its place from the start, and says itself whether
        it is complete.
    resume
        Go on with what an earlier call left there, and do nothing if it is complete. Without it, what is there is
        refused.
    progress
        Called after each tile with `stage`, `done`, `total`, `new`, `seconds`, `rate` and `left`: tiles done and all,
        those of this call, its seconds, tiles a second, and the seconds that the rest will take; and now and then with
        `waits` while a cluster has no worker. True draws a bar, with tqdm. Without it, a line in the log now and then.
        What the function raises stops the call and reaches the caller; what is written is safe.

    Returns
    -------
    xarray.Dataset
        The product as `open_result` opens it, lazy, with the same bits as if nothing had stopped it.

    Raises
    ------
    BlockingIOError
        If another process writes the same store.
    FileExistsError
        If there is something and `resume` is False.
    OSError
        If the disk is full or read-only, or tiles could not be computed; these are named, all others are safe, and the
        next call with `resume` tries them again.
    TypeError
        If it is no Dataset, `resume` is neither True nor False, or `progress` no function.
    ValueError
        If it has no y and x, or if what is there was made with other parameters, dates, grid or version, which are
        named. Values are compared if they are in memory; of lazy ones nothing is known before they are computed.

    Examples
    --------
    >>> import tempfile, xoffset, xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rate = xoffset.to_zarr(truth[["vx", "vy"]], f"{folder}/rate.zarr", resume=True).load()
    >>> rate.identical(truth[["vx", "vy"]])
    True
    """
    resume = _options.as_switch(resume, "resume", "to_zarr")
    report = as_report(progress, "to_zarr")
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(
            f"to_zarr() needs a product, a Dataset; got {type(dataset).__name__}. Write a stack with "
            "stack.to_zarr(path)."
        )
    maps = [name for name, each in dataset.data_vars.items() if each.dims[-2:] == ("y", "x")]
    if not maps:
        raise ValueError(
            f"to_zarr() needs variables on a grid, (..., y, x); got dims {tuple(dataset.dims)}. Write it with xarray: "
            "dataset.to_zarr(path, consolidated=False)."
        )
    place = as_place(path, "to_zarr")
    there = [each for each in (place, place.with_name(f"{place.name}.part")) if each.exists()]
    if there and not resume:
        raise FileExistsError(
            f"to_zarr() needs a path where nothing is; got {place}, where there is {there[0].name}. Pass resume=True "
            "to go on with it, or remove it."
        )
    found = write_store(dataset, place, Job("to_zarr", place.name, inputs_of(dataset), report=report))
    assert found is not None  # there is no other part
    return found
