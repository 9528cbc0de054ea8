"""Compare shows the numbers of runs at chosen steps, and copies them as Markdown, LaTeX and CSV."""

import csv
import io

import holter
from dashboard_page import expect
from holter import analysis


def test_table_and_copies_match_the_analysis(runs_page, runs_root):
    page = runs_page.open("run=prose&run=code")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("2")
    page.get_by_label("at steps").fill("119, 300")
    page.locator("#compare-form").get_by_role("button", name="Compare", exact=True).click()
    table = page.locator("#compare-table")
    labels = ["prose", "code"]  # the oldest first
    expected = analysis.compare([holter.open_run(runs_root / label) for label in labels], at=[119, 300])

    expect(table.locator("tbody .sort")).to_have_text([row.label for row in expected.rows])
    expect(table.locator("thead th")).to_have_text(["", *labels])
    for index, row in enumerate(expected.rows):
        cells = table.locator("tbody tr").nth(index)
        expect(cells.locator("td .text")).to_have_text([cell.text for cell in row.cells])
        expect(cells.locator("td.best")).to_have_count(len(row.best))

    def copied(name):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#toast")).to_have_text(f"{name} copied")
        return page.evaluate("() => navigator.clipboard.readText()")

    assert copied("Markdown") == expected.to_markdown()
    assert "tabular" in copied("LaTeX")
    assert len(list(csv.reader(io.StringIO(copied("CSV"))))) >= len(expected.rows)


def test_steps_are_in_the_url_and_runs_can_be_sorted(runs_page):
    page = runs_page.open("tab=compare&at=300&run=prose&run=code")
    table = page.locator("#compare-table")
    expect(page.get_by_label("at steps")).to_have_value("300")
    row = table.locator("tbody tr", has_text="300").first
    expect(row).to_be_visible()
    expect(table).to_have_attribute("aria-busy", "false")
    texts = row.locator(".text").all_inner_texts()
    ascending = sorted(texts, key=float)
    row.locator(".sort").click()
    expect(row.locator("th")).to_have_attribute("aria-sort", "ascending")
    expect(row.locator(".text")).to_have_text(ascending)
    row.locator(".sort").click()
    expect(row.locator("th")).to_have_attribute("aria-sort", "descending")
    expect(row.locator(".text")).to_have_text(ascending[::-1])


def test_more_metrics_and_no_selected_runs(runs_page):
    page = runs_page.open("tab=compare&metric=grad_norm_total&run=prose")
    expect(page.locator("#compare-table")).to_contain_text("grad_norm_total")
    page.get_by_role("button", name="none", exact=True).click()
    expect(page.locator("#compare-message")).to_contain_text("Select one or more runs")
    expect(page.get_by_role("button", name="Markdown")).to_be_disabled()
