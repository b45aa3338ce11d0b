"""Compiled kernels on disk: never stale, never in the way, whole or not at all."""

import ast
import doctest
import logging
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import forked
import numba
import numpy as np
import pytest

import xoffset
from xoffset._kernels import _cache, _compile, _inner, _linking
from xoffset._kernels._jit import hot_kernel, kernel, lean_kernel
from xoffset._kernels.maps import neighbours
from xoffset.pipeline import warmup as warming

KERNELS = Path(xoffset.__file__).parent / "_kernels"
CALLEE = """
from xoffset._kernels._jit import kernel

@kernel
def add(value):
    return value + {number}
"""
CALLER = """
from xoffset._kernels._jit import kernel
from xoffset._kernels.callee import add

@kernel
def ten_times(value):
    return 10 * add(value)
"""
USE = """
import logging
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
from xoffset._kernels import _cache
from xoffset._kernels.caller import ten_times
print("found", ten_times(1), "compiled", _cache.compiled_here(), "in", ten_times._cache.cache_path)
"""


@pytest.fixture
def package(tmp_path):
    """Folder of a small package with our compilation policy, a kernel and another that calls it."""
    folder = tmp_path / "lib" / "xoffset" / "_kernels"
    folder.mkdir(parents=True)
    for name in ("_jit.py", "_cache.py", "_compile.py", "_inner.py", "_linking.py"):
        shutil.copy(KERNELS / name, folder)
    for empty in (folder, folder.parent):
        (empty / "__init__.py").touch()
    (folder / "caller.py").write_text(CALLER)
    write_callee(folder, 1)
    return folder


def write_callee(package, number):
    (package / "callee.py").write_text(CALLEE.format(number=number))


def start(package, code=USE, **environment):
    """Begin a process that uses the package, with a home of its own and nothing that numba is told here."""
    home = package.parents[2] / "home"
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | environment
    begins = f"""
import os, sys
import numba.core.config
for name in [each for each in os.environ if each.startswith("NUMBA_") and each not in {list(environment)!r}]:
    del os.environ[name]
numba.core.config.reload_config()
sys.path.insert(0, {str(package.parents[1])!r})
sys.dont_write_bytecode = True
assert "xoffset" not in sys.modules
"""
    if forked.CAN_FORK:
        return forked.begin(begins + code, loaded="numba_alone", **environment)
    return forked.Fresh(begins + code, environment)


def finish(process):
    """What a process found, how many kernels it compiled, the folder it keeps them in, and what it logged."""
    status, out, log = process.end(120)
    assert status == 0, log
    _, found, _, compiled, _, folder = out.split(maxsplit=5)
    return int(found), int(compiled), folder.strip(), log


def use(package, **environment):
    return finish(start(package, **environment))


def files(package):
    return sorted(package.parents[2].rglob("*.nbc"))


def test_a_second_process_compiles_nothing(package):
    found, compiled, folder, log = use(package)
    assert (found, compiled) == (20, 2)
    assert Path(folder).parent == package / "__pycache__"
    assert log.count("compiling kernels, first use only") == 1
    assert use(package)[:3] == (20, 0, folder)


@pytest.mark.parametrize("chosen", [{}, {"NUMBA_CACHE_DIR": "chosen"}])
def test_a_caller_sees_that_its_callee_changed(package, tmp_path, chosen):
    chosen = {name: str(tmp_path / value) for name, value in chosen.items()}
    assert use(package, **chosen)[0] == 20
    write_callee(package, 2)
    assert use(package, **chosen)[:2] == (30, 2)
    assert use(package, **chosen)[:2] == (30, 0)


def test_files_of_another_date_are_no_other_files(package):
    # an upgrade in place may keep or change dates as it likes: only content counts
    use(package)
    old = (package / "callee.py").stat().st_mtime_ns
    write_callee(package, 2)
    os.utime(package / "callee.py", ns=(old, old))
    assert use(package)[0] == 30
    os.utime(package / "callee.py", ns=(old + 10**12, old + 10**12))
    assert use(package)[:2] == (30, 0)


def test_versions_side_by_side_keep_their_files(package):
    folder = use(package)[2]
    write_callee(package, 2)
    assert use(package)[2] != folder
    write_callee(package, 1)
    # what the first one compiled is still there
    assert use(package)[:3] == (20, 0, folder)


def test_a_file_replaced_under_a_running_process_is_not_kept(package):
    code = USE.replace(
        "from xoffset._kernels.caller",
        f"open({str(package / 'callee.py')!r}, 'w').write({CALLEE.format(number=2)!r})\nfrom xoffset._kernels.caller",
    )
    # the process began with the first version, and may not pass off the second as the first
    assert finish(start(package, code))[0] == 30
    assert not files(package)
    write_callee(package, 1)
    assert use(package)[0] == 20


def test_flags_of_the_environment_have_files_of_their_own(package):
    folder = use(package)[2]
    assert use(package, NUMBA_BOUNDSCHECK="1")[1:3] != (0, folder)
    assert use(package, NUMBA_OPT="0")[1] == 2


def test_the_user_folder_serves_where_the_package_cannot_be_written(package):
    # a file in the way, since root may write anywhere
    (package / "__pycache__").touch()
    found, compiled, folder, _ = use(package)
    assert (found, compiled) == (20, 2)
    assert package.parents[2] / "home" / "cache" in Path(folder).parents
    assert use(package)[:2] == (20, 0)


def test_kernels_of_an_administrator_are_read_where_nothing_can_be_written(package):
    folder = Path(use(package)[2])
    kept = folder.rename(folder.with_name("kept"))
    (package / "__pycache__" / folder.name).symlink_to(kept)
    home = package.parents[2] / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.touch()
    for path in (kept, package / "__pycache__"):
        path.chmod(0o555)
    try:
        assert use(package)[:2] == (20, 0)
    finally:
        for path in (kept, package / "__pycache__"):
            path.chmod(0o755)


def test_nothing_writable_works_and_says_so_once(package):
    (package / "__pycache__").touch()
    (package.parents[2] / "home").touch()
    for _ in range(2):
        found, compiled, folder, log = use(package)
        assert (found, compiled, folder) == (20, 2, "None")
        assert log.count("NUMBA_CACHE_DIR") == 1


def test_the_whole_package_imports_and_measures_where_nothing_can_be_written(tmp_path):
    shutil.copytree(KERNELS.parent, tmp_path / "xoffset", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [tmp_path / "xoffset", *(path for path in (tmp_path / "xoffset").rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    (tmp_path / "home").touch()
    code = """
import numpy as np, xoffset
stack, truth = xoffset.synthetic.stack((24, 24), field="constant", velocity=1.0)
print("found", stack.offset.pairs().sizes["pair"], "compiled", 0, "in", xoffset.__file__)
"""
    environment = {
        "PYTHONPATH": str(tmp_path),
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home"),
    }
    process = start(tmp_path / "xoffset" / "_kernels", code, **environment)
    assert finish(process)[::2] == (1, str(tmp_path / "xoffset" / "__init__.py"))


SUMS = """
import numpy as np
from xoffset._kernels._jit import hot_kernel

@hot_kernel
def sums(a, b, out):
    square, product, total = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            square += (a[i, j] - b[i, j]) * (a[i, j] - b[i, j])
            product += a[i, j] * b[i, j]
            total += a[i, j]
    out[0], out[1], out[2] = square, product, total

@hot_kernel
def all_sums(a, b, out):
    for k in range(3):
        sums(a[k:], b[k:], out[3 * k : 3 * k + 3])
    sums(a[1:], b[1:], out[9:12])
"""
USE_SUMS = """
import numpy as np
from xoffset._kernels import _cache
from xoffset._kernels.sums import all_sums, sums
a, b = np.random.default_rng(0).standard_normal((2, 33, 37)).astype(np.float32)
out = np.zeros(15, np.float32)
CALLS
print("found", int.from_bytes(out.tobytes(), "big"), "compiled", _cache.compiled_here(), "in", None)
"""
ALL, ONE = "all_sums(a, b, out[:12])", "sums(a, b, out[12:])"


def test_a_process_that_compiles_finds_the_same_bits_as_one_that_does_not(package):
    # a callee is optimised once more in its caller: both copies exist, and a caller must always take its own
    (package / "sums.py").write_text(SUMS)
    found, compiled = set(), []
    for order in ((ALL, ONE), (ONE, ALL)):
        for _ in range(2):
            result = finish(start(package, USE_SUMS.replace("CALLS", "\n".join(order))))
            found.add(result[0])
            compiled.append(result[1])
        for path in files(package):
            path.unlink()
    assert len(found) == 1
    # the callee without machine code for the caller, and as a whole for Python; as a whole it serves both
    assert compiled == [3, 0, 2, 0]


def test_python_calls_what_another_process_compiled_for_a_caller(package):
    (package / "sums.py").write_text(SUMS)
    orders = (ALL, ONE, ONE, ALL)
    results = [finish(start(package, USE_SUMS.replace("CALLS", each))) for each in orders]
    assert [compiled for _, compiled, *_ in results] == [2, 1, 0, 0]
    assert results[0][0] == results[3][0]
    assert results[1][0] == results[2][0]
    whole, inner = sorted((path for path in files(package) if ".sums" in path.name), key=lambda path: "@" in path.name)
    assert inner.stat().st_size < whole.stat().st_size
    # what is compiled for a new caller reads what it calls
    for path in files(package):
        if "all_sums" in path.name:
            path.unlink()
    for path in (inner, whole):
        assert finish(start(package, USE_SUMS.replace("CALLS", ALL)))[:2] == (results[0][0], 1)
        path.unlink()
        next(each for each in files(package) if "all_sums" in each.name).unlink()


CHECKED = """
from xoffset._kernels._jit import kernel

@kernel
def root(value):
    if value < 0:
        raise ValueError("got", value)
    return value**0.5

@kernel
def twice(value):
    return 2 * root(value)

@kernel
def four_times(value):
    return 2 * twice(value)
"""
USE_CHECKED = """
from xoffset._kernels import _cache
from xoffset._kernels.checked import four_times, root, twice
CALLS
try:
    four_times(-3.0)
except ValueError as error:
    print("found", int(error.args[1] * four_times(9.0)), "compiled", _cache.compiled_here(), "in", None)
"""


@pytest.mark.parametrize("first", ["", "twice(1.0)", "root(1.0)", "four_times(1.0); root(1.0); twice(1.0)"])
def test_inner_kernels_raise_errors_with_what_they_got(package, first):
    # the message is made of an object that belongs to the callee
    (package / "checked.py").write_text(CHECKED)
    code = USE_CHECKED.replace("CALLS", first)
    assert finish(start(package, code))[0] == -36
    assert finish(start(package, code))[:2] == (-36, 0)
    for path in files(package):
        if "four_times" in path.name:
            path.unlink()
    assert finish(start(package, code))[:2] == (-36, 1)


def test_a_callee_has_no_machine_code_until_python_calls_it():
    callee = kernel(lambda a: a[0] * 2.5 + 1.0)
    caller = kernel(lambda a: callee(a) + 1.0)
    assert caller(np.ones(3)) == 4.5
    (inner,) = callee.overloads.values()
    assert _inner.is_inner(inner)
    assert not _cache.is_ready(callee)
    assert callee(np.ones(3)) == 3.5
    (whole,) = callee.overloads.values()
    assert not _inner.is_inner(whole)
    assert _cache.is_ready(callee)
    # of another type it begins anew, and a kernel of others has all of it
    assert numba.njit(lambda a: callee(a) + 2.0)(np.ones(3, np.float32)) == 5.5
    assert not any(map(_inner.is_inner, callee.overloads.values()))


def test_a_kernel_that_is_called_while_another_is_compiled_is_whole():
    # by a handler of the log, say, or of a signal
    other, callee = kernel(lambda a: a[0] * 1.5), kernel(lambda a: a[0] * 2.5)
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            if not found:
                found.append(0.0)
                found.append(other(np.ones(2)))

    logger, handler = logging.getLogger("xoffset"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        assert kernel(lambda a: callee(a) + other(a))(np.ones(2)) == 4.0
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert found == [0.0, 1.5]


def test_whether_a_kernel_is_ready_can_be_asked_while_it_is_compiled():
    callee = kernel(lambda a: a[0] * 2.5)
    caller = kernel(lambda a: callee(a) + 1)
    kernel(lambda a: callee(a) + 2)(np.ones(3, np.int8))
    found, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            found.append(_cache.is_ready(callee))

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        for dtype in (np.float64, np.float32, np.int16, np.int64):
            caller(np.ones(3, dtype))
        is_over.set()
        asked.result()
    # for callers alone
    assert set(found) == {False}


def test_threads_that_compile_callers_and_callees_at_once_all_find_the_same():
    callee = kernel(lambda a: a[0] * 2.5)
    callers = [kernel(lambda a: callee(a) + 1.0), kernel(lambda a: callee(a[1:]) + 1.0)]
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(each, np.ones(3)) for each in (callers[0], callee, callers[1], callee, *callers)]
        assert [each.result() for each in found] == [3.5, 2.5, 3.5, 2.5, 3.5, 3.5]


@pytest.mark.parametrize("part", ["COMPILER", "ConfigStack", "_values"])
def test_another_numba_means_kernels_that_are_compiled_as_a_whole(monkeypatch, part):
    if part == "COMPILER":
        monkeypatch.setattr(_linking, "COMPILER", None)
    elif part == "_values":
        monkeypatch.setattr(_compile, "FlagsOfNumba", object)
    else:
        monkeypatch.setattr(_inner, "ConfigStack", None)
    callee = kernel(lambda a: a[0] * 2.5)
    assert kernel(lambda a: callee(a) + 1.0)(np.ones(3)) == 3.5
    assert not any(map(_inner.is_inner, callee.overloads.values()))
    assert callee(np.ones(3)) == 2.5


def damage(path, kind):
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "one bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif kind == "other":
        path.write_bytes(b"not a kernel at all" * 1000)
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["empty", "cut", "one bit", "other", "folder"])
def test_a_damaged_file_is_compiled_again(package, kind):
    use(package)
    assert len(files(package)) == 2
    for path in files(package):
        damage(path, kind)
    assert use(package)[:2] == (20, 2)
    if kind != "folder":
        # and mended
        assert use(package)[:2] == (20, 0)


def test_processes_that_compile_at_once_all_find_the_same(package):
    running = [start(package) for _ in range(4)]
    assert {finish(process)[0] for process in running} == {20}
    assert len(files(package)) == 2
    assert not [path for path in package.parents[2].rglob("*") if ".nbc" in path.name and path.suffix != ".nbc"]
    assert use(package)[:2] == (20, 0)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_not_trusted(package):
    # whoever may write a file that is loaded runs code in our name
    use(package)
    for path in files(package):
        os.chown(path, 12345, 12345)
    assert use(package)[:2] == (20, 2)


def test_folders_that_nobody_used_for_long_are_removed(package):
    old = Path(use(package)[2])
    foreign = old.with_name("kernels-of-somebody-else")
    foreign.mkdir()
    for folder in (old, foreign):
        os.utime(folder, (0, 0))
    # reading is use
    assert use(package)[:2] == (20, 0)
    assert old.stat().st_mtime > 1e9
    os.utime(old, (0, 0))
    write_callee(package, 2)
    recent = Path(use(package)[2])
    assert not old.exists()
    assert foreign.exists()
    write_callee(package, 3)
    use(package)
    assert recent.exists()


def test_a_file_under_another_name_is_none(package):
    use(package)
    first, second = files(package)
    content = first.read_bytes()
    second.write_bytes(content)
    assert use(package)[:2] == (20, 1)


def test_a_chosen_folder_that_cannot_be_written_is_replaced_by_that_of_the_user(package, tmp_path):
    (tmp_path / "chosen").touch()
    found, compiled, folder, _ = use(package, NUMBA_CACHE_DIR=str(tmp_path / "chosen"))
    assert (found, compiled) == (20, 2)
    assert package.parents[2] / "home" / "cache" in Path(folder).parents


def test_functions_of_others_still_compile(package):
    # a function that exec() makes has no module
    code = "import numba; space = {}; exec('def f(x): return x + 1', space); assert numba.njit(space['f'])(1) == 2\n"
    assert finish(start(package, USE + code))[0] == 20


def test_another_numba_means_no_files_and_no_failure(package):
    # the private parts of numba that the cache needs, taken away one by one
    for taken in (
        "import numba.core.compiler as c; del c.CompileResult._reduce",
        "import numba.core.compiler as c; del c.CompileResult._rebuild",
    ):
        found, _, _, log = finish(start(package, f"{taken}\n{USE}".replace("ten_times._cache.cache_path", "None")))
        assert found == 20
        assert log.count("built differently") == 1
        assert not files(package)


def test_the_numba_here_has_what_the_cache_needs():
    assert _cache.can_keep()
    assert isinstance(neighbours.disagrees._cache, _cache.KernelCache)


def test_inner_kernels_are_called_by_kernels_alone():
    # which is what their names say
    inner = {
        (path.stem, node.name)
        for path in KERNELS.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_") and node.decorator_list
        if not path.name.startswith("_")
    }
    assert len(inner) > 20
    root = KERNELS.parents[1]
    for path in [*root.glob("xoffset/**/*.py"), *root.glob("tests/**/*.py"), *root.glob("benchmarks/*.py")]:
        if path.parent == KERNELS or KERNELS in path.parents:
            continue
        text = path.read_text()
        if "_kernels" not in text:
            continue
        tree = ast.parse(text)
        kernels = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            and {"kernel", "hot_kernel", *LEAN} & set(map(ast.unparse, node.decorator_list))
        ]
        of_kernels = {each for node in kernels for each in ast.walk(node)}
        for node in set(ast.walk(tree)) - of_kernels:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in inner, f"{path}:{node.lineno}"
            if isinstance(node, ast.ImportFrom) and "_kernels" in (node.module or ""):
                names = {(node.module.rsplit(".", 1)[-1], alias.name) for alias in node.names}
                assert not names & inner, f"{path}:{node.lineno}"


# Decorators of kernels in which nothing counts who uses an array.
LEAN = {"lean_kernel", "fused_kernel"}


def kernels_of(path):
    """Functions of a file by name, with the name of their decorator; and kernels that it imports, with their file."""
    tree = ast.parse(path.read_text())
    own = {
        node.name: (node, ast.unparse(node.decorator_list[0]))
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    root = KERNELS.parents[1]
    imported = {
        alias.asname or alias.name: (root.joinpath(*node.module.split(".")).with_suffix(".py"), alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xoffset._kernels.")
        for alias in node.names
    }
    # one kernel or the other by the processor, as `products = vector_products if ... else plain_products`
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
            names = [ast.unparse(each) for each in (node.value.body, node.value.orelse)]
            choice = [own.get(name) or _of_another_file(imported.get(name)) for name in names]
            if all(choice):
                assert choice[0][1] == choice[1][1], ast.unparse(node)
                own[ast.unparse(node.targets[0])] = choice[0]
    return own, imported


def _of_another_file(place):
    """Node and decorator of a kernel in another file, None if it is none."""
    return None if place is None or not place[0].exists() else kernels_of(place[0])[0].get(place[1])


def called_kernel(call, path, files):
    """Node and decorator of the kernel that is called in a file, None if it is none."""
    _, imported = files[path]
    if isinstance(call.func, ast.Name):
        where, name = imported.get(call.func.id, (path, call.func.id))
        return files.get(where, ({}, {}))[0].get(name)
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        where, name = imported.get(call.func.value.id, (path, ""))
        return files.get(where.with_suffix("") / f"{name}.py", ({}, {}))[0].get(call.func.attr)
    return None


def test_lean_kernels_call_lean_kernels_alone():
    # of an array that another kernel made nobody would ever free the memory
    files = {path: kernels_of(path) for path in KERNELS.rglob("*.py") if not path.name.startswith("_")}
    checked = []
    for path, (own, _) in files.items():
        for node, decorator in own.values():
            for call in ast.walk(node) if decorator in LEAN else ():
                called = called_kernel(call, path, files) if isinstance(call, ast.Call) else None
                assert called is None or called[1] in LEAN, f"{path}:{call.lineno}"
                checked += [] if called is None else [ast.unparse(call.func)]
    assert len(checked) > 10
    assert {"vectors.products", "vectors.scores", "_add_along"} <= set(checked)


def test_no_kernel_calls_itself():
    # numba finds such a callee by its machine code, which inner kernels have not
    files = {path: kernels_of(path) for path in KERNELS.rglob("*.py") if not path.name.startswith("_")}
    places = {id(node): path for path, (own, _) in files.items() for node, _ in own.values()}
    checked = 0
    for path, (own, _) in files.items():
        for node, _ in own.values():
            beneath, seen = [node], set()
            while beneath:
                each = beneath.pop()
                for call in (part for part in ast.walk(each) if isinstance(part, ast.Call)):
                    called = called_kernel(call, places.get(id(each), path), files)
                    if called is not None and id(called[0]) not in seen:
                        seen.add(id(called[0]))
                        beneath.append(called[0])
            assert id(node) not in seen, f"{path}:{node.lineno}"
            checked += bool(seen)
    assert checked > 50


def test_a_lean_kernel_cannot_make_an_array():
    makers = (lambda a: np.empty(3)[0], lambda a: (a + 1)[0], lambda a: a.copy()[0], lambda a: [a[0], a[1]][0])
    for maker in makers:
        with pytest.raises(numba.NumbaError):
            lean_kernel(maker)(np.ones(3))
    assert lean_kernel(lambda a: a.reshape(-1)[2:][0])(np.ones((2, 2))) == 1.0


def test_a_kernel_is_compiled_alike_whoever_is_compiled_first():
    # numba hands on what a callee leaves open
    called, alone = (kernel(lambda a, b: a * b + a) for _ in range(2))
    hot_kernel(lambda a: called(a, a))(1.0)
    lean_kernel(lambda a: called(a, a))(1.0)
    alone(1.0, 1.0)
    for each in (called, alone):
        (compiled,) = each.overloads.values()
        assert "contract" not in compiled.library.get_llvm_str()
        assert each.targetoptions["_nrt"]


# ------------------------------------------------------------------------------------------------------------- warming


COMMON_PATH = """
import numpy as np, xoffset
from xoffset._kernels import _cache
from xoffset.pipeline import warmup
for part in warmup.PARTS.values():
    part()
before = _cache.compiled_here()
find, asked = _cache.KernelCache.load_overload, []
_cache.KernelCache.load_overload = lambda cache, *rest: (asked.append(cache.name), find(cache, *rest))[1]
dates = np.arange("2021-01", "2021-08", dtype="datetime64[M]")
stack, _ = xoffset.synthetic.stack((200, 144), dates=dates, field="landslide", velocity=9.0, clouds=0.05)
shifts = stack.offset.correlate(stack.offset.pairs(max_gap=2), search=5).offset.screen(min_score=0.5)
shifts.offset.invert().offset.velocity()
shifts.offset.velocity()
print(*asked, _cache.compiled_here() - before)
"""


def test_after_warmup_the_common_path_compiles_nothing():
    # whatever else the folder holds: all that it calls was compiled or loaded by one of the parts
    process = forked.begin(COMMON_PATH) if forked.CAN_FORK else forked.Fresh(COMMON_PATH, {})
    status, asked, log = process.end()
    assert status == 0, log
    assert asked.split() == ["0"]


def test_warmup_runs_its_parts(monkeypatch):
    # which is its example; of the parts one, in a process of its own
    monkeypatch.setattr(warming, "PARTS", {"screening": warming.PARTS["screening"]})
    assert doctest.testmod(warming)[:2] == (0, 2)


def test_warmup_tells_progress(monkeypatch, caplog):
    # no process is started
    monkeypatch.setattr(warming.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    with caplog.at_level(logging.INFO, logger="xoffset"):
        xoffset.warmup()
    told = [record.message for record in caplog.records]
    assert told[0].startswith("compiling kernels, first use only")
    assert sorted(told[1:]) == sorted(f"compiled {name}" for name in warming.PARTS)


def test_warmup_fails_with_the_reason(monkeypatch):
    monkeypatch.setattr(warming.sys, "executable", shutil.which("false"))
    with pytest.raises(OSError, match="Mend that first"):
        xoffset.warmup(workers=1)


def test_warmup_needs_a_folder(monkeypatch):
    monkeypatch.setattr(_cache, "can_keep", lambda: False)
    with pytest.raises(OSError, match="Set NUMBA_CACHE_DIR"):
        xoffset.warmup()


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2", np.nan])
def test_warmup_needs_a_number_of_workers(workers):
    with pytest.raises(ValueError, match="Pass workers=2"):
        xoffset.warmup(workers=workers)
