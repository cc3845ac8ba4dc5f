"""Buttons that label pairs: a prompt, its two responses side by side, and a file that every choice goes to at once.

As with `explore`, two things stand on the page: the live widget, and the first question as plain HTML for readers
without a kernel, which the live one hides.
"""

import html
import os
from collections.abc import Iterable

from IPython.display import display

from rmlib.course.labels import LabelFile
from rmlib.course.questions import Question
from rmlib.course.widgets.view import NO_DEAD_VIEW, show_live
from rmlib.pairs import PreferencePair

NAMES = {"A": "A is better", "B": "B is better", "tie": "tie", "skip": "skip"}
MISSING = "To label here: %pip install anywidget, restart the kernel, reload the page, and run the cells again."
CELL = 'style="width: 50%; text-align: left; vertical-align: top; white-space: pre-wrap; font-size: 1.1em"'


def label(pairs: Iterable[PreferencePair], path: str | os.PathLike, seed: int = 0) -> None:
    """Show the pairs one by one and keep what the reader prefers in the file at `path`, a line for each choice.

    Which response is on the left is drawn from `seed` and the texts. Pairs that the file has labels for are not asked
    again, so this goes on where it stopped; labels of a stand-in don't count.

    Raises ValueError where there are no pairs, or bad ones, or where the file holds a line that is no label.
    """
    file = LabelFile(path, pairs, seed)
    session = Session(file)
    try:
        from rmlib.course.widgets.panel import Panel
    except ModuleNotFoundError:
        print(MISSING)
    else:
        show_live(session.on(Panel()), otherwise="Run this cell in Jupyter to label these pairs.")
    first, total = file.questions[0], len(file.questions)
    display({"text/html": NO_DEAD_VIEW + _static(first, total), "text/plain": _plain(first, total)}, raw=True)


class Session:
    """What the page is to show, and what a button or a key does. The file alone knows what has been labelled."""

    def __init__(self, file: LabelFile) -> None:
        self.file, self.replies = file, 0
        self.view = self._look(file.damage())

    def on(self, panel):
        """The panel, which from now on shows this session."""
        panel.view = self.view

        def received(_panel: object, content: dict, _buffers: object) -> None:
            self.answer(content.get("question"), content.get("verdict"))
            panel.view = self.view

        panel.on_msg(received)
        return panel

    def answer(self, question: int | None, verdict: str) -> None:
        """Do what was pressed while `question` (its number, None at the end) was on the page.

        A press that a slow kernel gets after the question was answered, here or on another page, does nothing.
        """
        self.replies += 1
        try:
            asked = self._look("")["question"]
            told = self._do(asked, verdict) if question == asked else self.view["told"]
            self.view = self._look(told)
        except (OSError, ValueError) as error:  # Jupyter would log it where no reader looks
            self.view = self.view | {"replies": self.replies, "told": "", "alarm": f"This was not stored. {error}"}

    def _do(self, question: int | None, verdict: str) -> str:
        if verdict == "undo":
            return "Taken back." if self.file.undo() else "There is nothing to take back."
        if question is None:
            return ""
        self.file.add(self.file.questions[question], verdict)
        return f"Saved: {NAMES[verdict]}."

    def _look(self, told: str) -> dict:
        waiting, questions = self.file.waiting(), self.file.questions
        view = {"replies": self.replies, "total": len(questions), "done": len(questions) - len(waiting),
                "told": told, "alarm": "", "question": None, "prompt": "", "left": "", "right": ""}
        if not waiting:
            return view | {"prompt": f"Done. {self.file.summary()}. They are in {self.file.path.name}."}
        first = waiting[0]
        return view | {"question": questions.index(first), "prompt": first.prompt.strip(),
                       "left": first.left, "right": first.right}


def _static(question: Question, total: int) -> str:
    prompt, left, right = map(html.escape, (question.prompt.strip(), question.left, question.right))
    return (f"<p><strong>Question 1 of {total}.</strong> Which response is better?</p>\n"
            f'<table><thead><tr><th colspan="2" {CELL}>{prompt}</th></tr></thead>\n'
            f"<tbody><tr><th {CELL}>A</th><th {CELL}>B</th></tr>\n"
            f"<tr><td {CELL}>{left}</td><td {CELL}>{right}</td></tr></tbody></table>\n"
            "<p><em>Run this cell in Jupyter to choose: A, B, tie or skip.</em></p>")


def _plain(question: Question, total: int) -> str:
    return f"Question 1 of {total}: {question.prompt.strip()}\nA: {question.left}\nB: {question.right}"
