"""The model report: one page that stands alone, for people who do not open notebooks."""

import os

from rmlib.files import atomic_write_text
from rmlib.practice.report.findings import Findings
from rmlib.practice.report.page import Html, element, html_page, joined, paragraph
from rmlib.practice.report.sections import SECTIONS
from rmlib.practice.report.verdict import answer, at_a_glance

__all__ = ["Findings", "report_page", "write_report"]


def write_report(path: str | os.PathLike, findings: Findings) -> None:
    """Write the report as one HTML file, whole or not at all. Raises ValueError where `path` is a directory."""
    atomic_write_text(path, report_page(findings))


def report_page(findings: Findings) -> str:
    """The page: the same findings give the same bytes, so it holds no date and no place on a disk."""
    sections = [(name, title, content) for name, title, write in SECTIONS if (content := write(findings)) is not None]
    title = f"Model report: {findings.model_name} on {findings.found.name}"
    parts = joined(*(_section(*section) for section in sections), by="\n")
    return html_page(title, element("header", _heading(findings), at_a_glance(findings), _contents(sections)),
                 element("main", parts), element("footer", _how_it_was_made(findings)))


def _heading(findings: Findings) -> Html:
    return joined(
        paragraph("Model report", class_="kind"),
        element("h1", findings.model_name, " on ", findings.found.name),
        answer(findings),
        paragraph(
            "A reward model reads a prompt and a response to it and gives one number, its reward. For each pair here "
            "one of two responses had been chosen as the better one. This page tells how often the model gives "
            "that response the higher reward, and how far its numbers can be trusted.", class_="lead"),
    )


def _contents(sections: list[tuple[str, str, Html]]) -> Html:
    links = (element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections)
    return element("nav", element("ol", *links), **{"aria-label": "Parts of this page"})


def _section(name: str, title: str, content: Html) -> Html:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, content, id=name, **{"aria-labelledby": f"{name}-title"})


def _how_it_was_made(findings: Findings) -> Html:
    validation = f" --validation {findings.validation}" if findings.validation else ""
    command = f"python -m rmlib evaluate {findings.model_name} {findings.found.name}{validation} --report FILE"
    return paragraph("Made by ", element("code", command), ". With ", element("code", "--json"), " the same command "
                     "prints the figures for programs. This page loads nothing from elsewhere and runs nothing.")
