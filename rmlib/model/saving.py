"""A reward model as a directory of plain safe files, and back, with the proof that it is the same one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from rmlib.encoding import EncodedPair, EncodingSpec, encode
from rmlib.files import atomic_write_text, sha256, sync
from rmlib.model.backbone import unpooled
from rmlib.model.scoring import score_encoded
from rmlib.model.trials import rounding, trying
from rmlib.pairs import PreferencePair, Turn

if TYPE_CHECKING:
    from rmlib.model.reward_model import RewardModel

_log = logging.getLogger("rmlib")
MANIFEST, WEIGHTS, CARD, EARLIER = "reward_model.json", "model.safetensors", "README.md", "earlier.json"
RELOADED = 10**9  # bytes of a model up to which `check_reloads` saves and loads it whole
FORMAT = 2
CANARIES = [
    PreferencePair("What is the capital of France?", "The capital of France is Paris.", "London, I think?"),
    PreferencePair((Turn("user", "Hello!"), Turn("assistant", "Hi."), Turn("user", "Who is it?")), "A model.", "You."),
    PreferencePair("Is 7 + 5 = 12?", "Yes.", "No, and please do not ask me again! " * 40),
    PreferencePair("Qu'est-ce qu'un 奖励模型 🙂?", "Un modèle qui note des réponses.", "—"),
]


def check_reloads(model: RewardModel) -> None:
    """Raises ValueError where a model could be trained and saved, but not loaded again; best asked before the training.

    A small one is saved aside and loaded, canaries and all. Of a large one config and tokenizer are, and from these the
    backbone is rebuilt without weights, whose names and shapes must be the same.
    """
    with trying(model, "could be trained, but not saved and loaded again"), tempfile.TemporaryDirectory() as directory:
        weights = [weight for weight in model.parameters() if weight.numel()]
        if len({weight.data_ptr() for weight in weights}) < len(weights):
            raise ValueError("two of its parameters share one storage: make them one parameter")
        if sum(weight.nbytes for weight in weights) <= RELOADED:
            model.save_pretrained(directory)
            type(model).from_pretrained(directory)
            return
        model.backbone.config.save_pretrained(directory)
        model.tokenizer.save_pretrained(directory)
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        with torch.device("meta"):
            again = AutoModel.from_config(config, trust_remote_code=False)
        unpooled(again).load_state_dict(model.backbone.state_dict(), assign=True)  # or names, shapes differ
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        if _canary_tokens(model.tokenizer, model.encoding) != _canary_tokens(tokenizer, model.encoding):
            raise ValueError("its tokenizer makes other tokens of the canary texts when it is read again")


def save(model: RewardModel, directory: Path) -> None:
    """Write the model into a directory, new or not, which holds a whole model or none at every moment.

    All is written aside first. Then the manifest of an earlier model goes aside, without which nothing loads, and what
    it names is removed; the files move in one by one, and the new manifest, which holds the hash of each, comes last.
    """
    is_new = not directory.exists()
    staging = directory / ".incoming"
    if not (directory / MANIFEST).exists():  # a save may have been broken off: what it left would be read along
        _remove_named(staging / EARLIER, directory)
        _remove_named(staging / MANIFEST, directory)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _write(model, staging)
    except BaseException as error:
        shutil.rmtree(directory if is_new else staging)
        if isinstance(error, OSError | SafetensorError) or type(error) is Exception:  # a bare one from the tokenizer
            raise OSError(f"{directory}: the model can't be written; what was there is as it was: {error}") from error
        raise
    if (card := directory / CARD).is_file() and b"<!-- Written by rmlib" in card.read_bytes():
        card.unlink()  # it tells of the earlier weights
    files = sorted(staging.iterdir(), key=lambda file: file.name == MANIFEST)
    if (directory / MANIFEST).exists():
        os.replace(directory / MANIFEST, staging / EARLIER)
        _remove_named(staging / EARLIER, directory)
    for file in files:
        sync(file)
        os.replace(file, directory / file.name)
    sync(directory)
    shutil.rmtree(staging)


def _write(model: RewardModel, directory: Path) -> None:
    canaries = encode(model.tokenizer, CANARIES, model.encoding)
    scores = score_encoded(model, canaries)  # (2, canaries)
    if not np.isfinite(scores).all():
        raise ValueError("the model's rewards are not finite numbers, so it is not saved: its training diverged")
    model.backbone.config.save_pretrained(directory)
    save_model(model, str(directory / WEIGHTS))
    shutil.copymode(directory / "config.json", directory / WEIGHTS)  # safetensors shuts out all but the owner
    model.tokenizer.save_pretrained(directory)
    manifest = {
        "format": FORMAT,
        "pooling": model.pooling,
        "encoding": asdict(model.encoding),
        "canaries": list(map(_tokens, canaries)),
        "rewards": scores.tolist(),
        "sha256": {file.name: sha256(file) for file in sorted(directory.iterdir())},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in manifest.items())
    atomic_write_text(directory / MANIFEST, f"{{\n{lines}\n}}\n")


def read_manifest(directory: Path) -> dict:
    """pooling, encoding, canaries, their rewards and sha256 of a saved model, whose files are as they were saved.

    Raises FileNotFoundError where there is no saved model, ValueError where a file is missing or has changed.
    """
    manifest = _parsed_manifest(directory / MANIFEST)
    for name, digest in manifest["sha256"].items():
        if not (directory / name).is_file() or sha256(directory / name) != digest:
            raise ValueError(f"{directory / name}: missing, or changed since the model was saved; restore the "
                             "directory from a copy or train again")
    return manifest


def load_weights(model: RewardModel, directory: Path, canaries: list[EncodedPair], rewards: np.ndarray) -> None:
    """Put every saved weight in its place, in its dtype, and score the canaries' tokens again.

    Raises ValueError where it is not the model that was saved, or its tokenizer makes other tokens of the canaries.
    Those of a chat template may change with the day, where it writes the date: that is told by a warning.
    """
    try:
        with safe_open(directory / WEIGHTS, "pt") as file:
            head = file.get_tensor("head.weight")
            model.head = nn.Linear(head.shape[1], 1)  # some backbones' vectors are not as wide as their config says
            model.to(head.dtype)
            for name, weight in model.state_dict(keep_vars=True).items():
                if name in file.keys():
                    weight.data = weight.data.to(file.get_tensor(name).dtype)
        load_model(model, str(directory / WEIGHTS), strict=True)
    except (RuntimeError, TypeError, SafetensorError) as error:
        raise ValueError(f"{directory / WEIGHTS}: does not hold exactly this model's weights: {error}") from error
    got = score_encoded(model, canaries).astype(np.float64)
    # Far above what another CPU or way of attending changes by rounding, far below any change that matters.
    bound = rounding(next(model.backbone.parameters()).dtype) * np.maximum(1, np.abs(rewards))
    if got.shape != rewards.shape or not np.all(np.abs(got - rewards) <= bound):
        raise ValueError(
            f"{directory}: the canary texts score {got.round(4).tolist()}, but scored {rewards.round(4).tolist()} "
            "when the model was saved: this is not the model that was saved, or its library reads it differently"
        )
    if _canary_tokens(model.tokenizer, model.encoding) != list(map(_tokens, canaries)):
        told = f"{directory}: the tokenizer makes other tokens of the canary texts than when the model was saved"
        if model.encoding.rendering != "template":
            raise ValueError(f"{told}: its library reads it differently")
        _log.warning("%s: its chat template writes what changes, such as the date, or the library reads it "
                     "differently; rewards change with it", told)


def _canary_tokens(tokenizer, spec: EncodingSpec) -> list[list]:
    return list(map(_tokens, encode(tokenizer, CANARIES, spec)))


def _tokens(pair: EncodedPair) -> list:
    return [pair.chosen.tolist(), pair.rejected.tolist(), pair.response_start]


def _parsed_manifest(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {path.parent} holds no saved reward model")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']!r}, and this version reads format {FORMAT}, which says how "
                             "conversations are rendered: train again, or load it with the version that saved it")
        if WEIGHTS not in manifest["sha256"] or any(Path(name).name != name for name in manifest["sha256"]):
            raise ValueError(f"sha256 should name {WEIGHTS} and the files beside it, not {list(manifest['sha256'])}")
        return {
            "pooling": manifest["pooling"], "sha256": dict(manifest["sha256"].items()),
            "encoding": EncodingSpec.from_dict(manifest["encoding"]),
            "canaries": [
                EncodedPair(at, np.array(chosen, np.int32), np.array(rejected, np.int32), int(start), 0, False)
                for at, (chosen, rejected, start) in enumerate(manifest["canaries"])],
            "rewards": np.array(manifest["rewards"], dtype=np.float64),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not the manifest of a saved reward model: {error!r}") from error


def _remove_named(manifest: Path, directory: Path) -> None:
    """Remove what a manifest names; without a readable one there is no model to speak of."""
    with suppress(ValueError, OSError):
        for name in _parsed_manifest(manifest)["sha256"]:
            (directory / name).unlink(missing_ok=True)
