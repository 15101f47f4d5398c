"""The report in a real browser."""

import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils.report import page
from tests.report import browser, sample

DESKTOP, PHONE = 1280, 390


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as running:
        yield running


@pytest.fixture
def visit(chromium, tmp_path):
    """Open a report's page."""

    def open_(report, width=DESKTOP, scheme="light"):
        path = tmp_path / "report.html"
        path.write_text(page.render(report), encoding="utf-8")
        return browser.Visit(chromium, path, width=width, scheme=scheme)

    return open_


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("report", [sample.whole, sample.live, sample.stopped, sample.hostile])
def test_the_page_needs_nothing_else_and_fits_the_screen(visit, report, width, tmp_path):
    visited = visit(report(), width)
    visited.page.screenshot(path=tmp_path / "page.png", full_page=True)  # to look at
    assert [url for url in visited.requests if not url.startswith(("file:", "data:"))] == []
    assert [url for url in visited.requests if url.startswith("file:")] == [visited.page.url]
    assert visited.complaints == []
    assert visited.too_wide() <= 0


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_section_is_there_to_be_read(visit, width):
    found = visit(sample.whole(), width).page
    for section in ("stages", "databases", "tables", "findings", "gate", "checkpoints", "run"):
        assert found.locator(f"section#{section} h2").is_visible(), section
    rows = found.locator("#databases tbody tr")
    assert rows.count() == len(sample.DATABASES) + 1
    for name in sample.DATABASES:
        assert found.locator("#databases td.name", has_text=name).is_visible()
    assert "1,224,345" in rows.filter(has_text="shop").inner_text()
    assert "equal" in rows.filter(has_text="shop").inner_text()


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_crossing_shows_its_stall_and_the_lag_before_it(visit, width):
    found = visit(sample.live(), width).page
    shop = found.locator("#crossing tbody tr", has_text="shop")
    assert "43.0 ms" in shop.inner_text()
    assert "source follows" in shop.inner_text()
    found.locator("#tables summary", has_text="shop").click()
    assert found.locator("#tables svg.lag").nth(5).is_visible()


def test_a_databases_tables_and_proof_are_a_click_away(visit):
    found = visit(sample.whole()).page
    table = found.get_by_role("cell", name="public.order_lines")
    assert not table.is_visible()
    found.locator("#tables summary", has_text="shop").click()
    assert table.is_visible()
    assert found.locator("#tables dt", has_text="tables compared").nth(5).is_visible()


def test_a_checkpoint_shows_its_digest_and_evidence(visit):
    found = visit(sample.whole()).page
    found.locator("#checkpoints summary", has_text="window").click()
    inside = found.locator("#checkpoints details[open]")
    inside.locator("summary", has_text="shop").click()
    digest = sample.digest("window", "shop", "run-2")
    assert inside.get_by_text(digest, exact=True).is_visible()
    assert inside.locator("dd", has_text="0/1A2B3C40").last.is_visible()


def test_stages_follow_each_other_on_the_time_axis(visit):
    found = visit(sample.whole()).page
    bands = found.locator(".band")
    lefts = [bands.nth(n).bounding_box()["x"] for n in range(bands.count())]
    assert len(lefts) == len(sample.STAGES)
    assert lefts == sorted(lefts)
    track = found.locator(".track").first.bounding_box()
    last = bands.nth(bands.count() - 1).bounding_box()
    assert last["x"] + last["width"] <= track["x"] + track["width"] + 1


def test_a_failure_comes_first_with_its_state_and_remedy(visit):
    found = visit(sample.stopped()).page
    first = found.locator("main > section").first
    assert first.get_attribute("id") == "failures"
    text = first.inner_text()
    assert "2 rows of public.orders differ" in text
    assert "copy the table again" in text
    assert "The source is fenced and unchanged" in text
    assert found.locator("#databases").get_by_text("different").is_visible()


def test_markup_in_names_is_text(visit):
    found = visit(sample.hostile()).page
    assert "owned" not in found.title().replace(sample.HOSTILE, "")
    assert found.locator("script").count() == 0
    assert found.locator("img").count() == 0
    assert found.locator("[onerror]").count() == 0
    assert sample.HOSTILE in found.locator("#databases").inner_text()


def test_dark_and_light_are_both_readable(visit):
    """Text against its background has the contrast that WCAG 2 asks for (1.4.3, 4.5 to 1)."""
    for scheme in ("light", "dark"):
        found = visit(sample.stopped(), scheme=scheme).page
        for place in ("h1", ".meta", ".failure p", "th", "#databases .mark", ".stage .what span"):
            assert contrast(found, place) >= 4.5, (scheme, place)


def contrast(found, place):
    """Return the ratio of the luminances of an element's text and of what is behind it."""
    colours = found.locator(place).first.evaluate(
        """element => {
          let behind = element;
          while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
            behind = behind.parentElement;
          return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
        }"""
    )
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """Return the relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
