"""Stacks of images from the items of a catalogue (STAC)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, get_args

import numpy as np
import xarray as xr

from xoffset import _options
from xoffset._blocks import threads
from xoffset.model.dates import Date
from xoffset.readers import selection, stacking
from xoffset.readers.grids import Bounds
from xoffset.readers.patience import Modify
from xoffset.readers.pixels import Align
from xoffset.readers.scenes import Layer, as_tiles
from xoffset.readers.stac import area as areas
from xoffset.readers.stac import assets, images, report, times
from xoffset.readers.stac import items as catalogue
from xoffset.readers.stac.area import Area
from xoffset.readers.stac.assets import Asset
from xoffset.readers.stac.images import ItemImage, parts_of
from xoffset.readers.stac.items import WORKERS, Item, Query, Source
from xoffset.readers.stac.report import Account
from xoffset.readers.stac.scenes import Told, band_of, date_of, scale_of, told_by, with_refinement
from xoffset.readers.stac.times import Season
from xoffset.readers.stacking import Chunks

Interval = str | Date | Sequence[Date | None]


def open_stac(
    items: Source,
    *,
    band: str,
    collection: str | Iterable[str] | None = None,
    tile: str | Iterable[str] | None = None,
    orbit: int | Iterable[int] | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    datetime: Interval | None = None,
    season: tuple[str, str] | None = None,
    max_cloud: float | None = None,
    max_cloud_scene: float | None = None,
    one_a_year: bool = False,
    refinement: bool = False,
    modify: Modify | None = None,
    nodata: float | None = None,
    align: Align | None = None,
    chunks: Chunks | None = None,
) -> xr.DataArray:
    """Stack of images (time, y, x) from the items of a catalogue (STAC), sorted by time, as `open_stack` makes it.

    Pixel values are those of the files, neither scaled nor interpolated; only `align` resamples. What the items tell of
    grids and types is enough to plan the stack, and is checked against each file when its pixels are read; only of
    items that do not tell the headers of files are read before. A request that fails for the moment is tried four
    times. GDAL takes its usual variables, such as ``AWS_REQUEST_PAYER`` or ``GDAL_HTTP_HEADERS``.

    Parameters
    ----------
    items
        Address or path of an API, a catalogue, a collection of items or an item; or items that were read: mappings,
        objects of pystac, a search of pystac-client; or a list of any of these. To search an API takes the `stac`
        extra, `collection` and a `bbox` in degrees.
    band
        Name of the file ("B04", "nbart_red"), or of the band in it, or its common name ("red").
    collection
        Collections wanted. Items of several are refused unless all are named.
    tile
        Tiles wanted, such as "31TGK", or path and row of Landsat, "063018". Several tiles of one pass become one image.
    orbit
        Relative orbits wanted, of Landsat paths. Items must otherwise be of one orbit for each kind of satellite.
    bbox
        (west, south, east, north) in degrees (WGS 84) if all four are within ±180 and ±90, else (xmin, ymin, xmax,
        ymax) in metres of the CRS of the stack. Pixels whose centres lie inside are read; of degrees, inside of the
        smallest box in metres that holds all of it. Items that do not show it are left out.
    datetime
        Interval of dates, UTC: "2018-06-01/2021-09-30", "2020/..", or two dates. A day, a month or a year counts as a
        whole.
    season
        First and last day of the year, month and day: ("06-15", "09-30"). It may go over the new year.
    max_cloud
        Largest share of the area that clouds hide [%], counted in the items' own layers of classes (SCL, QA_PIXEL,
        Fmask) within `bbox`, of the pixels that hold a class; clouds are those of `masking.classes`. Without such a
        layer, and without `bbox`, the cloud cover of the scene as the item tells it.
    max_cloud_scene
        Largest cloud cover of the scene as a whole, as the item tells it [%]; items that tell none are kept.
    one_a_year
        Keep one image a year, those whose days of the year spread least: sun and snow are then alike. Of a season over
        the new year the year is that of its first day.
    refinement
        Read whether the geometry of each image was tied to reference images from the metadata of its data strip, where
        an item of Sentinel-2 names them: a request of up to a megabyte for each.
    modify
        Function that takes the address of a file and returns it signed, such as ``planetary_computer.sign``; called
        each time that a file is read, since signatures expire.
    nodata
        Value that means "no data", in place of the one that the files or items declare.
    align
        How to resample, once, the files that do not lie on the grid that most share: "cubic", or "nearest".
    chunks
        Side of the dask blocks along y and x [px], or a mapping of both. Without it all pixels are read at once.

    Returns
    -------
    xarray.DataArray
        Pixel values (time, y, x), float32 or float64, NaN where there is no data, with the coordinates of `open_stack`
        as far as all items tell them, and with `collection`, `processing_baseline`, `refinement` ("refined", "not
        refined" or "unknown") and `cloud_cover` [%] of each date. The attribute `selection` (JSON) is the report:
        how many images, of how many passes, collections, baselines and refinement; passes of the satellites that have
        no item; years without an image; and what was left out, by reason.

    Raises
    ------
    FileNotFoundError
        If there is no file of that name.
    ImportError
        If an API is to be searched and the `stac` extra is not installed.
    OSError
        If a server does not answer, or a file is damaged; for pixels, when they are read or computed.
    TypeError
        If `items` is nothing that holds items, `modify` is no function or returns no address, `nodata` is no number,
        or a switch neither True nor False.
    ValueError
        If no item is left, if collections, orbits, levels, tiles or grids are mixed unasked, if an item is wrong about
        its file, or if a signature has expired.

    Examples
    --------
    >>> import xoffset
    >>> stack = xoffset.open_stac(
    ...     "https://earth-search.aws.element84.com/v1", collection="sentinel-2-l2a", band="red", tile="32TLS",
    ...     bbox=(7.6, 45.9, 7.8, 46.1), datetime="2018/2023", season=("07-15", "09-30"), max_cloud=10, chunks=1024,
    ... )  # doctest: +SKIP
    """
    _check(band, align, max_cloud, modify)
    _check(band, align, max_cloud_scene, modify, "max_cloud_scene")
    is_yearly = _options.as_switch(one_a_year, "one_a_year", "open_stac")
    wanted = _Wanted(
        band,
        _as_names(collection),
        as_tiles_of(tile),
        as_orbits_of(orbit),
        areas.as_area(bbox),
        times.as_interval(datetime),
        times.as_season(season),
        None if nodata is None else _as_nodata(nodata),
        modify,
        _options.as_switch(refinement, "refinement", "open_stac"),
        max_cloud_scene,
    )
    account = Account()
    with _options.speaking_as("open_stac", "open_stack"):
        there = _layers(catalogue.collect(items, wanted.query), wanted, account)
        area = areas.placed(wanted.area, [layer.image for layer in there])
        seen = _passes(there, area, wanted, account)
        layers, clouds = _clear(seen, area, max_cloud, account)
        years: list[int] = []
        if is_yearly:
            layers, years = _yearly(layers, wanted.season, account)
        layers = sorted(layers, key=lambda layer: layer.scene.date)
        box = areas.in_metres(area, [layer.image for layer in layers])
        parameters = {
            "band": band, "collection": wanted.collections or None, "tile": wanted.tiles, "orbit": wanted.orbits,
            "bbox": bbox,
            "datetime": None if datetime is None else times.as_text(wanted.interval),
            "season": season,
            "max_cloud": max_cloud, "max_cloud_scene": max_cloud_scene,
            "one_a_year": one_a_year or None, "refinement": refinement or None,
            "nodata": nodata,
        }  # fmt: skip
        stack, _ = stacking.stacked(layers, stacking.Request(align, box, chunks, WORKERS), "open_stac", parameters)
    stack = stack.assign_coords(report.coordinates(layers, clouds))
    return stack.assign_attrs(report.attributes(layers, seen, account, years, wanted.season))


class _Wanted(NamedTuple):
    band: str
    collections: tuple[str, ...]
    tiles: tuple[str, ...] | None
    orbits: tuple[int, ...] | None
    area: Area | None
    interval: tuple[np.datetime64, np.datetime64]
    season: Season | None
    nodata: float | None
    modify: Modify | None
    has_refinement: bool
    max_cloud: float | None  # of the scene as a whole [%]

    @property
    def query(self) -> Query:
        """What an API is asked for; a box in metres does not tell where it is."""
        box: Bounds | None = self.area.box if self.area is not None and self.area.crs is not None else None
        return Query(self.collections, box, times.as_text(self.interval))


def _check(
    band: str, align: Align | None, max_cloud: float | None, modify: Modify | None, name: str = "max_cloud"
) -> None:
    if not isinstance(band, str) or not band:
        raise TypeError(
            f"open_stac() needs the name of a band; got {band!r}. Pass that of a file, or a common name: band='red'."
        )
    if align is not None:
        _options.check_name(align, get_args(Align), "align", "open_stac")
    if max_cloud is not None and not (_options.is_number(max_cloud) and 0 <= max_cloud <= 100):
        raise ValueError(
            f"open_stac() needs {name} in percent, 0 to 100; got {max_cloud!r}. Pass a number such as {name}=10."
        )
    if modify is not None and not callable(modify):
        raise TypeError(
            f"open_stac() needs modify= as a function that signs addresses; got {type(modify).__name__}. Pass one such "
            "as planetary_computer.sign."
        )


def _as_nodata(value: float) -> float:
    if not (_options.is_number(value) or (isinstance(value, (float, np.float32)) and np.isnan(value))):
        raise TypeError(f"open_stac() needs a number as nodata; got {value!r}. Pass the value of a pixel: nodata=0.")
    return float(value)


def _as_names(collection: str | Iterable[str] | None) -> tuple[str, ...]:
    if collection is None:
        return ()
    names = (collection,) if isinstance(collection, str) else tuple(collection)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"open_stac() needs collection= as a name or several; got {collection!r}. Pass one such as "
            "collection='sentinel-2-l2a'."
        )
    return names


def as_tiles_of(tile: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Tiles wanted, with errors in the name of this function."""
    with _options.speaking_as("open_stac", "open_stack"):
        return as_tiles(tile)


def as_orbits_of(orbit: int | Iterable[int] | None) -> tuple[int, ...] | None:
    """Relative orbits wanted, with errors in the name of this function."""
    with _options.speaking_as("open_stac", "open_stack"):
        return selection.as_orbits(orbit)


# --------------------------------------------------------------------------------------------------------------- choice


def _layers(found: Sequence[Item], wanted: _Wanted, account: Account) -> list[Layer]:
    """Images of the items wanted that have the band."""
    kept = [item for item in found if _is_wanted(item, wanted, account)]
    if not kept:
        raise _nothing(found, account, "items")
    report.refuse_mixture([item.collection for item in kept], wanted.collections)
    found_in = [assets.find(item, wanted.band) for item in kept]
    layers: list[Layer | None] = [None] * len(kept)

    def plan(k: int) -> None:
        layers[k] = _layer(kept[k], found_in[k], wanted)

    # threads are worth it where servers are waited for
    is_told = not wanted.has_refinement and all(
        asset is None or assets.grid_of(item, asset) for item, asset in zip(kept, found_in, strict=True)
    )
    threads.in_threads(plan, range(len(kept)), 1 if is_told else WORKERS)
    there = [layer for layer in layers if layer is not None]
    for item, layer in zip(kept, layers, strict=True):
        if layer is None:
            account.leave("without the band", date_of(item), item.id)
    if not there:
        raise ValueError(
            f"open_stac() needs items with band {wanted.band!r}; {kept[0].id} and {len(kept) - 1} others have none. It "
            f"has {assets.names(kept[0])}. Pass the name of one of these."
        )
    return there


def _passes(layers: Sequence[Layer], area: Area | None, wanted: _Wanted, account: Account) -> list[Layer]:
    """Images that show the area, one a pass, of the tiles and orbits wanted."""
    shown = _shown(layers, area, account)
    if not shown:
        raise _nothing(layers, account, "items that show the bbox")
    chosen = selection.choose(shown, [], wanted.tiles, wanted.orbits)
    taken = {id(part) for layer in chosen for part in parts_of(layer.image)}
    for layer in shown:
        if id(layer.image) not in taken:
            account.leave("of another tile or orbit, or processed again", layer.scene.date, layer.scene.name)
    return chosen


def _is_wanted(item: Item, wanted: _Wanted, account: Account) -> bool:
    if wanted.collections and item.collection not in wanted.collections:
        account.leave("of other collections", date_of(item), item.id)
        return False
    date = date_of(item)
    if not times.is_within(date, wanted.interval):
        account.leave("outside of datetime", date, item.id)
        return False
    if wanted.season is not None and not wanted.season.holds(date):
        account.leave("outside of the season", date, item.id)
        return False
    cover: Any = item.properties.get("eo:cloud_cover")
    if wanted.max_cloud is not None and _options.is_number(cover) and cover > wanted.max_cloud:
        account.leave("cloudier as a whole than max_cloud_scene", date, item.id)
        return False
    return True


def _layer(item: Item, asset: Asset | None, wanted: _Wanted) -> Layer | None:
    """Image and scene of an item, None if it lacks the band."""
    if asset is None:
        return None
    told = told_by(item)
    if wanted.has_refinement:
        told = with_refinement(told, images.refinement_of(item, wanted.modify))
    image = images.image_of(item, told, asset, wanted.modify, wanted.nodata)
    return Layer(_scene(told, band_of(asset.names, asset.common, told.scene.platform), asset.stated), image)


def _scene(told: Told, band: str, stated: Any) -> Any:
    offset, quantification = scale_of(told, band, stated)
    return replace(told.scene, band=band, radiometric_offset=offset, quantification=quantification)


def _shown(layers: Sequence[Layer], area: Area | None, account: Account) -> list[Layer]:
    """Layers that reach into the area."""
    kept = []
    for layer in layers:
        image = layer.image
        if area is None or (isinstance(image, ItemImage) and areas.is_shown(image, area)):
            kept.append(layer)
        else:
            account.leave("outside of the bbox", layer.scene.date, layer.scene.name)
    return kept


def _clear(
    layers: Sequence[Layer], area: Area | None, max_cloud: float | None, account: Account
) -> tuple[list[Layer], dict[int, tuple[float | None, str]]]:
    """Layers whose area clouds hide no more than wanted, and the cloud cover of each by its identity."""
    if max_cloud is None:
        return list(layers), {}
    clouds: dict[int, tuple[float | None, str]] = {}

    def measure(layer: Layer) -> None:
        clouds[id(layer)] = areas.cloud_cover(parts_of(layer.image), area)

    threads.in_threads(measure, layers, WORKERS)
    kept = []
    for layer in layers:
        cover, _ = clouds[id(layer)]
        if cover is None:
            raise ValueError(
                f"open_stac() needs items that tell their clouds for max_cloud=; got {layer.scene.name}, which has "
                "neither a layer of classes nor eo:cloud_cover. Leave max_cloud= out, and mask clouds later."
            )
        if np.isnan(cover):
            account.leave("without pixels in the bbox", layer.scene.date, layer.scene.name)
        elif cover > max_cloud:
            account.leave("cloudier than max_cloud", layer.scene.date, layer.scene.name)
        else:
            kept.append(layer)
    if not kept:
        covers = [cover for cover, _ in clouds.values() if cover is not None and not np.isnan(cover)]
        if not covers:
            raise _nothing(layers, account, "images with pixels in the bbox")
        raise ValueError(
            f"open_stac() needs images with no more than {max_cloud:g} % of clouds; the least of {len(layers)} has "
            f"{min(covers):.3g} %. Raise max_cloud, or look for more dates."
        )
    return kept, clouds


def _yearly(layers: Sequence[Layer], season: Season | None, account: Account) -> tuple[list[Layer], list[int]]:
    """One layer of each year, and the years in between that have none."""
    chosen = times.one_a_year([each.scene.date for each in layers], season)
    for k in set(range(len(layers))).difference(chosen):
        account.leave("less like the other years", layers[k].scene.date, layers[k].scene.name)
    kept = [layers[k] for k in chosen]
    return kept, times.missing_years([each.scene.date for each in kept], season)


def _nothing(found: Sequence[Any], account: Account, what: str) -> ValueError:
    if not found:
        return ValueError(
            "open_stac() needs items; got none. Look whether the catalogue has any of that collection, area and time."
        )
    return ValueError(f"open_stac() needs {what}; of {len(found)} none is left: {account.told}. Ask for less.")
