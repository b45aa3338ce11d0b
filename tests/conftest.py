from pathlib import Path

import numba
import pandas as pd
import pytest

import xoffset
from xoffset._kernels import _cache
from xoffset._kernels.images import filters


def pytest_addoption(parser: pytest.Parser) -> None:
    """Counts of random cases."""
    parser.addoption("--fuzz", type=int, default=1, help="as many times the cases of the short form of tests/fuzz")
    parser.addoption("--kills", type=int, default=3, help="processes that are killed in one run of tests/faults")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the common path once, which each of the workers would compile for itself.

    With bounds checking small tests run alone, which need little of it.
    """
    if numba.config.BOUNDSCHECK:
        return
    has_workers = bool(session.config.getoption("numprocesses", None)) and not hasattr(session.config, "workerinput")
    if has_workers and not _cache.is_ready(filters.spline_coefficients) and _cache.can_keep():
        xoffset.warmup()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where kernels are slow, or compiled once more, leave out cases that tell nothing more about loops and bounds.

    Tests marked `small` run as plain Python with each of their parameters away from the first that is listed, and with
    bounds checking with each two of them, and one type of pixels, since none changes an index. Compiled as usual they
    run in all combinations.
    """
    if not (numba.config.DISABLE_JIT or numba.config.BOUNDSCHECK):
        return
    left_out = {item for item in items if item.get_closest_marker("small") and _tells_no_more(item)}
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _tells_no_more(item: pytest.Item) -> bool:
    away = [names for mark in item.iter_markers("parametrize") if (names := _away_from_the_first(mark, item))]
    return len(away) > 1 if numba.config.DISABLE_JIT else len(away) > 2 or ["dtype"] in away


def _away_from_the_first(mark: pytest.Mark, item: pytest.Item) -> list[str]:
    """Names that a list of parameters is for, unless the test has the first of the list."""
    names, values = mark.args[:2]
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    first = next(iter(values))
    first = getattr(first, "values", first) if hasattr(first, "marks") else first if len(names) > 1 else (first,)
    is_first = all(item.callspec.params[name] is value for name, value in zip(names, first, strict=True))
    return [] if is_first else names


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How many processes are killed in one run."""
    return int(request.config.getoption("--kills"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real images, beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real images of ../shared/data are absent")
    return folder


@pytest.fixture(scope="session")
def columbia(data_folder: Path) -> pd.DataFrame:
    """Image-pair velocities of ITS_LIVE at one point, with the two dates that middle date and separation stand for.

    Columns go by their names with units, as published, and without.
    """
    rows = pd.read_csv(data_folder / "itslive_point_columbia" / "columbia_61.1804_-146.9751.csv")
    rows = rows.assign(**{name.split(" ")[0]: rows[name] for name in rows})
    middle, half = pd.to_datetime(rows["mid_date"], format="ISO8601"), pd.to_timedelta(rows["date_dt"] / 2, unit="D")
    dates = {"reference": (middle - half).dt.floor("D"), "secondary": (middle + half).dt.floor("D")}
    return rows.assign(year=middle.dt.year, **dates)
