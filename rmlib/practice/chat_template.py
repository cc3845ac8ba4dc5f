"""A reward model's rendering as a tokenizer of transformers alone: special tokens and all are in its chat template."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

import rmlib
from rmlib.encoding import EncodingSpec, encode
from rmlib.model import RewardModel
from rmlib.model.saving import CANARIES
from rmlib.model.scoring import score_encoded
from rmlib.pairs import PreferencePair, Turn
from rmlib.pairs.turns import ASSISTANT, MARKERS

TEMPLATE = Path(rmlib.__file__).parent / "assets" / "chat_template.jinja"
PROBES = [
    PreferencePair((Turn("system", "Be brief."), Turn("user", "Two lines?")), "One.\nTwo.", '"1", (2) and 3...'),
    PreferencePair("Is it so?\n\n- yes\n- no", "\nYes: so it is.", "  7 + 5 = 12"),
]


@dataclass(frozen=True)
class ScoredText:
    """A conversation and a response: their tokens and their reward, to compare with."""

    turns: tuple[Turn, ...]
    response: str
    tokens: list[int]
    reward: float

    def inputs(self, tokenizer, segments: bool) -> dict[str, list[int]]:
        """What a user of the exported tokenizer makes of them: one text, or two where token types matter."""
        messages = [{"role": role, "content": text} for role, text in self.turns]
        if segments:
            prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return tokenizer(prompt, self.response)
        messages.append({"role": "assistant", "content": self.response})
        return tokenizer.apply_chat_template(messages, return_dict=True)


def scored_texts(model: RewardModel) -> list[ScoredText]:
    """Canaries that fit the window, and how the model reads and scores them. Raises ValueError where none fits."""
    # A chat template may refuse a system turn, and is taken as it is: it needs no probing.
    pairs = CANARIES if model.encoding.rendering == "template" else CANARIES + PROBES
    encoded = encode(model.tokenizer, pairs, model.encoding)
    scores = score_encoded(model, encoded)  # (2, canaries)
    texts = [
        ScoredText(pair.turns, response, tokens.tolist(), reward)
        for pair, ids, rewards in zip(pairs, encoded, scores.T.tolist()) if not ids.prompt_cut and not ids.response_cut
        for response, tokens, reward in zip((pair.chosen, pair.rejected), (ids.chosen, ids.rejected), rewards)
    ]
    if not texts:
        raise ValueError(f"a window of {model.encoding.max_length} tokens is too small to compare anything in")
    return texts


def segments_matter(model: RewardModel) -> bool:
    """Whether rewards depend on token types: not every backbone looks at those that its tokenizer gives."""
    batch = model.collate(encode(model.tokenizer, CANARIES, model.encoding))
    with torch.inference_mode():
        return "token_type_ids" in batch and not torch.equal(
            model(**batch), model(**batch | {"token_type_ids": torch.zeros_like(batch["token_type_ids"])}))


def templated_tokenizer(model: RewardModel, texts: list[ScoredText], segments: bool) -> PreTrainedTokenizerFast:
    """The model's tokenizer, which pads by a token that ends no text, with a chat template that writes its rendering.

    A single text gets no special tokens from it but those that the template wrote; two texts, prompt and response, get
    the encoding's own, and token types where `segments`. Raises ValueError for a slow tokenizer, or where no such
    template gives the tokens of `texts`.
    """
    old, spec = model.tokenizer, model.encoding
    if not old.is_fast:
        raise ValueError("the export needs a fast tokenizer, one that tokenizer.json can hold")
    named = {name: token for name, token in old.special_tokens_map.items() if isinstance(token, str)}
    inputs = ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"]
    made = PreTrainedTokenizerFast(
        tokenizer_object=copy.deepcopy(old.backend_tokenizer), **named, model_max_length=spec.max_length,
        padding_side="right", truncation_side="left", model_input_names=inputs,
    )
    prefix, between, suffix = (old.convert_ids_to_tokens(list(ids)) for ids in (spec.prefix, spec.between, spec.suffix))
    first, second = "0", str(int(segments))
    pair = [*(f"{token}:{first}" for token in prefix), f"$A:{first}", *(f"{token}:{first}" for token in between),
            f"$B:{second}", *(f"{token}:{second}" for token in suffix)]
    ids = dict(zip(prefix + between + suffix, spec.prefix + spec.between + spec.suffix))
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(["$A:0"], pair, list(ids.items()))
    if made.pad_token_id in {None, made.eos_token_id, *(text.tokens[-1] for text in texts)}:
        made.add_special_tokens({"pad_token": "<|pad|>"})
    for template in _templates(spec, *map("".join, (prefix, between, suffix)), segments):
        made.chat_template = template or old.chat_template
        if all(text.inputs(made, segments)["input_ids"] == text.tokens for text in texts):
            return made
    raise ValueError("no chat template gives this model's tokens: its tokenizer reads the prompt or the response "
                     "otherwise where one follows the other")


def _templates(spec: EncodingSpec, prefix: str, between: str, suffix: str, segments: bool) -> Iterator[str]:
    """Templates to try, "" for the tokenizer's own: some tokenizers set a space before whatever begins a text."""
    if spec.rendering == "template":
        yield ""
        return
    for space in ("", " "):
        for lead in dict.fromkeys((spec.lead, "")):
            values = {"markers": MARKERS, "assistant": ASSISTANT, "bare": spec.rendering == "prompt",
                      "segments": segments, "before": prefix + space, "between": between + lead, "after": suffix}
            head = (f"{{%- set {name} = {json.dumps(value, ensure_ascii=False)} -%}}" for name, value in values.items())
            yield "\n".join([*head, TEMPLATE.read_text(encoding="utf-8")])
