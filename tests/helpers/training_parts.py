"""A tiny reward model and made-up pairs for the tests of training, in this process or in one that a test starts."""

import random
from pathlib import Path

import pytest
import tiny
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.training import TrainingConfig, train

WORDS = "paris london france hot cold egg water green sky blue seven five twelve sum eight capital yes no sorry".split()
# Written down and not trained: a trained vocabulary breaks its ties differently in every process.
VOCABULARY = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}


def tiny_backbone(seed: int, dropout: float) -> BertModel:
    torch.manual_seed(seed)
    return BertModel(BertConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=32, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, initializer_range=0.1, **tiny.SHAPE,
    ))


def tiny_model(seed: int = 0, dropout: float = 0.1) -> RewardModel:
    """A BERT of two layers with random weights, head as RewardModel makes it; the same ones for the same seed."""
    backbone = tiny_backbone(seed, dropout)
    return RewardModel("tiny", backbone=backbone, tokenizer=BertTokenizer(vocab=VOCABULARY))


def save_backbone(directory: Path) -> Path:
    """Write the tiny backbone as a directory that RewardModel takes for a model's name."""
    tiny_backbone(seed=0, dropout=0.1).save_pretrained(directory)
    BertTokenizer(vocab=VOCABULARY).save_pretrained(directory)
    return directory


def made_up_pairs(count: int) -> list[PreferencePair]:
    """Pairs of random words with prompts and responses of many lengths, each prompt a conversation of its own."""
    draw = random.Random(0)

    def text(longest: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(2, longest)))

    return [PreferencePair(f"{i} {text(8)}", text(12), text(12), target_margin=draw.random()) for i in range(count)]


CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=3e-3, warmup=0.25, weight_decay=0.1, token_budget=80,
                        precision="fp32", max_grad_norm=0.1, seed=1)
PAIRS = made_up_pairs(14)  # four steps an epoch, the last one of two pairs


def run(config=CONFIG, pairs=PAIRS, model=None, **options):
    """Train a tiny model in silence: (model, result)."""
    model = model or tiny_model()
    return model, train(model, pairs, config, **{"progress": False, **options})


def losses(result) -> list[float]:
    return [record["loss"] for record in result.history]


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny products gain nothing from a second thread, and lose much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
