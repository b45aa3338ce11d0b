"""The page of report() in headless Chromium: what is shown, what is clicked, and that it needs nobody else."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_runs import DATES, small_run, stores

import xoffset
from xoffset.report import nodes

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the page is tested with playwright, which is not installed"
)
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
# Nodes along a side that series are held at here, so that most nodes of the map have none.
SIDE = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "run <b> & co"
    small_run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "MOST_NODES", SIDE)
        path = xoffset.report(folder)
    products = {
        name: xoffset.open_result(folder / f"{name}.zarr").load() for name in ("velocity", "series", "corrected")
    }
    return path, products


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here to show the page: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which shows the page, is not installed")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def shown(browser):
    """Opens a page, and fails at the end if it complained or asked for anything that is not in it."""
    told, asked, opened = [], [], []

    def show(path, *, width=1280, height=900, before="", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        page = context.new_page()
        opened.append(context)
        page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        if before:
            page.add_init_script(before)
        page.goto(Path(path).as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_function("document.body.dataset.ready")
        return page

    yield show
    for context in opened:
        context.close()
    assert told == []
    assert [
        url for url in asked if not url.startswith(("data:", "blob:")) and not url.endswith(("report.html", "map.html"))
    ] == []


def data_of(page):
    return json.loads(page.locator("#data").text_content())


def click_node(page, product, row, column):
    """Click the node of a product at a row and a column from the north-west."""
    grid = data_of(page)["maps"]["grid"]
    box = page.locator("#map canvas").bounding_box()
    x = box["x"] + (column + 0.5) * box["width"] / grid["columns"]
    y = box["y"] + (row + 0.5) * box["height"] / grid["rows"]
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    return product.sortby("y", ascending=False).isel(y=row, x=column)


def numbers(text):
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", text)]


def test_the_page_loads_without_complaints_or_requests(run, shown):
    page = shown(run[0])
    assert page.title() == "run <b> & co: report of generic"
    assert page.locator("h1").inner_text() == "run <b> & co"
    assert page.evaluate("document.body.dataset.ready") == "yes"
    assert page.locator("#series").is_visible()


def test_the_cursor_reads_the_value_and_its_sigma(run, shown):
    page = shown(run[0])
    node = click_node(page, run[1]["velocity"], 12, 10)
    x, y = (float(node[name]) for name in ("x", "y"))
    told = page.locator("#reading").inner_text()
    assert told.startswith(f"x {x:.0f}, y {y:.0f} m; speed ")
    speed, sigma, vx, sigma_vx, vy, sigma_vy = numbers(re.sub(r"m yr⁻¹", "", told))[2:]
    step = 0.5 * float(np.hypot(node.sigma_vx, node.sigma_vy))
    assert (vx, vy) == pytest.approx((float(node.vx), float(node.vy)), abs=step)
    assert (sigma_vx, sigma_vy) == pytest.approx((float(node.sigma_vx), float(node.sigma_vy)), rel=0.1)
    assert speed == pytest.approx(float(np.hypot(node.vx, node.vy)), abs=step)
    assert 0.9 * min(sigma_vx, sigma_vy) <= sigma <= 1.1 * max(sigma_vx, sigma_vy)


def test_a_click_shows_the_series_of_the_nearest_node_that_has_one(run, shown):
    page = shown(run[0])
    chosen = click_node(page, run[1]["velocity"], 11, 9)
    held = data_of(page)["nodes"]
    assert len(held["x"]) <= SIDE
    x, y = (min(held[name], key=lambda each, name=name: abs(each - float(chosen[name]))) for name in ("x", "y"))
    page.wait_for_function(f"document.getElementById('series-title').textContent.includes('x {x:.0f}, y {y:.0f} m')")
    away = float(np.hypot(x - chosen.x, y - chosen.y))
    assert away > 0.0
    assert f"{away:.4g} m from the place" in page.locator("#series-note").inner_text()

    series = run[1]["series"].sel(x=x, y=y)
    page.locator("#series summary").click()
    rows = [row.inner_text().split("\t") for row in page.locator("#series-table tbody tr").all()]
    dates = rows[: series.sizes["time"]]
    assert [row[0] for row in dates] == [str(each)[:10] for each in series.time.values]
    for k, name in ((1, "dx"), (2, "dy")):
        for row, value, sigma in zip(dates, series[name].values, series[f"sigma_{name}"].values, strict=True):
            told = numbers(row[k])
            assert told[0] == pytest.approx(float(value), abs=0.3 * max(float(sigma), held["series"][name]["step"]))
            if len(told) > 1:
                assert told[1] == pytest.approx(float(sigma), rel=0.1)
    pairs = run[1]["corrected"].sel(x=x, y=y)
    known = np.isfinite(pairs.dx.values) & np.isfinite(pairs.dy.values)
    of_pairs = rows[series.sizes["time"] :]
    assert len(of_pairs) == known.sum()
    for row, value in zip(of_pairs, pairs.dx.values[known], strict=True):
        assert numbers(row[1])[0] == pytest.approx(float(value), abs=held["pairs"]["dx"]["step"])
    assert page.locator("#chart-x").get_attribute("data-points") == str(int(np.isfinite(series.dx.values).sum()))


def test_layers_switch(run, shown):
    page = shown(run[0])
    click_node(page, run[1]["velocity"], 12, 10)
    layers = data_of(page)["maps"]["layers"]
    before = page.evaluate("document.querySelector('#map canvas').toDataURL()")
    for number, layer in enumerate(layers):
        page.locator("#layer").select_option(str(number))
        page.wait_for_function(f"document.getElementById('map').dataset.shown === '{number}'")
        told = page.locator("#reading").inner_text()
        assert layer["of"] == "class" or layer["title"] in told
    assert page.evaluate("document.querySelector('#map canvas').toDataURL()") != before
    number, reasons = next((k, layer) for k, layer in enumerate(layers) if layer["of"] == "class")
    page.locator("#layer").select_option(str(number))
    page.wait_for_function(f"document.getElementById('map').dataset.shown === '{number}'")
    assert page.locator("#bar .patch").count() == len(reasons["labels"])


def test_the_map_is_painted_in_the_colours_of_its_values(run, shown):
    page = shown(run[0])
    pixels = np.array(
        page.evaluate(
            "(() => { const c = document.querySelector('#map canvas');"
            " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; })()"
        )
    ).reshape(*run[1]["velocity"]["vx"].shape, 4)
    velocity = run[1]["velocity"].sortby("y", ascending=False)
    is_unknown = velocity.vx.isnull().values
    assert (pixels[is_unknown][:, :3] == 178).all()
    speed = np.hypot(velocity.vx, velocity.vy).values
    # fast is dark
    assert pixels[np.nanargmax(speed) // speed.shape[1], np.nanargmax(speed) % speed.shape[1], :3].sum() < 200
    assert pixels[np.nanargmin(speed) // speed.shape[1], np.nanargmin(speed) % speed.shape[1], :3].sum() > 500


def test_the_keyboard_moves_the_cursor_and_draws(run, shown):
    page = shown(run[0])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    assert page.evaluate("document.activeElement.id") == "map"
    page.keyboard.press("ArrowRight")
    first = numbers(page.locator("#reading").inner_text())[:2]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    second = numbers(page.locator("#reading").inner_text())[:2]
    assert np.subtract(second, first).tolist() == [80.0, -80.0]
    page.keyboard.press("Shift+ArrowUp")
    assert numbers(page.locator("#reading").inner_text())[1] > second[1]
    before = page.locator("#series-title").inner_text()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.getElementById('series-title').textContent !== {json.dumps(before)}")


def test_dates_of_the_network_can_be_chosen(run, shown):
    page = shown(run[0])
    page.locator('#network g.date[data-date="2"]').click()
    told = page.locator("#date-told")
    assert told.locator("strong").inner_text() == str(DATES[2])
    pairs = run[1]["corrected"]
    ends = [pairs[name].values.astype("datetime64[D]") for name in ("reference", "secondary")]
    of_date = [k for k in range(pairs.sizes["pair"]) if DATES[2] in (ends[0][k], ends[1][k])]
    assert told.locator("li").count() == len(of_date)
    share = 100.0 * float(pairs.dx.isel(pair=of_date[0]).notnull().mean())
    assert numbers(told.locator("li").first.inner_text().split(":")[1])[0] == pytest.approx(share, abs=0.06)
    assert page.locator("#network .pair.chosen").count() == len(of_date)
    page.keyboard.press("ArrowRight")
    assert told.locator("strong").inner_text() == str(DATES[3])
    page.locator('#dates button[data-date="5"]').click()
    assert told.locator("strong").inner_text() == str(DATES[5])
    assert page.locator("#dates tr.chosen th").inner_text() == str(DATES[5])


def test_pairs_of_both_ways_are_told_apart(shown, tmp_path):
    stack, _ = xoffset.synthetic.stack((96, 96), dates=DATES[:3])
    shifts = xoffset.correlate(stack, xoffset.pairs(stack, direction="both"), search=4)
    page = shown(xoffset.report(stores(tmp_path, shifts=shifts)))
    assert page.locator("#ways-back").is_visible()
    assert "3 pairs of 3 dates (matched both ways)" in page.locator(".verdict").inner_text()
    page.locator('#network g.date[data-date="1"]').click()
    told = page.locator("#date-told").inner_text()
    assert "4 pairs" in told
    assert all(f"{DATES[a]} to {DATES[b]}" in told for a, b in ((0, 1), (1, 0), (1, 2), (2, 1)))
    assert page.locator("#dates tr.chosen td").first.inner_text() == "4"
    # what goes back hangs below the dates, and in the picture
    arcs = {each.get_attribute("data-pair"): each.bounding_box() for each in page.locator("#network .pair").all()}
    box, dot = (page.locator(name).first.bounding_box() for name in ("#network svg", "#network .dot"))
    line = dot["y"] + dot["height"] / 2
    for k, (first, second) in enumerate(zip(shifts.reference.values, shifts.secondary.values, strict=True)):
        arc = arcs[str(k)]
        assert (arc["y"] + arc["height"] / 2 > line) == (first > second)
        assert arc["y"] + arc["height"] <= box["y"] + box["height"]


def test_the_map_zooms_and_comes_back(run, shown):
    page = shown(run[0])
    width = page.locator("#map canvas").bounding_box()["width"]
    page.locator("#map").focus()
    page.keyboard.press("+")
    page.wait_for_function(f"document.querySelector('#map canvas').getBoundingClientRect().width > {1.5 * width}")
    page.locator("#home").click()
    page.wait_for_function(f"document.querySelector('#map canvas').getBoundingClientRect().width < {1.1 * width}")


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_and_nothing_scrolls_sideways(run, shown, width):
    page = shown(run[0], width=width)
    page.locator('#network g.date[data-date="1"]').click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 20
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_browser_that_cannot_unpack_shows_a_picture(run, shown):
    page = shown(run[0], before="delete window.DecompressionStream")
    assert page.evaluate("document.body.dataset.ready") == "picture"
    assert page.locator("#poster").is_visible()
    assert page.locator("#poster").evaluate("image => image.naturalWidth") == run[1]["velocity"].sizes["x"]
    assert "This is a picture of the map only" in page.locator("#reading").inner_text()


def test_a_browser_without_webgl_misses_nothing(run, shown):
    page = shown(run[0], before="delete window.WebGLRenderingContext; delete window.WebGL2RenderingContext")
    assert page.evaluate("document.body.dataset.ready") == "yes"


def test_without_scripts_there_is_a_picture_and_all_tables(run, shown):
    page = shown(run[0], java_script_enabled=False)
    assert page.locator("#poster").is_visible()
    assert not page.locator("#map").is_visible()
    assert page.locator("#losses-part table").count() > 0


def test_it_prints(run, shown):
    page = shown(run[0])
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#map canvas").is_visible()
    assert len(page.pdf(format="A4")) > 20_000


def test_the_map_of_a_notebook_is_that_of_the_product(run, shown, tmp_path):
    _, products = run
    rate, series, shifts = products["velocity"], products["series"], products["corrected"]
    view = rate.offset.explore(series=series, shifts=shifts, height=700)
    page = shown(view.save(tmp_path / "map.html"))
    speed = np.hypot(rate.vx, rate.vy)
    at = speed.argmax(["y", "x"])
    row, column = rate.sizes["y"] - 1 - int(at["y"]), int(at["x"])
    grid = json.loads(page.locator("#data").text_content())["maps"]["grid"]
    box = page.locator("#map canvas").bounding_box()
    page.mouse.move(
        box["x"] + (column + 0.5) / grid["columns"] * box["width"],
        box["y"] + (row + 0.5) / grid["rows"] * box["height"],
    )
    told = page.locator("#reading").text_content()
    value, sigma = map(float, re.search(r"speed ([\d.]+) ± ([\d.]+)", told).groups())
    assert value == pytest.approx(float(speed.max()), abs=sigma)
    assert page.locator("#chart-x").get_attribute("data-points") == str(series.sizes["time"])
    assert page.locator("#network").count() == 0


def test_a_notebook_shows_the_map_in_a_frame(run, browser, tmp_path):
    (tmp_path / "notebook.html").write_text(run[1]["velocity"].offset.explore(height=640)._repr_html_())
    page = browser.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready=yes]").wait_for()
    assert frame.locator("#map canvas").count() == 1
    assert page.locator("iframe").bounding_box()["height"] == 640
