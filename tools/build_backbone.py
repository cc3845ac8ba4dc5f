"""Build the embedded backbone from nothing but the facts: a tokenizer, then pretraining on true answers.

    python tools/build_backbone.py [--out rmlib/assets/backbone] [--seed 0] [--steps N]

The text is the gold world's own: questions of the training split with right answers only. No combination of fact and
phrasing that is kept for validation or test, and no family marked unseen, is ever read.

Words are masked, or swapped (an answer for another of its family, another word for any), and predicted in their place
(Devlin et al., 2019, arXiv:1810.04805); of each word the model says whether it was swapped (Clark et al., 2020,
arXiv:2003.10555); and those that were changed are predicted from [CLS] too, which so learns to notice what does not
fit. No preference and no reward is used, but answers that do not fit are just what a preference is often about: that is
why such a backbone helps.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DistilBertConfig, DistilBertForMaskedLM, PreTrainedTokenizerFast

from rmlib.course.world import Fact, World
from rmlib.files import atomic_write_text

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
POSITIONS = 512
CHUNK = 32  # batches drawn at once, so that a batch holds texts of like length


@dataclass(frozen=True)
class Recipe:
    """How the backbone is pretrained."""

    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    # A token is chosen for prediction; of the chosen, some are masked, some replaced, and the rest left as they are.
    choose: float = 0.15
    choose_answer: float = 0.6
    mask: float = 0.35
    substitute: float = 0.45
    detect: float = 10.0  # weight of the loss for saying which words were swapped: few are, and it is a small number


def world_words(world: World) -> list[str]:
    """Every word of every question and response the world can put together, in order of first use."""
    forms = [form for group in world.manners.values() for form in group]
    for family in world.families:
        forms += [*family.questions, *family.statements, *family.explanations]
        forms += [text for fact in family.facts for text in (fact.subject, fact.answer)]
    split = tokenizers.pre_tokenizers.BertPreTokenizer()
    text = " ".join(forms).replace("{subject}", " ").replace("{answer}", " ").lower()
    return list(dict.fromkeys(word for word, _ in split.pre_tokenize_str(text)))


def build_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """WordPiece with one piece for each word of the world and a piece for each printable ASCII character.

    Words from elsewhere are spelled in these pieces; characters from elsewhere become [UNK].
    """
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [*SPECIAL, *letters, *("##" + c for c in letters if c.isalnum()), *world_words(world)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    fast = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    fast.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    fast.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    fast.decoder = tokenizers.decoders.WordPiece()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    fast.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL))
    return PreTrainedTokenizerFast(tokenizer_object=fast, model_max_length=POSITIONS, **names,
                                   model_input_names=["input_ids", "attention_mask"])


def build_config(tokenizer: PreTrainedTokenizerFast) -> DistilBertConfig:
    """DistilBERT's architecture at about 0.7 million weights; it has no pooler, so nothing is left over at loading."""
    return DistilBertConfig(vocab_size=len(tokenizer), dim=128, n_layers=4, n_heads=4, hidden_dim=256,
                            max_position_embeddings=POSITIONS, initializer_range=0.05, pad_token_id=0)


class Corruptor:
    """Chooses tokens to predict, and masks or replaces them.

    The answer is replaced by another answer of its family, any other token by any token of the world. The subject is
    left whole: with it in doubt, the best guess would rest on which combinations of phrasing and answer never occur,
    and that is the one thing that must not be learned.
    """

    def __init__(self, world: World, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, rng: np.random.Generator):
        self.recipe, self.rng, self.mask_id = recipe, rng, tokenizer.mask_token_id
        self.anything = np.arange(len(SPECIAL), len(tokenizer))
        ids = {text: tokenizer(text, add_special_tokens=False).input_ids
               for fact in world.facts for text in (fact.subject, fact.answer)}
        self.facts = {fact: (ids[fact.answer][0], ids[fact.subject]) for fact in world.facts}
        self.answers = {family.name: [ids[answer][0] for answer in family.answers] for family in world.families}

    def __call__(self, fact: Fact, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The corrupted row (T,), and which positions are to be predicted, bool (T,)."""
        rng, recipe = self.rng, self.recipe
        answer, subject = self.facts[fact]
        chosen = rng.random(len(row)) < np.where(row == answer, recipe.choose_answer, recipe.choose)
        chosen &= (row >= len(SPECIAL)) & ~np.isin(row, subject)
        fate = rng.random(len(row))
        corrupted = np.where(chosen & (fate < recipe.mask), self.mask_id, row)
        for i in np.flatnonzero(chosen & (fate >= recipe.mask) & (fate < recipe.mask + recipe.substitute)):
            corrupted[i] = rng.choice(self.answers[fact.family] if row[i] == answer else self.anything)
        return corrupted, chosen


def batches(
    world: World, tokenizer, corrupt: Corruptor, recipe: Recipe, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless (input_ids, attention_mask, targets), int64 (B, T) each; targets are -100 where nothing is asked."""
    prompts = world.prompts("train")
    while True:
        asked = [prompts[i] for i in rng.integers(len(prompts), size=CHUNK * recipe.batch_size)]
        answers = [world.responses(prompt, 1, rng, right=1.0)[0] for prompt in asked]
        rows = tokenizer(asked, answers).input_ids
        order = np.argsort([len(row) for row in rows], kind="stable").reshape(CHUNK, -1)
        for members in rng.permutation(order):
            yield collate([(world.fact(asked[i]), np.array(rows[i])) for i in members], corrupt)


def collate(rows: list[tuple[Fact, np.ndarray]], corrupt: Corruptor) -> tuple[Tensor, Tensor, Tensor]:
    """(input_ids, attention_mask, targets) as in `batches`, of rows (fact, its token ids), padded to the longest."""
    shape = (len(rows), max(len(row) for _, row in rows))
    input_ids, mask, targets = np.zeros(shape, int), np.zeros(shape, int), np.full(shape, -100)
    for i, (fact, row) in enumerate(rows):
        input_ids[i, : len(row)], chosen = corrupt(fact, row)
        targets[i, : len(row)] = np.where(chosen, row, -100)
        mask[i, : len(row)] = 1
    return torch.from_numpy(input_ids), torch.from_numpy(mask), torch.from_numpy(targets)


class Pretraining(nn.Module):
    """An encoder with two heads that are thrown away later: one names words, one says which words were swapped."""

    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.names = DistilBertForMaskedLM(config)
        self.swapped = nn.Linear(config.dim, 1)
        self.encoder = self.names.distilbert

    def words(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary (N, V) of N hidden vectors (N, H)."""
        names = self.names
        return names.vocab_projector(names.vocab_layer_norm(F.gelu(names.vocab_transform(hidden))))

    def losses(self, input_ids: Tensor, mask: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean cross-entropies: of the chosen tokens at their places, of the changed ones from [CLS], of the detector.

        A reward model reads nothing but [CLS], and prediction in place never uses it. From there only tokens that were
        masked or swapped are asked for, so [CLS] has to notice where the text disagrees with itself.
        """
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state  # (B, T, H)
        row, place = (targets != -100).nonzero(as_tuple=True)  # (N,) each
        wanted = targets[row, place]
        changed = input_ids[row, place] != wanted
        from_cls = self.words(hidden[:, 0])[row[changed]]  # (M, V), M <= N
        shown = input_ids >= len(SPECIAL)  # (B, T) words that can be seen: no padding, nothing masked
        swapped = ((targets != -100) & (targets != input_ids))[shown]
        return (F.cross_entropy(self.words(hidden[row, place]), wanted), F.cross_entropy(from_cls, wanted[changed]),
                F.binary_cross_entropy_with_logits(self.swapped(hidden[shown]).squeeze(-1), swapped.float()))


def pretrain(world: World, tokenizer, recipe: Recipe, seed: int) -> Pretraining:
    """Train on recipe.steps batches, without dropout, in float32."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Pretraining(build_config(tokenizer)).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps + 1,
                                               pct_start=recipe.warmup, anneal_strategy="linear", cycle_momentum=False)
    source = batches(world, tokenizer, Corruptor(world, tokenizer, recipe, rng), recipe, rng)
    average, start = None, time.perf_counter()
    for step in range(1, recipe.steps + 1):
        in_place, from_cls, detector = model.losses(*next(source))
        loss = in_place + from_cls + recipe.detect * detector
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 250 == 0 or step == recipe.steps:
            known = answer_accuracy(model, tokenizer, world, "validation")
            print(f"step {step}/{recipe.steps}  loss {average:.3f}  answers known to held-out questions {known:.2f}  "
                  f"{time.perf_counter() - start:.0f} s", flush=True)
    return model


@torch.inference_mode()
def answer_accuracy(model: Pretraining, tokenizer, world: World, split: str) -> float:
    """Share of a split's questions whose masked answer is the model's first choice among the whole vocabulary."""
    prompts = world.prompts(split)
    answers = [world.fact(prompt).answer for prompt in prompts]
    texts = tokenizer(prompts, [f"It is {tokenizer.mask_token}."] * len(prompts), padding=True, return_tensors="pt")
    hidden = model.encoder(**texts).last_hidden_state  # (B, T, H)
    guesses = model.words(hidden[texts.input_ids == tokenizer.mask_token_id]).argmax(-1)
    return float(np.mean([tokenizer.convert_tokens_to_ids(a.lower()) == g for a, g in zip(answers, guesses.tolist())]))


def save(model: Pretraining, tokenizer, record: dict, out: Path) -> None:
    """Write encoder (float16 safetensors), tokenizer and the record of the run."""
    model.encoder.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    atomic_write_text(out / "build.json", json.dumps(record, indent=2) + "\n")
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner only, and a package is for all


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the embedded backbone.")
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--out", type=Path, default=root / "rmlib" / "assets" / "backbone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="batches of pretraining")
    arguments = parser.parse_args()
    world, recipe, start = World(), Recipe(steps=arguments.steps), time.perf_counter()
    tokenizer = build_tokenizer(world)
    model = pretrain(world, tokenizer, recipe, arguments.seed)
    record = {
        "seed": arguments.seed,
        "recipe": asdict(recipe),
        "seconds": round(time.perf_counter() - start),
        "threads": torch.get_num_threads(),
        "parameters": model.encoder.num_parameters(),
        "masked_answer_accuracy": {split: round(answer_accuracy(model, tokenizer, world, split), 4)
                                   for split in ("train", "validation", "test", "unseen")},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
    }
    print(json.dumps(record, indent=2))
    save(model, tokenizer, record, arguments.out)


if __name__ == "__main__":
    main()
