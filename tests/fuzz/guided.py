"""A fuzzer that looks for files which reach other lines of a reader: `pip install atheris`, then

python tests/fuzz/guided.py xml -runs=10000

The first argument is one of the readers of `test_fuzz_files`, all others are those of libFuzzer. It ends at the first
file that a reader fails on, writes it to the working folder, and prints how.
"""

import inspect
import sys
import tempfile

import atheris
import test_fuzz_files as files

from xoffset.formats import gnss, tables
from xoffset.readers import archives, outlines, xml
from xoffset.readers.landsat import mtl
from xoffset.recipes import base, known

# What reads files, and nothing that it calls: to follow all of the library takes minutes before the first case.
FOLLOWED = (archives, base, gnss, known, mtl, outlines, tables, xml)


def follow(module):
    """Tell the fuzzer which lines of a module are reached."""
    for each in vars(module).values():
        members = vars(each).values() if inspect.isclass(each) else [each]
        for function in members:
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                atheris.instrument_func(function)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    make, read = files.READERS[name]
    folder = tempfile.mkdtemp()
    for module in FOLLOWED:
        follow(module)

    def look(data):
        try:
            read(data, folder)
        except files.REFUSALS as error:
            if not files.THREE_PARTS.search(str(error)):
                raise AssertionError(repr(error)) from error

    corpus = tempfile.mkdtemp()
    files.put(corpus, "seed", make())
    atheris.Setup([*sys.argv, corpus], look)
    atheris.Fuzz()
