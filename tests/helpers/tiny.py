"""Five tiny backbones, one of each architecture that is tested, with tokenizers of the real classes.

Nothing is downloaded: weights are random (seeded), vocabularies are the words of `LINES`. `build(name)` makes one in
memory, `save(name, directory)` writes it as a backbone directory of the usual layout.
"""

import json
import re
from pathlib import Path

import torch
from tokenizers import pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    DistilBertTokenizer,
    GPT2Config,
    GPT2Model,
    GPT2Tokenizer,
    LlamaConfig,
    LlamaModel,
    LlamaTokenizer,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

ENCODERS, DECODERS = ("distilbert", "bert", "roberta"), ("gpt2", "llama")
ARCHITECTURES = ENCODERS + DECODERS
POSITIONS = 128
LINES = [
    "What is the capital of France? The capital of France is Paris, and not London.",
    "Is 7 + 5 equal to 12? Yes, seven and five make twelve; no other sum does.",
    "\n\nHuman: How do I boil an egg?\n\nAssistant: Put it into boiling water for eight minutes.",
    "Grass is green, the sky is blue, and the opposite of hot is cold.",
    "I am sorry, I do not know that. Perhaps somebody else does!",
    "abcdefghijklmnopqrstuvwxyz 0123456789",
]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def build(name: str, seed: int = 0):
    """(backbone, tokenizer) of one architecture, weights drawn from `seed` and large enough that inputs matter."""
    tokenizer = TOKENIZERS[name]()
    torch.manual_seed(seed)
    backbone = BACKBONES[name](len(tokenizer), tokenizer).eval()
    with torch.no_grad():  # the usual 0.02 would make all rewards nearly equal, and tests of them blind
        for parameter in backbone.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return backbone, tokenizer


def save(name: str, directory: Path, seed: int = 0) -> Path:
    """Write a backbone directory: config, weights in safetensors, tokenizer."""
    backbone, tokenizer = build(name, seed)
    backbone.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def reward_model(name: str, pooling: str = "auto", max_length: int | None = None):
    """A RewardModel on a tiny backbone, its head drawn from a fixed seed and of a size that rewards can be seen by."""
    from rmlib.model import RewardModel

    backbone, tokenizer = build(name)
    model = RewardModel(name, pooling, max_length, backbone=backbone, tokenizer=tokenizer).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=generator))
    return model


# Damage to a directory, for tests of what refuses to load


def garbage(name):
    return lambda directory: (directory / name).write_text("{garbage")


def without(*names):
    return lambda directory: [(directory / name).unlink() for name in names]


def configured(**changes):
    def change(directory):
        config = json.loads((directory / "config.json").read_text()) | changes
        (directory / "config.json").write_text(json.dumps(config))

    return change


# Vocabularies are written down from LINES and not trained: training breaks ties differently in every process.
WORDS = sorted({word for line in LINES for word in re.findall(r"\w+", line)})


def _word_pieces() -> dict[str, int]:
    characters = sorted(set("".join(LINES).lower()) - {" ", "\n"})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [word.lower() for word in WORDS if len(word) > 1]
    pieces = [*special, *characters, *(f"##{character}" for character in characters), *words]
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def _byte_pairs(special: list[str], space: str, alphabet: list[str]) -> tuple[dict, list[tuple[str, str]]]:
    """Vocabulary and merges that make one token of each word, with `space` before it or not."""
    merges = {}
    for word in [*(space + word for word in WORDS), *WORDS]:
        for end in range(1, len(word)):
            merges[word[:end], word[end]] = word[: end + 1]
    tokens = dict.fromkeys([*special, *alphabet, *merges.values()])
    return {token: i for i, token in enumerate(tokens)}, list(merges)


def _byte_level(special: list[str]) -> tuple[dict, list[tuple[str, str]]]:
    return _byte_pairs(special, "Ġ", sorted(pre_tokenizers.ByteLevel.alphabet()))


def _llama_tokenizer() -> LlamaTokenizer:
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    vocab, merges = _byte_pairs(special, "▁", sorted({"▁", *"".join(LINES)} - {" ", "\n"}))
    tokenizer = LlamaTokenizer(vocab=vocab, merges=merges)
    # As in the real ones, a text begins with BOS and has no EOS.
    template = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = template
    return tokenizer


TOKENIZERS = {
    "distilbert": lambda: DistilBertTokenizer(vocab=_word_pieces()),
    "bert": lambda: BertTokenizer(vocab=_word_pieces()),
    "roberta": lambda: RobertaTokenizer(*_byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])),
    "gpt2": lambda: GPT2Tokenizer(*_byte_level(["<|endoftext|>"])),
    "llama": _llama_tokenizer,
}
BACKBONES = {
    "distilbert": lambda size, _: DistilBertModel(
        DistilBertConfig(
            vocab_size=size, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=POSITIONS
        )
    ),
    "bert": lambda size, _: BertModel(BertConfig(vocab_size=size, max_position_embeddings=POSITIONS, **SHAPE)),
    "roberta": lambda size, tokenizer: RobertaModel(RobertaConfig(
        vocab_size=size, max_position_embeddings=POSITIONS + 2, pad_token_id=tokenizer.pad_token_id, type_vocab_size=1,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, **SHAPE,
    )),
    "gpt2": lambda size, tokenizer: GPT2Model(GPT2Config(
        vocab_size=size, n_positions=POSITIONS, n_embd=32, n_layer=2, n_head=4,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )),
    "llama": lambda size, tokenizer: LlamaModel(LlamaConfig(
        vocab_size=size, max_position_embeddings=POSITIONS, num_key_value_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=None, **SHAPE,
    )),
}
