"""A reward model as a directory of plain safe files, and back, with the proof that it is the same one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model

from rmlib.encoding import EncodingSpec, encode
from rmlib.files import atomic_write_text, sha256, sync
from rmlib.model.scoring import score_encoded
from rmlib.pairs import PreferencePair

if TYPE_CHECKING:
    from rmlib.model.reward_model import RewardModel

MANIFEST, WEIGHTS = "reward_model.json", "model.safetensors"
CANARIES = [
    PreferencePair("What is the capital of France?", "The capital of France is Paris.", "London, I think?"),
    PreferencePair("\n\nHuman: Is 7 + 5 = 12?\n\nAssistant:", "Yes.", "No, and please do not ask me again! " * 40),
    PreferencePair("Qu'est-ce qu'un 奖励模型 🙂?", "Un modèle qui note des réponses.", "—"),
]


def save(model: RewardModel, directory: Path) -> None:
    """Write the model into a directory, new or not, which holds a whole model or none at every moment.

    All is written aside first. Then the manifest of an earlier model goes, without which nothing loads, the files move
    in one by one, and the new manifest, which holds the hash of each, comes last.
    """
    is_new = not directory.exists()
    staging = directory / ".incoming"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _write(model, staging)
    except BaseException:
        shutil.rmtree(directory if is_new else staging)
        raise
    for name in _files_of_model(directory):  # the new tokenizer would be read along with files of the old one
        (directory / name).unlink(missing_ok=True)
    for file in sorted(staging.iterdir(), key=lambda file: file.name == MANIFEST):
        sync(file)
        os.replace(file, directory / file.name)
    sync(directory)
    staging.rmdir()


def _write(model: RewardModel, directory: Path) -> None:
    scores = _score_canaries(model)
    if not np.isfinite(scores).all():
        raise ValueError("the model's rewards are not finite numbers, so it is not saved: its training diverged")
    model.backbone.config.save_pretrained(directory)
    save_model(model, str(directory / WEIGHTS))
    shutil.copymode(directory / "config.json", directory / WEIGHTS)  # safetensors shuts out all but the owner
    model.tokenizer.save_pretrained(directory)
    manifest = {
        "format": 1,
        "pooling": model.pooling,
        "encoding": asdict(model.encoding),
        "canaries": scores.tolist(),
        "sha256": {file.name: sha256(file) for file in sorted(directory.iterdir())},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    atomic_write_text(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def read_manifest(directory: Path) -> dict:
    """pooling, encoding, canaries and sha256 of a saved model, whose files are as they were saved.

    Raises FileNotFoundError where there is no saved model, ValueError where a file is missing or has changed.
    """
    manifest = _parsed_manifest(directory)
    for name, digest in manifest["sha256"].items():
        if not (directory / name).is_file() or sha256(directory / name) != digest:
            raise ValueError(f"{directory / name}: missing, or changed since the model was saved; restore the "
                             "directory from a copy or train again")
    return manifest


def load_weights(model: RewardModel, directory: Path, canaries: np.ndarray) -> None:
    """Put every saved weight in its place, in its dtype, and score the canaries again. Raises ValueError where it is
    not the model that was saved."""
    try:
        with safe_open(directory / WEIGHTS, "pt") as file:
            model.to(file.get_tensor("head.weight").dtype)
        load_model(model, str(directory / WEIGHTS), strict=True)
    except (RuntimeError, TypeError, SafetensorError) as error:
        raise ValueError(f"{directory / WEIGHTS}: does not hold exactly this model's weights: {error}") from error
    got = _score_canaries(model).astype(np.float64)
    # Far above what another CPU's rounding does to float32, far below any change that matters.
    if got.shape != canaries.shape or not np.all(np.abs(got - canaries) <= 1e-4 * np.maximum(1, np.abs(canaries))):
        raise ValueError(
            f"{directory}: the canary texts score {got.round(4).tolist()}, but scored {canaries.round(4).tolist()} "
            "when the model was saved: this is not the model that was saved, or its library reads it differently"
        )


def _parsed_manifest(directory: Path) -> dict:
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
            "pooling": manifest["pooling"], "sha256": dict(manifest["sha256"].items()),
            "encoding": EncodingSpec.from_dict(manifest["encoding"]),
            "canaries": np.array(manifest["canaries"], dtype=np.float64),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not the manifest of a saved reward model: {error!r}") from error


def _files_of_model(directory: Path) -> list[str]:
    """The manifest first, then what it names; without a readable one there is no model to speak of."""
    try:
        return [MANIFEST, *_parsed_manifest(directory)["sha256"]]
    except (ValueError, OSError):
        return [MANIFEST]


def _score_canaries(model: RewardModel) -> np.ndarray:
    return score_encoded(model, encode(model.tokenizer, CANARIES, model.encoding))  # (2, canaries)
