"""Compare shows the numbers of a note at steps of one's choice, and gives them as Markdown, LaTeX and CSV."""

import csv
import io

import holter
from dashboard_page import expect
from holter import analysis


def test_values_and_copies(runs_page, runs_root):
    page = runs_page.open("run=prose&run=code")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("2")
    page.get_by_label("at steps").fill("119, 300")
    page.get_by_role("button", name="Compare", exact=True).last.click()
    table = page.locator("#compare-table")
    expect(table).to_contain_text("300")

    labels = table.locator("thead th").all_inner_texts()[1:]
    runs = [holter.open_run(runs_root / label) for label in labels]
    expected = analysis.compare(runs, at=[119, 300])
    expect(table.locator("tbody tr")).to_have_count(len(expected.rows))
    for index, row in enumerate(expected.rows):
        cells = table.locator("tbody tr").nth(index)
        expect(cells.locator(".sort")).to_have_text(row.label)
        assert cells.locator("td .text").all_inner_texts() == [cell.text for cell in row.cells]
        assert cells.locator("td.best").count() == len(row.best)

    page.get_by_role("button", name="Markdown").click()
    expect(page.locator("#toast")).to_have_text("Markdown copied")
    markdown = page.evaluate("() => navigator.clipboard.readText()")
    assert markdown == expected.to_markdown()
    assert markdown.startswith("|")
    page.get_by_role("button", name="LaTeX").click()
    expect(page.locator("#toast")).to_have_text("LaTeX copied")
    assert "tabular" in page.evaluate("() => navigator.clipboard.readText()")
    page.get_by_role("button", name="CSV").click()
    expect(page.locator("#toast")).to_have_text("CSV copied")
    rows = list(csv.reader(io.StringIO(page.evaluate("() => navigator.clipboard.readText()"))))
    assert len(rows) >= len(expected.rows)


def test_steps_stay_in_the_address_and_runs_can_be_sorted(runs_page):
    page = runs_page.open("tab=compare&at=300&run=prose&run=code")
    table = page.locator("#compare-table")
    expect(page.get_by_label("at steps")).to_have_value("300")
    row = table.locator("tbody tr", has_text="300").first
    expect(row).to_be_visible()
    expect(table).to_have_attribute("aria-busy", "false")
    values = [float(text) for text in row.locator(".text").all_inner_texts()]
    row.locator(".sort").click()
    expect(row.locator("th")).to_have_attribute("aria-sort", "ascending")
    assert [float(text) for text in row.locator(".text").all_inner_texts()] == sorted(values)
    row.locator(".sort").click()
    expect(row.locator("th")).to_have_attribute("aria-sort", "descending")
    assert [float(text) for text in row.locator(".text").all_inner_texts()] == sorted(values, reverse=True)


def test_further_metric_and_nothing_to_compare(runs_page):
    page = runs_page.open("tab=compare&metric=grad_norm_total&run=prose")
    expect(page.locator("#compare-table")).to_contain_text("grad_norm_total")
    page.get_by_role("button", name="none", exact=True).click()
    expect(page.locator("#compare-message")).to_contain_text("Select one or more runs")
    expect(page.get_by_role("button", name="Markdown")).to_be_disabled()
