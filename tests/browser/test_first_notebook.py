"""The first five minutes, as somebody with a browser has them."""

import os
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(170)]


def keep(part: Any, name: str) -> None:
    """Keep a picture of the page, or of a part of it, for those who want to look, if they say where."""
    if folder := os.environ.get("MCP_WORKBENCH_SCREENSHOTS"):
        part.screenshot(path=f"{folder}/{name}.png")


def test_a_newcomer_runs_the_first_notebook_fills_the_form_and_reads_the_result(first_notebook: Any) -> None:
    from playwright.sync_api import expect

    page = first_notebook
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    form = page.locator(".jupyter-widgets-output-area, .jp-OutputArea-output").filter(has=page.get_by_label("Tool"))
    form.first.scroll_into_view_if_needed()
    tool = form.get_by_label("Tool", exact=True)
    expect(tool).to_have_value("convert_time")
    keep(page, "form")

    form.get_by_label("source_timezone (required)").fill("Asia/Kolkata")
    form.get_by_label("time (required)", exact=True).fill("09:30")
    form.get_by_label("target_timezone (required)").fill("Asia/Tokyo")
    # By keyboard: the button is reached and pressed without a mouse.
    form.get_by_role("button", name="Run").focus()
    page.keyboard.press("Enter")
    expect(form.get_by_text("over stdio")).to_be_visible()
    expect(form.get_by_text('"time_difference": "+3.5h"')).to_be_visible()
    expect(form.get_by_role("row").filter(has_text="convert_time").first).to_contain_text("ok")
    keep(page, "page")
    keep(form.last, "result")

    # What fails is told in words.
    form.get_by_label("source_timezone (required)").fill("Mars/Olympus")
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_text("ERROR", exact=True)).to_be_visible()
    expect(form.get_by_text("No time zone found with key Mars/Olympus").first).to_be_visible()
    keep(page, "error")


def test_every_input_of_the_form_has_a_label_and_the_form_changes_with_the_tool(first_notebook: Any) -> None:
    from playwright.sync_api import expect

    form = first_notebook.locator(".jp-OutputArea-output").filter(has=first_notebook.get_by_label("Tool"))
    unlabelled = form.first.evaluate(
        "form => [...form.querySelectorAll('input, select, textarea')].filter(each => !each.labels?.length).length"
    )
    assert unlabelled == 0
    form.get_by_label("Tool", exact=True).select_option("get_current_time")
    expect(form.get_by_label("timezone (required)", exact=True)).to_be_visible()
    expect(form.get_by_label("source_timezone (required)")).to_have_count(0)
