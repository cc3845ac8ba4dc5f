"""What notebook 04 draws of tokens: the part of a sequence each token of a batch belongs to, and what cuts keep."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from rmlib.course.plots.preference_data_tokens import Kept
from rmlib.encoding import EncodingSpec
from rmlib.pairs import PreferencePair
from rmlib.rendering import tokenize


def boxes_of(tokenizer, batch: Mapping[str, Tensor], starts: Sequence[int]) -> list[list[tuple[str, str]]]:
    """A batch's tokens, each with what it belongs to: "special", "prompt", "response" or "pad".

    batch: input_ids and attention_mask, (B, T); starts: of each row the column at which its response begins.
    """
    def kind(column: int, token: str, is_text: bool, start: int) -> str:
        if not is_text:
            return "pad"
        return "special" if token in tokenizer.all_special_tokens else "response" if column >= start else "prompt"

    rows = zip(batch["input_ids"], batch["attention_mask"].tolist(), starts, strict=True)
    return [[(token, kind(column, token, mask[column] == 1, start))
             for column, token in enumerate(tokenizer.convert_ids_to_tokens(ids))] for ids, mask, start in rows]


def four_cuts(tokenizer, spec: EncodingSpec, pair: PreferencePair, prompt_cut: int) -> dict[str, tuple[Kept, Kept]]:
    """What four ways to cut keep of a pair whose prompt is too long: of each the chosen one, then the rejected.

    The tokenizer's own on the right, its `only_first` on either side, and ours, which drops the prompt's first
    `prompt_cut` tokens.
    """
    prompt, *sizes = map(len, tokenize(tokenizer, [pair.prompt, pair.chosen, pair.rejected]))

    def only_first(side: str) -> list[tuple[int, int]]:
        before, tokenizer.truncation_side = tokenizer.truncation_side, side
        counts = [tokenizer(pair.prompt, response, truncation="only_first",
                            max_length=spec.max_length).sequence_ids().count(0)
                  for response in (pair.chosen, pair.rejected)]
        tokenizer.truncation_side = before
        return [(0, count) if side == "right" else (prompt - count, prompt) for count in counts]

    kept = {"cut on the right": [(0, spec.max_length - 2)] * 2, "only_first": only_first("right"),
            "only_first, left": only_first("left"), "rmlib": [(prompt_cut, prompt)] * 2}
    return {name: tuple(Kept(prompt, part, size, (0, size if name != "cut on the right" else 0))
                        for part, size in zip(parts, sizes, strict=True)) for name, parts in kept.items()}
