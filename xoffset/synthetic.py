"""Image stacks with exactly known motion, for tests, documentation, benchmarks and the demo.

A scene is a continuous function: the cubic B-spline whose random coefficients lie on a lattice four times finer than
the pixels. Each image samples the scene where its ground points have moved to and averages over the pixel's area, so
that no image is ever interpolated and no matcher is favoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
import scipy.fft
import xarray as xr

if TYPE_CHECKING:
    import pyproj
from xoffset import _options
from xoffset._arrays import acquisition
from xoffset._arrays.scenes import sunlight, weather
from xoffset._blocks import threads
from xoffset._kernels.images import warp
from xoffset.model import checks, grids, north, products
from xoffset.model.dates import as_instant, in_years
from xoffset.model.variables import ANGLES

Field = Literal["constant", "landslide", "fault", "glacier"]

# Pixels of the ground along a side of an image pixel: the ground is finer, so that images really average over it.
OVERSAMPLING = 4
# Mean brightness of the ground, digital numbers.
_LEVEL = 1500.0
# Mean height of the terrain [m], and its latitude without a CRS [degree].
_LEVEL_OF_LAND, _LATITUDE = 1500.0, 45.0
# Standard deviation of the brightness of the ground, digital numbers.
_CONTRAST = 200.0


def scene(shape: tuple[int, int] = (256, 256), *, redness: float = 1.3, seed: int = 0) -> xr.DataArray:
    """Random ground, four times finer than the pixels of the images to be taken of it.

    Parameters
    ----------
    shape
        Rows and columns of the images, in pixels.
    redness
        Exponent b of the amplitude spectrum 1/frequency^b: 0 is white, 1.3 resembles bare ground seen by Sentinel-2.
    seed
        Seed of the random numbers.

    Returns
    -------
    xarray.DataArray
        Spline coefficients (y, x), 4·rows by 4·columns, brightness in arbitrary units; the ground repeats itself
        beyond the edges. Pass it to `stack` to photograph the same ground again.

    Raises
    ------
    ValueError
        If the shape is not two numbers of at least 2.

    Examples
    --------
    >>> import xoffset.synthetic
    >>> xoffset.synthetic.scene((64, 96)).shape
    (256, 384)
    """
    _check_shape(shape, "scene")
    _options.check_finite(redness, "redness", "scene")
    _options.as_whole_number(seed, "seed", "scene", least=0, example=0)
    fine = (OVERSAMPLING * shape[0], OVERSAMPLING * shape[1])
    noise = np.random.default_rng(seed).standard_normal(fine, dtype=np.float32)
    spectrum = scipy.fft.rfft2(noise)
    frequency = np.hypot(scipy.fft.fftfreq(fine[0])[:, None], scipy.fft.rfftfreq(fine[1])[None])
    frequency[0, 0] = 1.0
    spectrum *= (frequency**-redness).astype(np.float32)
    spectrum[0, 0] = 0.0
    texture = scipy.fft.irfft2(spectrum, s=fine)
    texture *= np.float32(_CONTRAST / texture.std())
    return xr.DataArray(texture + np.float32(_LEVEL), dims=("y", "x"), name="scene")


def stack(
    shape: tuple[int, int] = (256, 256),
    *,
    dates: Sequence[str] | np.ndarray = ("2020-01-01", "2021-01-01"),
    field: Field = "landslide",
    velocity: float = 30.0,
    direction: float = 120.0,
    season: float = 0.0,
    step: float = 0.0,
    step_date: str | None = None,
    snr: float = np.inf,
    illumination: float = 0.0,
    clouds: float = 0.0,
    nodata: float = 0.0,
    misregistration: float = 0.0,
    ramp: float = 0.0,
    stripes: float = 0.0,
    jitter: float = 0.0,
    shadows: float = 0.0,
    pixel_size: float = 10.0,
    crs: str | None = "EPSG:32632",
    ground: xr.DataArray | None = None,
    seed: int = 0,
) -> tuple[xr.DataArray, xr.Dataset]:
    """Images of moving ground and the truth about them.

    The displacement of a ground point since the first date is shape(point)·(velocity·t + season·sin(2πt) + step·[t ≥
    step date]) in the given direction; its shape, at most 1, is set by `field`.

    Parameters
    ----------
    shape
        Rows and columns of the images, in pixels.
    dates
        Dates of the images, in order.
    field
        `"constant"`: everything moves alike. `"landslide"`: an ellipse in the middle moves, with smooth margins.
        `"fault"`: the two sides of a line through the middle, parallel to the motion, move against each other, by at
        most 1 and -1. `"glacier"`: a trough of 0.6 of the image's width flows through it, sheared toward its margins.
    velocity
        Steady speed where the shape is 1, in m yr-1.
    direction
        Direction of motion in degrees clockwise from north.
    season
        Amplitude of a yearly oscillation in m, where the shape is 1.
    step, step_date
        Sudden displacement in m, where the shape is 1, at this date and all later ones.
    snr
        Amplitude of the ground's detail (standard deviation of the image after a 3 px high-pass) over the standard
        deviation of the white noise that is added to each image.
    illumination
        Largest relative change of the brightness by a smooth field, different on each date.
    clouds
        Share of each image that clouds cover; they are bright, not masked, and elsewhere on each date.
    nodata
        Share of each image lost in a slanted strip, elsewhere on each date: NaN.
    misregistration
        Standard deviation in m of a shift of each image but the first, along x and y.
    ramp
        Largest displacement in m, at a corner, by a ramp of each image but the first, along x and y.
    stripes
        Standard deviation in m of a shift of each of four detectors, which see stripes along the flight toward 192
        degrees, in each image but the first, along x and y.
    jitter
        Amplitude in m of an undulation of each image but the first, along x and y: a wave of 2 km along the flight,
        with smaller ones of 0.8, 1.3 and 3.2 km. Detectors of odd and even number see two of them.
    shadows
        Share of the brightness, 0 to 1, that is lost in the shadow of the terrain: hills with rocks, lit by the sun of
        the date at 10:30 mean solar time, when Sentinel-2 and Landsat pass. Rocks move with the ground, hills do
        not.
    pixel_size
        Side of a pixel, in m.
    crs
        Coordinate reference system, None for local metres.
    ground
        Result of `scene`; new ground from the same seed if None.
    seed
        Seed of the random numbers.

    Returns
    -------
    stack : xarray.DataArray
        Images (time, y, x), float32; NaN is nodata. With shadows, `sun_azimuth` and `sun_elevation` (time) [degree].
    truth : xarray.Dataset
        `dx`, `dy` (time, y, x): displacement in m, positive toward increasing x and y, since the first date, of the
        ground point that was at the pixel's centre on the first date; bilinear in between. `vx`, `vy` (y, x): steady
        velocity in m yr-1. `misregistration_dx`, `misregistration_dy` (time): shift in m of the whole image, which is
        not part of `dx`, `dy`. `cloud` (time, y, x): True where a cloud covers the ground. With `ramp`, `stripes` or
        `jitter`, `geometry_dx`, `geometry_dy` (time, y, x): their sum, the shift in m of what a pixel of the image
        shows, which is not part of `dx`, `dy` either; with `stripes`, `detector` (y, x): number of the detector. With
        `shadows`, `elevation` (y, x): height of the terrain in m.

    Raises
    ------
    ValueError
        If shape, field or ground do not fit, a step has no date, or shadows no sun above the horizon.

    Examples
    --------
    >>> import xoffset.synthetic
    >>> stack, truth = xoffset.synthetic.stack((64, 64), field="constant", velocity=12.0, direction=90.0)
    >>> float(truth.dx[1].mean().round(2))
    12.02
    """
    _check_shape(shape, "stack")
    times = _times(dates)
    numbers = {
        "velocity": velocity, "direction": direction, "season": season, "step": step, "illumination": illumination,
        "misregistration": misregistration, "ramp": ramp, "stripes": stripes, "jitter": jitter,
    }  # fmt: skip
    for name, value in numbers.items():
        _options.check_finite(value, name, "stack")
    _options.as_whole_number(seed, "seed", "stack", least=0, example=0)
    for name, share in {"clouds": clouds, "nodata": nodata, "shadows": shadows}.items():
        _options.check_share(share, name, "stack")
    _options.as_positive(pixel_size, "pixel_size", "stack", unit="m", example=10.0)
    if not (isinstance(snr, float) and snr == np.inf):
        _options.as_positive(snr, "snr", "stack", unit="1", example=10.0)
    ground = _ground(ground, shape, seed)
    generator = np.random.default_rng([seed, 1])
    _options.check_name(field, get_args(Field), "field", "stack")
    moves = _shape_of_field(field, shape, direction)
    history = _history(times, velocity, season, step, step_date)
    east, north = np.sin(np.deg2rad(direction)), np.cos(np.deg2rad(direction))
    shift = misregistration * generator.standard_normal((2, times.size))
    shift[:, 0] = 0.0
    pixels_x = (history * east / pixel_size, shift[0] / pixel_size)
    pixels_y = (-history * north / pixel_size, -shift[1] / pixel_size)
    size = (float(ramp), float(stripes), float(jitter))
    geometry = acquisition.geometry(moves.shape, pixel_size, times.size, size, seed) if any(size) else None
    errors = _in_pixels(geometry, pixel_size, times.size)
    images = _photograph(ground.values, moves, pixels_x, pixels_y, errors)
    relief = sunlight.Relief.of(moves, np.random.default_rng([seed, 3])) if shadows else None
    clear = _label_stack(images, times, pixel_size, crs)
    sun, terrain = _cast_shadows(clear, shadows, relief, (pixels_y, pixels_x), errors)
    cover = weather.degrade(images, generator, snr=snr, illumination=illumination, clouds=clouds, nodata=nodata)
    images_labelled = clear.copy(data=images).assign_coords(sun)
    products.finish_stack(images_labelled)

    unit = {"units": "m"}
    truth = xr.Dataset(
        {
            "dx": (("time", "y", "x"), np.multiply.outer(history * east, moves), unit),
            "dy": (("time", "y", "x"), np.multiply.outer(history * north, moves), unit),
            "vx": (("y", "x"), velocity * east * moves, {"units": "m yr-1"}),
            "vy": (("y", "x"), velocity * north * moves, {"units": "m yr-1"}),
            "misregistration_dx": ("time", shift[0], unit),
            "misregistration_dy": ("time", shift[1], unit),
            "cloud": (("time", "y", "x"), cover),
        }
        | terrain,
        coords=images_labelled.coords,
    )
    if geometry is not None:
        truth["geometry_dx"], truth["geometry_dy"] = ((("time", "y", "x"), error, unit) for error in geometry.error)
        if stripes:
            truth["detector"] = (("y", "x"), geometry.detector)
    return images_labelled, products.finish(truth)


def _check_shape(shape: tuple[int, int], caller: str) -> None:
    is_pair = isinstance(shape, (tuple, list)) and len(shape) == 2 and all(map(_options.is_whole, shape))
    if not is_pair or min(shape) < 2:
        raise ValueError(f"{caller}() needs at least 2 rows and 2 columns; got {shape}. Pass shape=(rows, columns).")


def _ground(ground: xr.DataArray | None, shape: tuple[int, int], seed: int) -> xr.DataArray:
    """Ground for images of this shape, checked; new ground if there is none."""
    if ground is None:
        ground = scene(shape, seed=seed)
    if not isinstance(ground, xr.DataArray):
        raise TypeError(f"stack() needs a DataArray as ground; got {type(ground).__name__}. Use scene(shape).")
    if ground.shape != (OVERSAMPLING * shape[0], OVERSAMPLING * shape[1]):
        raise ValueError(
            f"stack() needs ground of {OVERSAMPLING} times the shape {shape}; got {ground.shape}. Use scene({shape})."
        )
    return ground


def _times(dates: Sequence[str] | np.ndarray) -> np.ndarray:
    """Dates of the images, checked."""
    if (
        isinstance(dates, (str, bytes))
        or not isinstance(dates, (Sequence, np.ndarray, pd.Index))
        or np.ndim(dates) != 1
    ):
        raise TypeError(
            f"stack() needs a list of dates; got {type(dates).__name__}. Pass ['2020-01-01', '2021-01-01']."
        )
    times = np.array([as_instant(date, "a date", "stack") for date in dates], dtype="datetime64[us]")
    checks.check_times(xr.DataArray(times, dims="time"), "stack")
    return times


def _shape_of_field(field: str, shape: tuple[int, int], direction: float) -> np.ndarray:
    """Share of the motion (rows, columns) at each pixel centre, at most 1."""
    rows, columns = shape
    y, x = np.meshgrid(np.arange(rows) - 0.5 * (rows - 1), np.arange(columns) - 0.5 * (columns - 1), indexing="ij")
    east, north = np.sin(np.deg2rad(direction)), np.cos(np.deg2rad(direction))
    side = min(shape)
    along = (x * east - y * north) / side
    across = (x * north + y * east) / side
    if field == "constant":
        return np.ones(shape)
    if field == "landslide":
        # a smooth ellipse that is exactly zero outside
        inside = np.clip(1.0 - (along / 0.36) ** 2 - (across / 0.22) ** 2, 0.0, None)
        return np.asarray(1.0 - (1.0 - inside**2) ** 2)
    if field == "fault":
        return np.asarray(2.0 / np.pi * np.arctan(across * side / 4.0))
    return np.asarray(np.clip(1.0 - (across / 0.3) ** 4, 0.0, None) ** 2)


def _history(times: np.ndarray, velocity: float, season: float, step: float, step_date: str | None) -> np.ndarray:
    """Displacement [m] (time,) since the first date where the shape is 1."""
    elapsed = in_years(times - times[0])
    moved = velocity * elapsed + season * np.sin(2.0 * np.pi * elapsed)
    if step_date is not None:
        moved = moved + step * (times >= as_instant(step_date, "step_date", "stack"))
    elif step:
        raise ValueError("stack() needs the date of the step; got step without step_date. Pass step_date='2020-06-01'.")
    return np.asarray(moved - moved[0])


def _in_pixels(geometry: acquisition.Geometry | None, pixel_size: float, dates: int) -> np.ndarray:
    """Errors of position (time, component, rows, columns) [px], y down; without rows if there are none."""
    if geometry is None:
        return np.empty((dates, 2, 0, 0))
    signs = np.array([1.0, -1.0]) / pixel_size
    return np.asarray(geometry.error.swapaxes(0, 1) * signs[:, None, None])


def _photograph(
    spline: np.ndarray,
    moves: np.ndarray,
    pixels_x: tuple[np.ndarray, np.ndarray],
    pixels_y: tuple[np.ndarray, np.ndarray],
    geometry: np.ndarray,
) -> np.ndarray:
    """Clean images (time, rows, columns), float32, of ground moved by moves·history + shift + geometry, in pixels."""
    images = np.empty((pixels_x[0].size, *moves.shape), dtype=np.float32)
    still = np.empty(moves.shape, dtype=np.float32)
    warp.render(spline, OVERSAMPLING, still[:0], moves, 0.0, 0.0, 0.0, 0.0, geometry[0, :, :0], still)

    def take(date: int) -> None:
        warp.render(
            spline, OVERSAMPLING, still, moves,
            pixels_x[0][date], pixels_y[0][date], pixels_x[1][date], pixels_y[1][date], geometry[date], images[date],
        )  # fmt: skip

    threads.in_threads(take, range(images.shape[0]))
    return images


def _cast_shadows(
    stack: xr.DataArray,
    darkness: float,
    relief: sunlight.Relief | None,
    moved: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    errors: np.ndarray,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Darken images (time, y, x) in place; return the sun of the dates as coordinates, and the terrain.

    moved: along y and x, of the ground and of the image on each date [px]; errors: of pixels, as from `_in_pixels`.
    """
    if relief is None:
        return {}, {}
    place = north.middle(stack, "the images", "stack")
    azimuths, elevations = sunlight.position(stack["time"].values, _LATITUDE if place is None else place[1])
    if elevations.min() <= 0.0:
        date = str(stack["time"].values[elevations.argmin()])[:10]
        raise ValueError(
            f"stack() needs the sun above the horizon where there are shadows; got {elevations.min():.1f} degrees on "
            f"{date}. Choose other dates, or a CRS whose origin is farther from the pole."
        )
    turned = north.to_grid_north(azimuths, stack, "the images", "stack")

    def darken(date: int) -> None:
        of_pixels = errors[date, ::-1] if errors.size else np.zeros(2)
        displaced = tuple(np.asarray(each[1][date] + more) for each, more in zip(moved, of_pixels, strict=True))
        ground = moved[0][0][date], moved[1][0][date]
        dark = relief.shadow((turned[date], elevations[date]), ground, (displaced[0], displaced[1]))
        stack.values[date] *= (1.0 - darkness * dark).astype(np.float32)

    threads.in_threads(darken, range(azimuths.size))
    side = abs(float(stack["x"][1] - stack["x"][0]))
    label = {"units": "m", "long_name": "height of the terrain"}
    angles = {"sun_azimuth": azimuths, "sun_elevation": elevations}
    coords = {name: ("time", values, products.attrs_of(ANGLES[name])) for name, values in angles.items()}
    return coords, {"elevation": (("y", "x"), _LEVEL_OF_LAND + side * relief.heights, label)}


def _crs(crs: Any) -> pyproj.CRS:
    import pyproj

    try:
        return pyproj.CRS.from_user_input(crs)
    except Exception as error:  # what it raises depends on the type of what came
        came = repr(crs) if isinstance(crs, (str, int)) else type(crs).__name__
        raise ValueError(f"stack() needs a CRS as crs, or None; got {came}. Pass one such as 'EPSG:32632'.") from error


def _label_stack(images: np.ndarray, times: np.ndarray, pixel_size: float, crs: str | None) -> xr.DataArray:
    parsed = None if crs is None else _crs(crs)
    origin_x, origin_y = (0.0, 0.0) if crs is None else (500_000.0, 5_000_000.0)
    _, rows, columns = images.shape
    labelled = products.stack(
        images,
        time=times,
        x=origin_x + pixel_size * (np.arange(columns) + 0.5),
        y=origin_y - pixel_size * (np.arange(rows) + 0.5),
        crs=parsed,
        attrs={},
    )
    grids.check_crs(parsed, labelled, "stack")
    return labelled
