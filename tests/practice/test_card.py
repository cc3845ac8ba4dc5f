"""The model card says what a model is, in the hub's form, and never outlives the weights it was made for."""

import pytest
import tiny
from huggingface_hub import ModelCard

from rmlib.evaluation import evaluate
from rmlib.files import sha256
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.practice.card import write_card
from rmlib.practice.export import export

PAIRS = [PreferencePair(f"What is {word}?", "It is green.", "I do not know!") for word in ("grass", "sky", "water")]
TRAINING = {
    "backbone": "owner/encoder",
    "settings": {"epochs": 1, "learning_rate": 5e-5},
    "data": {"name": "chats.jsonl", "sha256": "ab" * 32, "pairs": 12, "conversations": 7},
}


@pytest.fixture
def saved(tmp_path):
    model = tiny.reward_model("distilbert")
    model.save_pretrained(tmp_path / "model")
    write_card(tmp_path / "model", model, TRAINING, evaluate(model, PAIRS), "not shown to be usable: why")
    return model, tmp_path / "model"


def test_it_holds_data_settings_figures_rendering_and_limits(saved):
    model, directory = saved
    card = ModelCard.load(directory / "README.md")
    evaluation = evaluate(model, PAIRS)
    for told in ("| name | chats.jsonl |", "| pairs | 12 |", "| conversations | 7 |", f"| sha256 | {'ab' * 32} |",
                 "| learning_rate | 5e-05 |", f"accuracy {evaluation.accuracy:.3f} (95% interval", "drawn whole: 95%",
                 "baselines: the longer response", f"in at most {model.encoding.max_length} tokens", "pooled by `cls`",
                 "a single question as bare text", "## Limits", sha256(directory / "model.safetensors")):
        assert told in card.text, told
    assert card.data.base_model == "owner/encoder" and "reward-model" in card.data.tags
    [result] = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", round(evaluation.accuracy, 4))
    assert "$" not in card.text


def test_a_local_backbone_is_no_base_model_on_the_hub(saved, tmp_path):
    model, directory = saved
    write_card(directory, model, {"backbone": str(tmp_path)}, evaluate(model, PAIRS), "usable: so")
    card = ModelCard.load(directory / "README.md")
    assert card.data.base_model is None and str(tmp_path) not in card.content and "Not known." in card.text


def test_the_model_loads_with_a_card_and_with_an_edited_one(saved):
    _, directory = saved
    RewardModel.from_pretrained(directory)
    with open(directory / "README.md", "a") as file:
        file.write("\nMine.\n")
    RewardModel.from_pretrained(directory)


def test_saving_another_model_there_removes_it_and_leaves_a_page_of_ones_own(saved):
    model, directory = saved
    model.save_pretrained(directory)
    assert not (directory / "README.md").exists()
    (directory / "README.md").write_text("Mine.")
    model.save_pretrained(directory)
    assert (directory / "README.md").read_text() == "Mine."


def test_an_exports_card_goes_on_with_that_of_the_model(saved, tmp_path):
    _, directory = saved
    export(directory, tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    front = card.data.to_dict()
    assert (front["library_name"], front["pipeline_tag"]) == ("transformers", "text-classification")
    assert card.data.base_model == "owner/encoder" and len(card.data.eval_results) == 1
    for told in ("DistilBertForSequenceClassification", "for use, not for further training", "| pairs | 12 |",
                 "apply_chat_template(messages, return_dict=True", 'truncation="only_first"', "## Limits"):
        assert told in card.text, told
    assert "$" not in card.text and "Written by rmlib" not in card.text


@pytest.mark.parametrize(("family", "told"), [
    ("bert", ["tokenizer(prompt, \"the response\"", '"text_pair": response']),
    ("llama", ["All rewards are lower by 0.5", "can be trained further", "on the left or the right"]),
])
def test_an_exports_card_without_one_of_the_model(family, told, tmp_path):
    model = tiny.reward_model(family)
    model.head.bias.data.fill_(0.5)
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("Mine.")
    export(tmp_path / "model", tmp_path / "out")
    text = ModelCard.load(tmp_path / "out" / "README.md").text
    assert all(each in text for each in [*told, "## Rendering"]) and "Mine." not in text and "## Data" not in text


def test_what_an_exports_card_says_to_run_runs(saved, tmp_path, monkeypatch):
    _, directory = saved
    export(directory, tmp_path / "out")
    code = (tmp_path / "out" / "README.md").read_text().split("```")[1]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["reward"].isfinite()


def test_what_the_hub_reads_of_a_card(saved):
    model, directory = saved
    held_out = evaluate(model, PAIRS)

    def read():
        front = ModelCard.load(directory / "README.md").data.to_dict()
        [model_index] = front.pop("model-index")
        [result] = model_index["results"]
        [metric] = result["metrics"]
        assert (metric["type"], metric["value"]) == ("accuracy", round(held_out.accuracy, 4))
        assert (model_index["name"], result["task"]["type"]) == ("model", "text-classification")
        assert result["dataset"]["type"] == "preference-pairs"
        assert (front.pop("library_name"), front.pop("tags")) == ("transformers", ["reward-model"])
        return front | {"of": result["dataset"]["name"]}

    assert read() == {"of": "held out of chats.jsonl", "base_model": "owner/encoder"}
    write_card(directory, model, {"evaluated_on": "new.jsonl"}, held_out, "usable: so\nsecond line")
    card = ModelCard.load(directory / "README.md")
    assert read() == {"of": "new.jsonl"}
    assert "- On new.jsonl:\n- 3 pairs" in card.text and "\n- usable: so\n- second line\n" in card.text
    write_card(directory, model, {}, held_out, "usable: so")
    assert read() == {"of": "held out of unnamed pairs"}
