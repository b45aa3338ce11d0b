# ruff: noqa: T201
"""Look at the built pages in a browser: which of them scroll sideways, cut off code, or have an empty side bar?

python docs/_look.py docs/_build/html                 all pages, at 1280 and 390 pixels
python docs/_look.py docs/_build/html --shots FOLDER  and a picture of each

The exit status is 1 if anything is wrong. It needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTHS = (1280, 390)
TALLEST = 8000  # of a picture [px]; of longer pages the beginning is shown
CHROMIUM = "/usr/bin/chromium"
# What is wider than its box and cannot be scrolled within it, and what a newcomer would miss.
FAULTS = """() => {
    const faults = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth + 1) {
        faults.push(`scrolls sideways by ${root.scrollWidth - root.clientWidth} px`);
    }
    const boxes = '.bd-article pre, .bd-article table, .bd-article img, .bd-article dt';
    for (const box of document.querySelectorAll(boxes)) {
        const seen = box.getBoundingClientRect();
        let frame = box, scrolls = false;
        while (frame && frame !== document.body) {
            scrolls = scrolls || ['auto', 'scroll'].includes(getComputedStyle(frame).overflowX);
            frame = frame.parentElement;
        }
        if (seen.width > 0 && seen.right > root.clientWidth + 1 && !scrolls) {
            faults.push(`${box.tagName} ends ${Math.round(seen.right - root.clientWidth)} px beyond the page`);
        }
    }
    for (const code of document.querySelectorAll('.cell_input pre')) {
        const beyond = code.scrollWidth - code.clientWidth;
        if (beyond > 1) faults.push(`code cut off by ${beyond} px`);
    }
    const side = document.querySelector('.bd-sidebar-primary');
    if (side && side.getBoundingClientRect().width > 0 && !side.querySelector('a')) {
        faults.push('empty side bar');
    }
    return [...new Set(faults)];
}"""


def look(page: Page, address: str, width: int, shot: Path | None) -> list[str]:
    """Faults of one page at one width."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    found: list[str] = page.evaluate(FAULTS)
    if shot is not None:
        height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=shot)
    return found


def main() -> None:
    """Look at all pages, and tell what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("html", type=Path, help="folder of the built pages")
    parser.add_argument("--shots", type=Path, help="folder for pictures of the pages")
    given = parser.parse_args()
    pages = [path for path in sorted(given.html.rglob("*.html")) if "_modules" not in path.parts]
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        for path in pages:
            name = str(path.relative_to(given.html).with_suffix("")).replace("/", "-")
            for width in WIDTHS:
                shot = given.shots / f"{name}-{width}.png" if given.shots else None
                for fault in look(page, path.resolve().as_uri(), width, shot):
                    print(f"{path.relative_to(given.html)} at {width} px: {fault}")
                    count += 1
        browser.close()
    print(f"{len(pages)} pages, {count} faults")
    sys.exit(bool(count))


if __name__ == "__main__":
    main()
