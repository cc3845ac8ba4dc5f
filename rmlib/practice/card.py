"""The model card, `README.md`: what a saved or exported model was trained on, what it measured and how it is used.

It names the weights that it was written for, and is read again for those only.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from rmlib.evaluation import Evaluation
from rmlib.files import atomic_write_text, sha256
from rmlib.model import RewardModel
from rmlib.model.saving import CARD, WEIGHTS
from rmlib.settings import ASSETS

USE = """\
messages = [{"role": "user", "content": "..."}, {"role": "assistant", "content": "the response"}]
inputs = tokenizer.apply_chat_template(messages, return_dict=True, return_tensors="pt")"""
USE_OF_TWO_TEXTS = """\
messages = [{"role": "user", "content": "..."}]
prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
inputs = tokenizer(prompt, "the response", return_tensors="pt")"""


def write_card(directory: str | os.PathLike, model: RewardModel, training: Mapping[str, Any], evaluation: Evaluation,
               verdict: str) -> None:
    """Write the card of the model saved in `directory`: from what was told of its training, its figures and a verdict.

    training: `settings`, by name; `data`, its name, sha256 and counts; `backbone`, a hub id or a directory;
    `evaluated_on`, the name of pairs that were not held out of the data. Of what is not there the card says nothing.
    """
    directory = Path(directory).resolve()
    data, backbone = training.get("data", {}), training.get("backbone")
    told = {"backbone": Path(backbone).name if backbone else None, **data}
    told = {key.replace("_", " "): value for key, value in told.items() if value is not None}
    evaluated_on = training.get("evaluated_on") or f"held out of {data.get('name', 'unnamed pairs')}"
    result = EvalResult(
        task_type="text-classification", dataset_type="preference-pairs", metric_type="accuracy",
        dataset_name=evaluated_on, metric_value=round(evaluation.accuracy, 4))
    front = ModelCardData(
        base_model=backbone if backbone and not Path(backbone).exists() else None, tags=["reward-model"],
        library_name="transformers", model_name=directory.name, eval_results=[result])
    page = _filled(
        "model_card.md", name=directory.name, sha256=sha256(directory / WEIGHTS), data=_table(told),
        settings=_table(training.get("settings", {})), rendering=_rendering(model),
        measured="\n".join(f"- {line}" for line in [f"On {evaluated_on}:", *str(evaluation).splitlines(),
                                                                    *verdict.splitlines()]))
    atomic_write_text(directory / CARD, f"---\n{front.to_yaml()}\n---\n\n{page}")


def write_export_card(directory: Path, name: str, source: Path, model: RewardModel, facts: Mapping[str, Any]) -> None:
    """Write the card of an export, which goes on with what the card in `source` says of the model.

    facts: kind (of class), head (what its first linear map is followed by), worst (difference), shift, sides, segments.
    """
    segments, sides, encoding = facts["segments"], facts["sides"], model.encoding
    of_two = encoding.rendering == "prompt"
    page = _filled(
        "export_card.md", name=name, kind=facts["kind"], worst=f"{facts['worst']:.1g}", window=encoding.max_length,
        use=USE_OF_TWO_TEXTS if segments else USE, sides=" or the ".join(sides),
        wrong_side="" if len(sides) > 1 else "Padded on the other side it gives other rewards, without a word.",
        pipeline='`{"text": prompt, "text_pair": response}`, with the prompt rendered as above' if segments else
                 "what `apply_chat_template(messages, tokenize=False)` gives",
        shift=f"All rewards are lower by {facts['shift']:.6g}, the bias of the head, for which the class has no place."
              if facts["shift"] else "",
        truncation='does the same for two texts, `tokenizer(prompt, response, truncation="only_first")`, as long as '
                   "the response alone fits, and must not truncate a conversation in one text." if of_two else
                   "can't: leave out whole turns before.",
        head="The head can be trained further." if facts["head"] == "score" else
             "The head writes one linear map through the layers that the class has: for use, not for further training.")
    card = source / CARD
    front, told = ModelCardData(tags=["reward-model"]), f"## Rendering\n\n{_rendering(model)}\n"
    if card.is_file() and sha256(source / WEIGHTS) in card.read_text(encoding="utf-8"):
        front = ModelCard.load(card).data
        told = "## Data" + card.read_text(encoding="utf-8").partition("## Data")[2]
    vars(front).update(library_name="transformers", pipeline_tag="text-classification")
    atomic_write_text(directory / CARD, f"---\n{front.to_yaml()}\n---\n\n{page}{told}")


def _filled(asset: str, **values: Any) -> str:
    return Template((ASSETS / asset).read_text(encoding="utf-8")).substitute(values)


def _rendering(model: RewardModel) -> str:
    return (f"Conversations are rendered as {model.encoding}, in at most {model.encoding.max_length} tokens; the "
            f"vector that is scored is pooled by `{model.pooling}`.")


def _table(values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else "Not known."
