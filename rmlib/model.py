"""The reward model: a transformer backbone, pooling from the attention mask, one linear head; saving and loading."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from rmlib import unpadded
from rmlib.backbone import (
    check_kind, check_tokenizer, first_position, is_causal, load_backbone, pool, position_ids, window,
)
from rmlib.data import PreferencePair
from rmlib.encoding import EncodedPair, EncodingSpec, collate, encode, micro_batches, read_template, tell_cuts
from rmlib.files import atomic_directory, atomic_write_text, sha256
from rmlib.losses import bradley_terry_loss

POOLINGS = ("auto", "cls", "mean", "last")
MANIFEST, WEIGHTS = "reward_model.json", "model.safetensors"
CANARIES = [
    PreferencePair("What is the capital of France?", "The capital of France is Paris.", "London, I think?"),
    PreferencePair("\n\nHuman: Is 7 + 5 = 12?\n\nAssistant:", "Yes.", "No, and please do not ask me again! " * 40),
    PreferencePair("Qu'est-ce qu'un 奖励模型 🙂?", "Un modèle qui note des réponses.", "—"),
]


class RewardModel(nn.Module):
    """A transformer that gives a (prompt, response) one number, its reward; only differences in a prompt mean anything.

    model_name: a hub id or a local directory of any encoder or decoder that transformers' AutoModel knows.
    pooling: "cls" (first token), "mean", "last" (last token), or "auto": "cls" for encoders and "last" for causal
    models, whose first token sees nothing but itself.
    max_length: tokens of a whole sequence; by default what the backbone takes, at most 512.
    backbone, tokenizer: ready-made parts in place of model_name.

    Weights are kept in float32. Raises ValueError for an unknown pooling, a backbone that is neither encoder nor
    decoder, or a max_length the backbone can't take; OSError (from transformers) where model_name can't be loaded.
    """

    def __init__(
        self, model_name: str = "distilbert-base-uncased", pooling: str = "auto", max_length: int | None = None,
        *, backbone: nn.Module | None = None, tokenizer=None, encoding: EncodingSpec | None = None,
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {pooling!r}")
        if backbone is None:
            backbone, found = load_backbone(model_name)
            tokenizer = found if tokenizer is None else tokenizer
        elif tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(model_name, trust_remote_code=False)
        check_kind(backbone.config, model_name)
        check_tokenizer(tokenizer, backbone, model_name)
        self.tokenizer = tokenizer
        tokenizer.chat_template = None  # never used here, and several of them would be saved as a directory
        if getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # never used here, and parameters without gradients break distributed training
        unpadded.enable(backbone)
        self.backbone = backbone
        self.first_position = first_position(backbone)
        self.accepts = frozenset(inspect.signature(backbone.forward).parameters)
        self.head = nn.Linear(backbone.config.hidden_size, 1)
        # Small, so that the first margins are near zero and the loss starts near log 2.
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.eval()  # as transformers' from_pretrained does: dropout is for those who ask for it
        causal = is_causal(backbone)
        self.pooling = ("last" if causal else "cls") if pooling == "auto" else pooling
        self.encoding = encoding or read_template(tokenizer, window(backbone, max_length), causal)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Rewards (B,) in the head's dtype (float32) of sequences (B, T) padded on either side."""
        inputs = {}
        if "position_ids" in self.accepts:
            inputs["position_ids"] = position_ids(attention_mask) + self.first_position
        if token_type_ids is not None and "token_type_ids" in self.accepts:
            inputs["token_type_ids"] = token_type_ids
        if "use_cache" in self.accepts:
            inputs["use_cache"] = False
        hidden = unpadded.last_hidden_state(self.backbone, input_ids, attention_mask, **inputs)  # (B, T, H)
        pooled = pool(hidden, attention_mask, self.pooling)  # (B, H)
        with torch.autocast(pooled.device.type, enabled=False):
            return self.head(pooled.to(self.head.weight.dtype)).squeeze(-1)  # (B,)

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def collate(self, pairs: Sequence[EncodedPair]) -> dict[str, Tensor]:
        """Inputs of one concatenated forward, on the model's device: 2P rows, chosen first, then rejected."""
        batch = collate(pairs, self.encoding, self.tokenizer.pad_token_id or 0)
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write weights (safetensors), config, tokenizer, encoding and canary scores, all in plain safe formats.

        A new directory appears whole or not at all. Into an existing one the files move one by one, and the manifest,
        which holds the hash of each and without which nothing loads, goes first and comes back last.
        """
        directory = Path(directory)
        if not directory.exists():
            with atomic_directory(directory) as staging:
                self._write(Path(staging))
            return
        with atomic_directory(directory / ".incoming") as staging:
            self._write(Path(staging))
        for name in _files_of_model(directory):  # the new tokenizer would be read along with files of the old one
            (directory / name).unlink(missing_ok=True)
        for file in sorted((directory / ".incoming").iterdir(), key=lambda file: file.name == MANIFEST):
            os.replace(file, directory / file.name)
        (directory / ".incoming").rmdir()

    def _write(self, directory: Path) -> None:
        scores = _score_canaries(self)
        if not np.isfinite(scores).all():
            raise ValueError("the model's rewards are not finite numbers, so it is not saved: its training diverged")
        self.backbone.config.save_pretrained(directory)
        save_model(self, str(directory / WEIGHTS))
        shutil.copymode(directory / "config.json", directory / WEIGHTS)  # safetensors shuts out all but the owner
        self.tokenizer.save_pretrained(directory)
        manifest = {
            "format": 1,
            "pooling": self.pooling,
            "encoding": asdict(self.encoding),
            "canaries": scores.tolist(),
            "sha256": {file.name: sha256(file) for file in sorted(directory.iterdir())},
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }
        atomic_write_text(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike) -> RewardModel:
        """Load what save_pretrained wrote, and prove it: hashes, every weight in its place, canaries scored again.

        Raises FileNotFoundError where there is no saved model, ValueError where it is not the model that was saved.
        """
        directory = Path(directory)
        manifest = _read_manifest(directory)
        for name, digest in manifest["sha256"].items():
            if not (directory / name).is_file() or sha256(directory / name) != digest:
                raise ValueError(f"{directory / name}: missing, or changed since the model was saved; restore the "
                                 "directory from a copy or train again")
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        backbone = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
        model = cls(str(directory), manifest["pooling"], backbone=backbone, encoding=manifest["encoding"])
        try:
            with safe_open(directory / WEIGHTS, "pt") as file:
                model.to(file.get_tensor("head.weight").dtype)
            load_model(model, str(directory / WEIGHTS), strict=True)
        except (RuntimeError, TypeError, SafetensorError) as error:
            raise ValueError(f"{directory / WEIGHTS}: does not hold exactly this model's weights: {error}") from error
        _check_canaries(model, manifest["canaries"], directory)
        return model.eval()


def _read_manifest(directory: Path) -> dict:
    path = directory / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {directory} holds no saved reward model")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != 1:
            raise ValueError(f"format {manifest['format']!r}, and this version reads format 1")
        if WEIGHTS not in manifest["sha256"] or any(Path(name).name != name for name in manifest["sha256"]):
            raise ValueError(f"sha256 should name {WEIGHTS} and the files beside it, not {list(manifest['sha256'])}")
        return {
            "pooling": manifest["pooling"], "sha256": manifest["sha256"],
            "encoding": EncodingSpec.from_dict(manifest["encoding"]),
            "canaries": np.array(manifest["canaries"], dtype=np.float64),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not the manifest of a saved reward model: {error!r}") from error


def _files_of_model(directory: Path) -> list[str]:
    """The manifest first, then what it names; without a readable one there is no model to speak of."""
    try:
        return [MANIFEST, *_read_manifest(directory)["sha256"]]
    except (ValueError, OSError):
        return [MANIFEST]


def _check_canaries(model: RewardModel, want: np.ndarray, directory: Path) -> None:
    got = _score_canaries(model).astype(np.float64)
    # Far above what another CPU's rounding does to float32, far below any change that matters.
    if got.shape != want.shape or not np.all(np.abs(got - want) <= 1e-4 * np.maximum(1, np.abs(want))):
        raise ValueError(
            f"{directory}: the canary texts score {got.round(4).tolist()}, but scored {want.round(4).tolist()} when "
            "the model was saved: this is not the model that was saved, or its library reads it differently"
        )


def score_pairs(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> np.ndarray:
    """Rewards of every pair, dropout off: (2, N) float32, the chosen responses' and the rejected ones', in order."""
    encoded = encode(model.tokenizer, pairs, model.encoding)
    tell_cuts(encoded, len(pairs))
    return _score_encoded(model, encoded, token_budget)


def _score_canaries(model: RewardModel) -> np.ndarray:
    return _score_encoded(model, encode(model.tokenizer, CANARIES, model.encoding))  # (2, canaries)


def _score_encoded(model: RewardModel, encoded: Sequence[EncodedPair], token_budget: int = 8192) -> np.ndarray:
    scores = np.full((2, len(encoded)), np.nan, dtype=np.float32)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in micro_batches(encoded, token_budget):
                index = [pair.index for pair in batch]
                scores[:, index] = model(**model.collate(batch)).view(2, -1).float().cpu().numpy()
        # One sequence scored twice is a tie, though its place in a batch can move the last bit.
        same = [pair.index for pair in encoded if pair.identical]
        scores[1, same] = scores[0, same]
    finally:
        model.train(training)
    return scores


def compute_pairwise_loss(model, tokenizer, prompt: str, good_response: str, bad_response: str, device):
    """Bradley-Terry loss of one comparison: (loss, a scalar tensor to call .backward() on; good score; bad score).

    Both responses go through the model in one forward, encoded as the model's own encoding says.
    """
    [pair] = encode(tokenizer, [PreferencePair(prompt, good_response, bad_response)], model.encoding)
    batch = collate([pair], model.encoding, tokenizer.pad_token_id or 0)
    rewards = model(**{name: tensor.to(device) for name, tensor in batch.items()})  # (2,)
    loss = bradley_terry_loss(rewards[:1], rewards[1:])
    return loss, rewards[0].item(), rewards[1].item()
