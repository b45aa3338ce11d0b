"""Results keep their bits: small results of all public functions against the table of their digests."""

import inspect

import digests
import numba
import numpy as np
import pytest

import xoffset
from xoffset import accessor, filtering, masking, synthetic

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="minutes without compilation")

TABLE = digests.read()
# has no result but a folder of compiled kernels
# what makes no values, what tells costs, and what matchers derive from
WITHOUT_RESULT = {"warmup", "info", "estimate_run", "explore", "report", "Matcher"}


@pytest.fixture(scope="module")
def results():
    return digests.results(TABLE)


@pytest.mark.parametrize("name", sorted(digests.CALLS))
def test_results_are_those_of_the_table(name, results):
    assert name in TABLE, "new call: run python tests/structure/digests.py --renew"
    found = digests.differences(name, results[name], TABLE[name], digests.machine())
    assert not found, "\n".join([*found, "If this is meant: python tests/structure/digests.py --renew"])


def test_bits_were_compared():
    unknown = [name for name, entry in TABLE.items() if digests.machine() not in entry["bits"]]
    if unknown:
        pytest.skip(
            f"only values were compared in {len(unknown)} of {len(TABLE)} calls: the table has no bits of "
            f"{digests.machine()}. Add them, from a version that is known to be right: "
            "python tests/structure/digests.py --renew"
        )


def test_table_holds_the_calls_and_nothing_else():
    assert TABLE.keys() == digests.CALLS.keys()


# ------------------------------------------------------------------------------------------- what the calls reach


def names_of(call):
    """All names that a call reads, in the helpers beside it too, but not in the inputs that calls share."""
    codes, names = [inspect.unwrap(call).__code__], set()
    while codes:
        code = codes.pop()
        new = set(code.co_names) - names
        names |= new
        # shared inputs are cached, and thus no functions
        codes += [vars(digests)[name].__code__ for name in new if inspect.isfunction(vars(digests).get(name))]
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]
    return names


def functions_of(module):
    return {
        name
        for name, each in vars(module).items()
        if inspect.isfunction(each) and each.__module__ == module.__name__ and name[0] != "_"
    }


def test_no_function_is_forgotten():
    names = [names_of(call) for call in digests.CALLS.values()]
    public = {name for name in xoffset.__all__ if callable(getattr(xoffset, name))}
    assert public - WITHOUT_RESULT <= set().union(*[each for each in names if "xoffset" in each])
    assert functions_of(filtering) <= set().union(*[each for each in names if "filtering" in each])
    assert set(masking.__all__) <= set().union(*[each for each in names if "masking" in each])
    assert functions_of(synthetic) <= set().union(*[each for each in names if "synthetic" in each])


def test_no_filter_is_forgotten():
    made = {type(each).__name__ for each in digests.FILTERS.values()}
    classes = {name for name, each in vars(filtering).items() if inspect.isclass(each) and hasattr(each, "reach")}
    # nothing can be matched in directions
    assert classes - {"Orientation"} == made


@pytest.mark.parametrize("kind", [accessor.StackAccessor, accessor.ProductAccessor])
def test_no_method_of_an_accessor_is_forgotten(kind):
    names = [names_of(call) for call in digests.CALLS.values()]
    reached = set().union(*[each for each in names if "offset" in each])
    # pictures have no digest: fonts and versions of matplotlib change their bytes
    assert {name for name in vars(kind) if name[0] != "_"} - {"plot", "explore"} <= reached


# ---------------------------------------------------------------------------------------- the comparison can fail


def velocity(results):
    return {name: (dims, array.copy()) for name, (dims, array) in results["velocity huber"].items()}


def spoil(arrays, name, change):
    dims, array = arrays[name]
    return arrays | {name: (dims, change(array))}


def one_bit_off(array):
    place = np.flatnonzero(np.isfinite(array))[1]
    array.flat[place] = np.nextafter(array.flat[place], np.inf)
    return array


@pytest.mark.parametrize("known", [True, False])
def test_nothing_differs_from_itself(results, known):
    arrays = velocity(results)
    assert digests.differences("call", arrays, digests.entry_of(arrays, "here"), "here" if known else "elsewhere") == []


def test_one_last_bit_is_seen_on_the_same_machine(results):
    entry = digests.entry_of(results["velocity huber"], "here")
    spoilt = spoil(velocity(results), "vx", one_bit_off)
    (line,) = digests.differences("velocity huber", spoilt, entry, "here")
    assert line.startswith("velocity huber: vx: bits differ")
    assert digests.differences("velocity huber", spoilt, entry, "elsewhere") == []


def test_a_zero_of_the_other_sign_is_seen_but_a_nan_of_other_bits_is_not():
    zero = {"v": (("x",), np.array([0.0, np.nan]))}
    entry = digests.entry_of(zero, "here")
    assert digests.differences("call", {"v": (("x",), np.array([0.0, -np.nan]))}, entry, "here") == []
    assert digests.differences("call", {"v": (("x",), np.array([-0.0, np.nan]))}, entry, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda vx: vx * np.float32(1.01), "samples are off"),
        (lambda vx: np.where(np.arange(vx.shape[1]) < 4, np.float32(np.nan), vx), "finite values in place of"),
        (lambda vx: vx.astype("float64"), "is float64 .* in place of float32"),
        (lambda vx: vx[1:], "is float32 .* in place of float32"),
    ],
)
def test_other_values_are_seen_on_any_machine(results, change, message):
    entry = digests.entry_of(results["velocity huber"], "here")
    lines = digests.differences("velocity huber", spoil(velocity(results), "vx", change), entry, "elsewhere")
    with pytest.raises(AssertionError, match=f"velocity huber: vx: .*{message}"):
        assert not lines, "\n".join(lines)


def test_variables_come_and_go(results):
    arrays = velocity(results)
    entry = digests.entry_of(arrays, "here")
    arrays["speed"] = arrays.pop("v")
    assert digests.differences("call", arrays, entry, "here") == ["call: v: is missing", "call: speed: is new"]
    assert digests.differences("call", "raises ValueError: no", entry, "here") == ["call: raises ValueError: no"]


def test_a_variable_that_was_renamed_keeps_its_bits(results, monkeypatch):
    arrays = velocity(results)
    entry = digests.entry_of(arrays, "here")
    monkeypatch.setattr(digests, "RENAMED", {"v": "speed", "x": "column"})
    turned = {name: (tuple("column" if dim == "x" else dim for dim in dims), a) for name, (dims, a) in arrays.items()}
    turned["speed"], turned["column"] = turned.pop("v"), turned.pop("x")
    assert digests.differences("call", turned, entry, "here") == []


def test_renewing_keeps_the_bits_of_others_only_where_nothing_changed(results):
    arrays = velocity(results)
    entry = digests.entry_of(arrays, "there")
    both = digests.renew("call", arrays, entry, "here")
    assert both["bits"].keys() == {"here", "there"}
    assert digests.renew("call", arrays, both, "here") == both
    assert digests.renew("call", spoil(arrays, "vx", one_bit_off), both, "here")["bits"].keys() == {"here"}


def test_the_table_is_read_as_it_was_written(results, monkeypatch, tmp_path):
    table = {name: digests.entry_of(results[name], "here") for name in ("velocity huber", "open_stack", "estimate")}
    monkeypatch.setattr(digests, "TABLE", tmp_path / "table.json")
    digests.write(table)
    assert digests.read() == table
