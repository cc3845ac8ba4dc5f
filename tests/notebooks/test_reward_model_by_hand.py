"""The transformer that notebook 05 writes by hand, taken out of its cells and compared with the library's."""

import ast
import contextlib
from pathlib import Path

import pytest
import tiny
import torch
from exercise_cells import is_definition, parsed
from notebook_rules import load
from places import ROOT
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from rmlib.course.model_parts import (
    count_at_full_size,
    count_by_part,
    in_its_template,
    of_full_size,
    refusal,
    rewrite_weights,
    small_reader,
)
from rmlib.course.policy import POLICY
from rmlib.model import RewardModel, position_ids
from rmlib.practice.export import export
from rmlib.settings import EMBEDDED_BACKBONE

NOTEBOOK, SIDE = ROOT / "notebooks/05_reward_model.ipynb", ROOT / "notebooks/side/inside_the_encoder.ipynb"


@pytest.fixture(scope="module")
def by_hand() -> dict[str, object]:
    return definitions(NOTEBOOK)


def definitions(path: Path) -> dict[str, object]:
    """The notebook's imports, functions and literal constants."""
    names: dict[str, object] = {"__name__": path.stem}
    for cell in load(path)["cells"]:
        if cell["cell_type"] == "code" and "setup" not in cell["metadata"].get("tags", []):
            for statement in filter(is_definition, parsed(cell["source"])):
                with contextlib.suppress(NameError):  # a default value that the notebook has computed
                    exec(ast.unparse(statement), names)
    return names


def inputs(side: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = (torch.arange(9) < torch.tensor([9, 6, 2])[:, None]).long()  # (3, 9)
    mask = mask.flip(1) if side == "left" else mask
    return {"input_ids": torch.randint(5, 60, (3, 9), generator=generator), "attention_mask": mask}


@pytest.mark.parametrize("name", ["distilbert", "bert"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_vectors_are_the_library_s(by_hand, name, side):
    backbone, given = tiny.build(name)[0].double(), inputs(side)
    if name == "bert":
        given["token_type_ids"] = torch.randint(2, (3, 9), generator=torch.Generator().manual_seed(1))
    real = given["attention_mask"].bool()
    ours = by_hand["transformer"](backbone, **given)
    with torch.no_grad():
        theirs = backbone(**given, position_ids=position_ids(given["attention_mask"])).last_hidden_state
    assert theirs[real].std() > 0.1
    torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-10)


def test_in_a_causal_transformer_no_token_sees_its_successors(by_hand):
    backbone, given = tiny.build("distilbert")[0].double(), inputs("right")
    other = {**given, "input_ids": given["input_ids"].clone()}
    other["input_ids"][:, 4:] += 1
    for causal in (True, False):
        first, second = (by_hand["transformer"](backbone, **each, causal=causal) for each in (given, other))
        same = (first[:, :4] - second[:, :4]).abs().max() < 1e-12
        assert same == causal


@pytest.mark.parametrize("name", ["distilbert", "bert"])
def test_weights_by_formula_and_by_count(name):
    model = tiny.reward_model(name)
    segments = 2 if name == "bert" else 0
    formula = definitions(SIDE)["number_of_weights"](len(model.tokenizer), tiny.POSITIONS, segments, 32, 64, 2)
    assert count_by_part(model.named_parameters()) == formula
    assert sum(formula.values()) == sum(parameter.numel() for parameter in model.parameters())


def test_a_parameter_of_no_part_is_refused():
    with pytest.raises(ValueError, match="gate.weight belongs to none"):
        count_by_part([("head.weight", torch.zeros(3)), ("gate.weight", torch.zeros(2))])


@pytest.mark.parametrize(("name", "blocks", "weights"), [("distilbert", 6, 66_363_649), ("bert", 12, 108_892_417)])
def test_full_size_is_the_released_models_size(name, blocks, weights):
    assert sum(count_at_full_size(name).values()) == weights
    backbone, given = of_full_size(name)
    assert backbone.config.num_hidden_layers == blocks and not backbone.training
    assert given["attention_mask"].sum(1).tolist() == [24, 15] and ("token_type_ids" in given) == (name == "bert")
    assert {each.shape for each in given.values()} == {(2, 24)} and given["input_ids"].max() < 30_000
    assert name != "bert" or given["token_type_ids"].unique().tolist() == [0, 1]


def test_a_fresh_head_is_as_small_as_the_notebook_says():
    heads = []
    for seed in range(10):
        torch.manual_seed(seed)
        backbone, tokenizer = tiny.build("distilbert")[:2]
        heads.append(RewardModel(backbone=backbone, tokenizer=tokenizer).head.weight)
    assert torch.cat(heads).std().item() == pytest.approx(0.02, rel=0.2)  # 320 numbers: 4 standard errors are 16%


def test_a_saved_model_that_is_rewritten_says_so(tmp_path):
    tiny.reward_model("distilbert").save_pretrained(tmp_path / "saved")
    assert refusal(tmp_path / "saved") == "loaded"
    rewrite_weights(tmp_path / "saved", lambda weights: None)
    assert refusal(tmp_path / "saved") == "loaded"
    rewrite_weights(tmp_path / "saved", lambda weights: weights.update({"head.weight": -weights["head.weight"]}))
    told = refusal(tmp_path / "saved")
    assert told.startswith("saved: the canary texts score ..., but scored ...") and "this is not the model" in told


def test_small_readers_read_alike_and_differ_in_what_is_asked():
    known, drawn, same = (small_reader(POLICY, "last", each) for each in (True, False, False))
    encoder = small_reader(EMBEDDED_BACKBONE, "cls", True)
    assert known.encoding == encoder.encoding and encoder.encoding.max_length == 128
    assert torch.equal(known.head.weight, drawn.head.weight) and known.pooling == "last"
    assert all(map(torch.equal, drawn.parameters(), same.parameters()))
    assert not torch.equal(known.backbone.wte.weight, drawn.backbone.wte.weight)
    assert drawn.backbone.wte.weight.std() < 0.03 < known.backbone.wte.weight.std()


@pytest.mark.parametrize("name", ["distilbert", "bert"])
def test_what_an_export_is_asked_gives_the_reward(tmp_path, name):
    model = tiny.reward_model(name)
    model.save_pretrained(tmp_path / "saved")
    export(tmp_path / "saved", tmp_path / "exported")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported", dtype=torch.float32)
    asked = in_its_template(tokenizer, model, "Is it so?", "Yes, it is.")
    assert isinstance(asked, dict) == (name == "bert")
    told = pipeline("text-classification", model=classifier, tokenizer=tokenizer, device="cpu")([asked])[0]["score"]
    assert told == pytest.approx(model.score("Is it so?", ["Yes, it is."])[0], abs=1e-5, rel=1e-5)
