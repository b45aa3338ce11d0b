"""The house of DESIGN §2, its accessors and its contract, read from the sources: what a reviewer would look for."""

import ast
import doctest
import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xoffset
from xoffset import accessor
from xoffset.model.dates import in_years
from xoffset.model.flags import FLAGS
from xoffset.model.kinds import KINDS
from xoffset.model.methods import method

PACKAGE = Path(xoffset.__file__).parent
DOCS = PACKAGE.parent / "docs"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
HEAVY = (
    "dask",
    "rioxarray",
    "rasterio",
    "zarr",
    "scipy.signal",
    "matplotlib",
    "cmcrameri",
    "h5netcdf",
    "pyproj",
    "pyogrio",
)

# From top to bottom, by folders: a module may import what stands in a lower row, and its own folder.
LAYERS = (
    ("__init__",),
    ("accessor", "cli", "flags"),
    ("inspection", "pipeline", "recipes", "report"),
    (
        "correction", "filtering", "formats", "inversion", "masking", "matching", "motion", "network", "plotting",
        "readers", "screening", "synthetic", "uncertainty",
    ),
    ("model",),
    ("_blocks",),
    ("_arrays",),
    ("_kernels", "_options"),
)  # fmt: skip
ROW = {part: row for row, parts in enumerate(LAYERS) for part in parts}
SIDEWAYS = {
    ("inspection", "pipeline"),  # info() tells how far a run is
    ("inspection", "recipes"),  # and with which parameters
    ("pipeline", "recipes"),  # run() carries recipes out
    ("pipeline", "report"),  # and writes the report at its end
    ("report", "inspection"),  # report() tells how far a run is
    ("report", "pipeline"),  # and finds what its folder holds
    ("report", "recipes"),
    ("network", "matching"),  # plan() measures a pair to plan the others
    ("formats", "plotting"),  # legends and pictures have the colours of maps
    ("plotting", "formats"),  # pictures are written as safely as files
    ("masking", "readers"),  # classes are read from products, stable ground from polygons
    ("uncertainty", "readers"),  # area_mean() takes polygons of files
    ("correction", "masking"),  # elevations and detectors are checked and laid on the grid as masks are
    ("correction", "matching"),  # coregister() matches images
    ("correction", "network"),
    ("correction", "readers"),
    ("formats", "readers"),  # rasters of others are opened, and their ends found missing, as images are
    ("uncertainty", "motion"),  # compare() turns motion toward true north, as ground() does
}


@functools.cache
def source(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def part(module):
    """First name below the package: the unit that LAYERS orders."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(tree):
    """Yield the full name of everything imported anywhere in a tree; xoffset's modules as modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES or node.module != "xoffset" else "xoffset" for name in inside)


def without_types(tree):
    """Yield the statements that run when a module is imported."""
    for node in tree.body:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def is_below(name, libraries):
    return any(name == library or name.startswith(f"{library}.") for library in libraries)


def each_of(modules):
    """One test of all these modules, which names all that fail: a test for each would cost more than what it reads."""

    def decorate(check):
        def test():
            wrong = []
            for module in modules:
                try:
                    check(module)
                except AssertionError as error:
                    wrong.append(f"{module}: {error}")
            assert modules
            assert not wrong, "\n".join(wrong)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


# -------------------------------------------------------------------------------------------------------------- layers


@each_of(MODULES)
def test_imports_point_down(module):
    here = part(module)
    assert here in ROW, f"say in LAYERS where {here} stands"
    targets = {part(name) for name in imports(source(module)) if is_below(name, ["xoffset"])} - {here}
    wrong = {there for there in targets if ROW[there] <= ROW[here] and (here, there) not in SIDEWAYS}
    assert not wrong, f"{module} must not import {wrong}"


@each_of(MODULES)
def test_only_blocks_knows_dask_and_threads(module):
    tree = source(module)
    libraries = ("dask", "distributed", "concurrent", "threading", "multiprocessing")
    found = [name for name in imports(tree) if is_below(name, libraries)]
    found += [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("apply_ufunc", "map_blocks", "map_overlap")
    ]
    assert part(module) == "_blocks" or not found


@each_of(MODULES)
def test_a_file_is_read_at_a_sitting(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(path.read_text().splitlines()) <= (500 if "_kernels" in module else 400)


@each_of([name for name in MODULES if "_kernels" not in name])
def test_a_function_fits_a_screen(module):
    def length(function):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        return function.end_lineno - body[0].lineno + 1 if body else 0

    assert {each.name: length(each) for each in functions(source(module)) if length(each) > 60} == {}


@each_of([name for name in MODULES if "_kernels" in name])
def test_kernels_know_arrays_only(module):
    allowed = ["numpy", "typing", "math", "__future__", "xoffset._kernels"]
    if module.endswith(("._jit", "._cache", "._compile", "._linking", "._inner", ".vectors")):
        return  # they compile kernels and keep them, or write their instructions
    assert [name for name in imports(source(module)) if not is_below(name, allowed)] == []


@each_of(MODULES)
def test_rasterio_is_for_readers_and_export(module):
    if part(module) not in ("readers", "formats"):
        assert [name for name in imports(source(module)) if is_below(name, ["rasterio", "rioxarray", "affine"])] == []


@each_of(MODULES)
def test_importing_a_module_loads_nothing_heavy(module):
    outside = [node for node in without_types(source(module)) if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    found = [name for node in outside for name in imports(node)]
    assert [name for name in found if is_below(name, HEAVY)] == []


def test_import_of_the_package_loads_nothing_heavy():
    names = ["dask.array", "rioxarray", "zarr", "scipy.signal", "matplotlib", "rasterio", "pyproj", "h5netcdf"]
    code = f"import sys, xoffset; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@each_of([name for name in MODULES if name != "xoffset.cli"])
def test_nothing_prints_or_exits(module):
    called = {ast.unparse(node.func) for node in ast.walk(source(module)) if isinstance(node, ast.Call)}
    assert not called & {"print", "exit", "quit", "sys.exit", "os._exit", "breakpoint"}


@each_of(MODULES)
def test_warnings_are_never_silenced_for_the_caller(module):
    tree = source(module)
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "catch_warnings" in ast.unparse(node.items[0])
        for inner in ast.walk(node)
    }
    filters = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("filterwarnings", "simplefilter", "resetwarnings")
    ]
    assert all(id(node) in guarded for node in filters)


@each_of(MODULES)
def test_there_is_no_state(module):
    """No module-level variable is ever rebound or filled; what a function remembers follows from its arguments."""
    tree = source(module)
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Global, ast.Nonlocal))]
    containers = [node for node in without_types(tree) if isinstance(node, (ast.Assign, ast.AnnAssign))]
    empty = [
        node
        for node in containers
        if isinstance(node.value, (ast.Dict, ast.List)) and not ast.unparse(node.value)[1:-1]
    ]
    assert not empty
    methods = [method for node in tree.body if isinstance(node, ast.ClassDef) for method in functions(node)]
    decorators = [ast.unparse(line) for method in methods for line in method.decorator_list]
    assert not {"cache", "lru_cache", "functools.cache"} & set(decorators)


@each_of([name for name in MODULES if name != "xoffset._options"])
def test_only_options_tells_numbers_from_switches(module):
    """Python takes True for 1 and NumPy takes a duration for a whole number: one place minds that."""
    types = {"bool", "np.bool_", "np.integer", "np.floating"}
    asked = [
        node
        for node in ast.walk(source(module))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
        for name in ast.walk(node.args[1])
        if ast.unparse(name) in types
    ]
    assert [ast.unparse(node) for node in asked] == []


# --------------------------------------------------------------------------------------------------- size of functions


def is_public(module, function):
    if module == "xoffset.cli":
        return any("command" in ast.unparse(line) for line in function.decorator_list)
    known = [PUBLIC.get(name) for name in (function.name, f"plotting.{function.name}")]
    return module == "xoffset.accessor" or module in [each.__module__ for each in known if each is not None]


@each_of([name for name in MODULES if "_kernels" not in name])
def test_functions_fit_on_a_screen(module):
    def length(function):
        first = function.body[0]
        has_docstring = ast.get_docstring(function) is not None
        return function.end_lineno - function.lineno + 1 - has_docstring * (first.end_lineno - first.lineno + 1)

    assert {f.name: length(f) for f in functions(source(module)) if length(f) > 80} == {}


@each_of([name for name in MODULES if "_kernels" not in name])
def test_internal_functions_have_at_most_seven_parameters(module):
    def count(function):
        names = [each.arg for each in function.args.posonlyargs + function.args.args + function.args.kwonlyargs]
        return len(set(names) - {"self"})

    internal = [function for function in functions(source(module)) if not is_public(module, function)]
    assert {f.name: count(f) for f in internal if count(f) > 7} == {}


# --------------------------------------------------------------------------------------------------- public functions


def public_functions():
    """Name -> function, of the package and of its public modules."""
    found = {}
    for name in xoffset.__all__:
        value = getattr(xoffset, name)
        if inspect.isfunction(value):
            found[name] = value
        elif inspect.ismodule(value):
            found |= {
                (f"plotting.{each}" if name == "plotting" else each): function
                for each, function in vars(value).items()
                if inspect.isfunction(function)
                and function.__module__.startswith((value.__name__, "xoffset.model.flags"))
                and not each.startswith("_")
                and each in getattr(value, "__all__", vars(value))
            }
    return found


PUBLIC = public_functions()
ACCESSORS = {"xr.DataArray": accessor.StackAccessor, "xr.Dataset": accessor.ProductAccessor}
METHODS = {
    (type_.__name__, name): getattr(type_, name)
    for type_ in (*ACCESSORS.values(), accessor.PlotAccessor)
    for name, each in vars(type_).items()
    if isinstance(each, method)
}
FUNCTIONS = PUBLIC | {name: getattr(xoffset.flags, name) for name in ("flagged", "flag_summary")}


def function_of(type_, name):
    return FUNCTIONS[f"plotting.{name}" if type_ == "PlotAccessor" else name]


def subject(function):
    return next(iter(inspect.signature(function).parameters.values())).annotation


def test_public_names_are_sorted_and_there():
    assert xoffset.__all__ == sorted(xoffset.__all__)
    assert dir(xoffset) == xoffset.__all__
    assert not {name for name in vars(xoffset) if inspect.isfunction(getattr(xoffset, name))} - {
        *xoffset.__all__, "_version", "__dir__", "__getattr__"
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in xoffset.__all__ if inspect.isfunction(getattr(xoffset, name))])
def test_every_function_of_a_product_is_a_method(name):
    wanted = ACCESSORS.get(subject(PUBLIC[name]))
    offered = [type_ for type_ in ACCESSORS.values() if hasattr(type_, name)]
    assert offered == ([wanted] if wanted else [])


@pytest.mark.parametrize(("type_", "name"), METHODS)
def test_methods_have_the_signature_of_their_function(type_, name):
    made, function = (inspect.signature(each) for each in (METHODS[type_, name], function_of(type_, name)))
    assert list(made.parameters.values())[1:] == list(function.parameters.values())[1:]
    assert made.return_annotation == function.return_annotation


@pytest.mark.parametrize(("type_", "name"), METHODS)
def test_methods_are_the_functions(type_, name):
    made = vars(getattr(accessor, type_))[name]
    assert made.function is function_of(type_, name)
    assert set(made.kinds) <= set(KINDS)
    assert f"xoffset.{name}" in made.__doc__.replace("flags.", "").replace("plotting.", "")


def test_accessors_are_registered_and_hold_the_object_only():
    for obj, type_ in ((xr.DataArray(0), accessor.StackAccessor), (xr.Dataset(), accessor.ProductAccessor)):
        assert isinstance(obj.offset, type_)
        assert vars(obj.offset) == {"_obj": obj}


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments_are_annotated_and_options_are_keywords(name):
    signature = inspect.signature(PUBLIC[name])
    annotations = [each.annotation for each in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Signature.empty not in annotations
    assert not [text for text in annotations if re.search(r"\bAny\b", text)]
    optional = [each for each in signature.parameters.values() if each.default is not each.empty]
    # the shape of a synthetic scene is its subject
    assert all(each.kind is each.KEYWORD_ONLY for each in optional if each.name != "shape")


# ---------------------------------------------------------------------------------------------------------- docstrings


def sections(text):
    """Title -> body of the sections of a numpydoc docstring; the empty title holds what comes before."""
    pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    return {"": pieces[0]} | dict(zip(pieces[1::2], pieces[2::2], strict=True))


def documented(body):
    entries = re.findall(r"^(\S.*?)(?: : .*)?$", body, flags=re.MULTILINE)
    return [name for entry in entries for name in entry.split(", ")]


def raises(module, name, seen):
    """Whether a function raises, itself or in a function of the package that it names."""
    if (module, name) in seen or module not in MODULES:
        return False
    seen.add((module, name))
    tree = source(module)
    homes = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                homes[alias.asname or alias.name] = (full, None) if full in MODULES else (node.module, alias.name)
    for function in functions(tree):
        if function.name != name:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Raise):
                return True
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if raises(homes.get(node.value.id, ("", None))[0], node.attr, seen):
                    return True
            elif isinstance(node, ast.Name) and raises(*homes.get(node.id, (module, node.id)), seen):
                return True
    return False


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_complete(name):
    function = PUBLIC[name]
    found = sections(inspect.getdoc(function))
    assert found[""].split("\n")[0].endswith(".")
    assert documented(found["Parameters"]) == list(inspect.signature(function).parameters)
    assert found["Returns"].strip()
    assert ">>>" in found["Examples"]
    assert ("Raises" in found) == raises(function.__module__, function.__name__, set()), "Raises"


# a protocol is derived from, not called
CLASSES = [name for name in xoffset.__all__ if inspect.isclass(getattr(xoffset, name)) and name != "Matcher"]


@pytest.mark.parametrize("name", CLASSES)
def test_docstrings_of_classes_are_complete(name):
    found = sections(inspect.getdoc(getattr(xoffset, name)))
    assert documented(found["Parameters"]) == list(inspect.signature(getattr(xoffset, name)).parameters)
    assert ">>>" in found["Examples"]


# that of warmup() runs where it is tested what it promises
WITH_EXAMPLES = [
    name for name in MODULES if "Examples\n" in ast.unparse(source(name)) and name != "xoffset.pipeline.warmup"
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0


@functools.cache
def texts_of(folder, pattern):
    return [path.read_text() for path in folder.rglob(pattern) if path != Path(__file__)]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_has_a_test(name):
    name = name.removeprefix("plotting.")
    texts = texts_of(Path(__file__).parents[1], "test_*.py")
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


@pytest.mark.parametrize("name", [*PUBLIC, "NCC", "Phase"])
def test_every_function_is_in_the_documentation(name):
    texts = texts_of(DOCS, "*.md") if DOCS.is_dir() else []
    if not texts:
        pytest.skip("no documentation here")
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


# ------------------------------------------------------------------------------------------------------------ contract


def test_flags_are_the_bits_of_the_contract():
    matching = [
        "outside", "nodata", "few_valid", "flat", "border", "refine_failed", "ill_conditioned", "no_prior",
        "template_disagrees", "forward_backward",
    ]  # fmt: skip
    assert [FLAGS[name] for name in matching] == [1 << bit for bit in range(10)]
    bits = list(FLAGS.values())
    assert len(set(bits)) == len(bits)
    assert all(bit.bit_count() == 1 and bit <= np.iinfo(np.int64).max for bit in bits)
    # never renumbered: these have been published
    published = {
        "low_score": 10, "low_gap": 11, "neighbourhood": 12,
        "no_pairs": 25, "disconnected": 26, "no_reference": 27, "too_few_dates": 28,
    }  # fmt: skip
    assert {name: 1 << bit for name, bit in published.items()}.items() <= FLAGS.items()


def test_a_year_has_365_and_a_quarter_days():
    assert in_years(np.timedelta64(1461, "D")) == 4.0


GRIDDED = {
    "shifts": (
        ("pair", "y", "x"),
        {
            "dx": "m",
            "dy": "m",
            "score": "1",
            "peak_gap": "1",
            "sigma_dx": "m",
            "sigma_dy": "m",
            "cov_dxdy": "m2",
            "false_alarm": "1",
            "ambiguity": "1",
            "valid_fraction": "1",
        },
    ),
    "series": (("time", "y", "x"), {"dx": "m", "dy": "m", "sigma_dx": "m", "sigma_dy": "m"}),
    "rate": (
        ("y", "x"),
        {"vx": "m yr-1", "vy": "m yr-1", "sigma_vx": "m yr-1", "sigma_vy": "m yr-1", "v": "m yr-1"}
        | {"v_debiased": "m yr-1", "direction": "degree"},
    ),
}


@pytest.fixture(scope="module")
def products():
    dates = ["2020-01-01", "2020-07-01", "2021-01-01"]
    stack, _ = xoffset.synthetic.stack((48, 56), dates=dates, field="constant", velocity=10.0)
    network = xoffset.pairs(stack)
    shifts = xoffset.correlate(stack, network, template=16, search=3, step=16)
    series = xoffset.invert(shifts)
    return {
        "stack": stack, "network": network, "shifts": shifts, "screened": xoffset.screen(shifts), "series": series,
        "rate": xoffset.velocity(series), "rate of pairs": xoffset.velocity(shifts),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["shifts", "screened", "series", "rate", "rate of pairs"])
def test_products_hold_what_the_contract_says(products, name):
    dims, units = GRIDDED[{"screened": "shifts", "rate of pairs": "rate"}.get(name, name)]
    product = products[name]
    for variable, unit in units.items():
        assert product[variable].dims == dims
        assert product[variable].dtype == "float32"
        assert product[variable].attrs["units"] == unit
        assert product[variable].attrs["long_name"]
    maps = {"rms", "n_pairs", "n_components", "n_outliers", "pair_share", "sigma_drift_dx", "sigma_drift_dy"}
    of_rates = {"n_pairs", "n_dates", "first", "last"}
    on_grid = maps if name == "series" else of_rates if name.startswith("rate") else set()
    assert set(product.data_vars) == set(units) | {"flags"} | on_grid
    assert (product["flags"].dims, product["flags"].dtype) == (dims, "int64")
    assert all(product[each].dims == ("y", "x") for each in on_grid)
    if name == "series":
        assert product["rms"].attrs["units"] == "m"


@pytest.mark.parametrize("name", ["network", "shifts", "screened"])
def test_pairs_have_two_plain_date_coordinates(products, name):
    product = products[name]
    assert {each: product[each].dims for each in ("reference", "secondary")} == dict.fromkeys(
        ("reference", "secondary"), ("pair",)
    )
    assert not {"pair", "reference", "secondary"} & set(product.indexes)
    assert product["reference"].dtype == product["secondary"].dtype == "datetime64[us]"


def test_stack_and_network(products):
    assert products["stack"].dims == ("time", "y", "x")
    assert products["stack"].time.dtype == "datetime64[us]"
    assert products["network"].sizes == {"pair": 3}
    assert set(products["network"].data_vars) == set()


@pytest.mark.parametrize("name", ["shifts", "screened", "series", "rate", "rate of pairs"])
def test_attributes_are_safe_for_netcdf(products, name):
    def is_safe(value):
        return isinstance(value, (str, int, float)) or (
            isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value)
        )

    attrs = [products[name].attrs] + [variable.attrs for variable in products[name].variables.values()]
    held = [value for each in attrs for key, value in each.items() if key not in ("crs_wkt", "spatial_ref")]
    assert all(is_safe(value) and not isinstance(value, bool) for value in held)


def test_no_variable_is_called_offset(products):
    for product in products.values():
        assert "offset" not in product.coords
        assert "offset" not in getattr(product, "data_vars", ())


def test_every_module_is_known_to_the_package():
    walked = {info.name for info in pkgutil.walk_packages([str(PACKAGE)], "xoffset.")} | {"xoffset"}
    assert walked == set(MODULES)
