"""A fuzzer that looks for files which reach other lines of a reader: `pip install atheris`, then

python tests/fuzz/guided.py xml -runs=10000

The first argument is one of the readers of `test_fuzz_files`, all others are those of libFuzzer. It ends at the first
file that a reader fails on, writes it to the working folder, and prints how.
"""

import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["xoffset.readers", "xoffset.formats", "xoffset.recipes", "test_fuzz_files"]):
    import test_fuzz_files as files

if __name__ == "__main__":
    name = sys.argv.pop(1)
    make, read = files.READERS[name]
    folder = tempfile.mkdtemp()

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
