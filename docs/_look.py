# ruff: noqa: T201
"""Look at the built pages in a browser: which of them scroll sideways, cut off code, or have an empty side bar?

python docs/_look.py docs/_build/html                 all pages, at 1280 and 390 pixels
python docs/_look.py docs/_build/html --shots FOLDER  and a picture of each
python docs/_look.py docs/_build/html --axe           and what axe finds that is serious for readers with a handicap

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
AXE = Path(__file__).parents[1] / "tests" / "report" / "vendor" / "axe-core" / "axe.min.js"
# Faults of readers by ear or by keyboard; style sheets cannot be read once more from a file.
SERIOUS = """async () => {
    const found = await axe.run(document, {resultTypes: ['violations'], preload: false});
    return found.violations.filter((each) => ['serious', 'critical'].includes(each.impact)).map(
        (each) => `${each.id}, ${each.nodes.length} times: ${each.nodes[0].html.slice(0, 100)}`);
}"""
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


def look(page: Page, address: str, width: int, shot: Path | None, *, with_axe: bool) -> list[str]:
    """Faults of one page at one width."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    found: list[str] = page.evaluate(FAULTS)
    if with_axe:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found += page.evaluate(SERIOUS)
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
    parser.add_argument("--axe", action="store_true", help="run axe, which takes minutes")
    given = parser.parse_args()
    pages = [path for path in sorted(given.html.rglob("*.html")) if not {"_modules", "_static"} & set(path.parts)]
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        for path in pages:
            name = str(path.relative_to(given.html).with_suffix("")).replace("/", "-")
            for width in WIDTHS:
                shot = given.shots / f"{name}-{width}.png" if given.shots else None
                for fault in look(page, path.resolve().as_uri(), width, shot, with_axe=given.axe):
                    print(f"{path.relative_to(given.html)} at {width} px: {fault}")
                    count += 1
        browser.close()
    print(f"{len(pages)} pages, {count} faults")
    sys.exit(bool(count))


if __name__ == "__main__":
    main()
