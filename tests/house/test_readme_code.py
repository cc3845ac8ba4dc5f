"""The README's Python runs as it stands there."""

import io
import json
import re
from wsgiref import simple_server

import pytest
from places import ROOT

from rmlib.model import RewardModel

PYTHON = [code for code in re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
          if "import " in code]
MODEL = ROOT / "rmlib" / "assets" / "reward_model"


def block(word: str) -> str:
    [code] = [code for code in PYTHON if word in code]
    return code


@pytest.fixture
def at_the_model(tmp_path, monkeypatch):
    (tmp_path / "model").symlink_to(MODEL)
    monkeypatch.chdir(tmp_path)


def test_best_of_n(at_the_model):
    names: dict = {}
    exec(block("model.rank("), names)
    assert names["best"] == "Paris."


def test_the_service_answers_what_score_gives(at_the_model, monkeypatch):
    class Server:
        def __init__(self, host, port, answer):
            names["answer"] = answer

        def serve_forever(self):
            pass

    names: dict = {}
    monkeypatch.setattr(simple_server, "make_server", Server)
    exec(block("make_server("), names)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    asked = {"messages": messages, "responses": ["Paris.", "No."]}
    body, said = json.dumps(asked).encode(), []
    given = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    [answer] = names["answer"](given, lambda status, headers: said.append(status))
    expected = RewardModel.from_pretrained(MODEL).score(asked["messages"], asked["responses"])
    assert said == ["200 OK"] and json.loads(answer)["rewards"] == pytest.approx(expected, abs=1e-6)


def test_the_rest_imports_what_there_is():
    for code in PYTHON:
        for line in re.findall(r"^from rmlib.*", code, re.M):
            exec(line, {})
