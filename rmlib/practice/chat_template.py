"""A reward model's rendering as a tokenizer of transformers alone: its chat template writes special tokens and all."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from rmlib.encoding import EncodingSpec, encode
from rmlib.model import RewardModel
from rmlib.model.saving import CANARIES
from rmlib.model.scoring import score_encoded
from rmlib.pairs import ASSISTANT, PreferencePair, Turn
from rmlib.pairs.turns import MARKERS
from rmlib.settings import ASSETS

TEMPLATE = ASSETS / "chat_template.jinja"
PROBES = [
    PreferencePair((Turn("system", "Be brief."), Turn("user", "Two lines?")), "One.\nTwo.", '"1", (2) and 3...'),
    PreferencePair("Is it so?\n\n- yes\n- no", "Yes: so it is.", "7 + 5 = 12"),
]
# What becomes of turns before anything here sees them.
CLEANED = """\
{%- set cleaned = namespace(turns=[]) -%}
{%- for message in messages -%}
{%- if message.content is string -%}
{%- set message = dict(message, content=message.content.replace("\\r\\n", "\\n").replace("\\r", "\\n").strip()) -%}
{%- endif -%}
{%- if message.role != "system" or message.content -%}{%- set cleaned.turns = cleaned.turns + [message] -%}{%- endif -%}
{%- endfor -%}
{%- set messages = cleaned.turns -%}
"""


@dataclass(frozen=True)
class ScoredText:
    """A conversation and a response, the tokens that a model makes of them, and its reward."""

    turns: tuple[Turn, ...]
    response: str
    tokens: list[int]
    reward: float

    def inputs(self, tokenizer, segments: bool) -> dict[str, list[int]]:
        """What a user of the export makes of them: one text, or two where token types matter."""
        messages = [{"role": role, "content": text} for role, text in self.turns]
        if segments:
            prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return tokenizer(prompt, self.response)
        messages.append({"role": "assistant", "content": self.response})
        return tokenizer.apply_chat_template(messages, return_dict=True)


def scored_texts(model: RewardModel) -> list[ScoredText]:
    """Canaries and probes that fit the window, to compare with. Raises ValueError where none fits."""
    # The tokenizer's own template may refuse a system turn; it is taken as it is, and needs no probing.
    pairs = CANARIES if model.encoding.rendering == "template" else CANARIES + PROBES
    encoded = encode(model.tokenizer, pairs, model.encoding)
    rewards = score_encoded(model, encoded).T.tolist()
    texts = [
        ScoredText(pair.turns, *text)
        for pair, ids, both in zip(pairs, encoded, rewards) if not ids.prompt_cut
        for text in ((pair.chosen, ids.chosen.tolist(), both[0]), (pair.rejected, ids.rejected.tolist(), both[1]))
    ]
    if not texts:
        raise ValueError(f"a window of {model.encoding.max_length} tokens is too small to compare anything in")
    return texts


def segments_matter(model: RewardModel) -> bool:
    """Whether rewards depend on token types: not every backbone looks at those that its tokenizer gives."""
    batch = model.collate(encode(model.tokenizer, CANARIES, model.encoding))
    types = batch.pop("token_type_ids", None)
    with torch.inference_mode():
        return types is not None and not torch.equal(model(**batch, token_type_ids=types),
                                                     model(**batch, token_type_ids=torch.zeros_like(types)))


def templated_tokenizer(model: RewardModel, texts: list[ScoredText], segments: bool) -> PreTrainedTokenizerFast:
    """The model's tokenizer with a chat template that writes its rendering, and a padding token that ends no text.

    To a single text it adds no special tokens, since the template has written them; to two, prompt and response, it
    adds those of the encoding, and token types where `segments`. Raises ValueError where no template gives the tokens
    of `texts`, or the tokenizer is a slow one.
    """
    old, spec = model.tokenizer, model.encoding
    if not old.is_fast:
        raise ValueError("the export needs a fast tokenizer, one that tokenizer.json can hold")
    made = PreTrainedTokenizerFast(
        tokenizer_object=copy.deepcopy(old.backend_tokenizer), model_max_length=spec.max_length, padding_side="right",
        truncation_side="left", model_input_names=["input_ids", *["token_type_ids"] * segments, "attention_mask"],
        **old.special_tokens_map,
    )
    prefix, between, suffix = ([(token, old.convert_ids_to_tokens(token)) for token in part]
                               for part in (spec.prefix, spec.between, spec.suffix))
    pair = [*(f"{text}:0" for _, text in prefix), "$A:0", *(f"{text}:0" for _, text in between), f"$B:{segments:d}",
            *(f"{text}:{segments:d}" for _, text in suffix)]
    special = {text: token for token, text in prefix + between + suffix}
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(["$A:0"], pair, list(special.items()))
    if made.pad_token_id in {None, made.eos_token_id, *(text.tokens[-1] for text in texts)}:
        made.add_special_tokens({"pad_token": "<|pad|>"})
    marks = ["".join(text for _, text in part) for part in (prefix, between, suffix)]
    own = [old.chat_template] if spec.rendering == "template" else None
    for written in own or _templates(spec, marks, segments):
        made.chat_template = CLEANED + written
        if all(text.inputs(made, segments)["input_ids"] == text.tokens for text in texts):
            return made
    raise ValueError("no chat template gives this model's tokens: its tokenizer reads the prompt or the response "
                     "otherwise where one follows the other")


def _templates(spec: EncodingSpec, marks: list[str], segments: bool) -> Iterator[str]:
    """Templates to try: some tokenizers set a space before whatever begins a text, and not before what goes on."""
    prefix, between, suffix = marks
    for space in ("", " "):
        for lead in ("", " "):
            values = {"markers": MARKERS, "assistant": ASSISTANT, "bare": spec.rendering == "prompt",
                      "segments": segments, "before": prefix + space, "between": between + lead, "after": suffix}
            written = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
            head = "".join(f"{{%- set {name} = {text} -%}}\n" for name, text in written.items())
            yield head + TEMPLATE.read_text(encoding="utf-8")
