"""The reward model: a transformer backbone, pooling from the attention mask, one linear head."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from rmlib.encoding import EncodedPair, EncodingSpec, collate, read_spec
from rmlib.model import unpadded
from rmlib.model.backbone import check_kind, check_tokenizer, first_position, is_causal, load_backbone, window
from rmlib.model.saving import load_weights, read_manifest, save
from rmlib.model.scoring import encode_responses, score_encoded
from rmlib.pairs import read_prompt

POOLINGS = ("auto", "cls", "mean", "last")


class RewardModel(nn.Module):
    """A transformer that gives a (prompt, response) one number, its reward; only differences in a prompt mean anything.

    model_name: a hub id or a local directory of any encoder or decoder that transformers' AutoModel knows.
    pooling: "cls" (first token), "mean", "last" (last token), or "auto": "cls" for encoders and "last" for causal
    models, whose first token sees nothing but itself.
    max_length: tokens of a whole sequence; by default what the backbone takes, at most 512.
    rendering: "template" writes conversations in the tokenizer's chat template, "transcript" as marked text (a single
    question of an encoder's bare), "auto" in the template where there is one.
    backbone, tokenizer: ready-made parts in place of model_name.

    Weights are kept in float32. Raises ValueError for an unknown pooling or rendering, a backbone that is neither
    encoder nor decoder, or a max_length the backbone can't take; OSError (from transformers) where model_name can't be
    loaded.
    """

    def __init__(
        self, model_name: str = "distilbert-base-uncased", pooling: str = "auto", max_length: int | None = None,
        rendering: str = "auto", *, backbone: PreTrainedModel | None = None, tokenizer=None,
        encoding: EncodingSpec | None = None,
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
        if isinstance(tokenizer.chat_template, dict):  # several would be saved as a directory
            self.tokenizer = copy.deepcopy(tokenizer)
            self.tokenizer.chat_template = None if rendering == "transcript" else tokenizer.get_chat_template()
        if getattr(backbone, "pooler", None) is not None:
            # Never used here, and parameters without gradients break distributed training.
            backbone.pooler = None  # type: ignore[assignment]
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
        self.encoding = encoding or read_spec(self.tokenizer, window(backbone, max_length), causal, rendering)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Rewards (B,) in the head's dtype (float32) of sequences (B, T) padded on either side."""
        inputs: dict[str, Tensor | bool] = {}
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

    def score(self, prompt, responses: Sequence[str]) -> list[float]:
        """Rewards of one prompt's responses, in order; they are compared with each other, not with other prompts'.

        prompt: text (one human turn, or a transcript), or messages ({"role", "content"} each). Where prompt and
        response are too long, all responses see the cut of the prompt that the longest one needs.
        Raises ValueError where there is no response, or one is no text, or the prompt can't be read.
        """
        encoded = encode_responses(self.tokenizer, read_prompt(prompt), responses, self.encoding)
        in_twos = score_encoded(self, encoded)  # (2, pairs)
        return in_twos.T.ravel()[: len(responses)].tolist()

    def rank(self, prompt, responses: Sequence[str]) -> list[int]:
        """Indices of the responses, the one of the highest reward first; equals keep their order. See `score`."""
        rewards = self.score(prompt, responses)
        return sorted(range(len(rewards)), key=lambda index: -rewards[index])

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def collate(self, pairs: Sequence[EncodedPair]) -> dict[str, Tensor]:
        """Inputs of one concatenated forward, on the model's device: 2P rows, chosen first, then rejected."""
        batch = collate(pairs, self.encoding, self.tokenizer.pad_token_id or 0)
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write weights (safetensors), config, tokenizer, encoding and canaries, all in plain safe formats.

        At every moment the directory holds a whole model or none. Raises ValueError for rewards that are not finite.
        """
        save(self, Path(directory))

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike) -> RewardModel:
        """Load what save_pretrained wrote, and prove it: hashes, every weight in its place, canaries scored again.

        Raises FileNotFoundError where there is no saved model, ValueError where it is not the model that was saved.
        """
        directory = Path(directory)
        manifest = read_manifest(directory)
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        backbone = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
        model = cls(str(directory), manifest["pooling"], backbone=backbone, encoding=manifest["encoding"])
        load_weights(model, directory, manifest["canaries"], manifest["rewards"])
        return model.eval()


def position_ids(attention_mask: Tensor) -> Tensor:
    """Positions (B, T) that count real tokens only, from 0, so that padding on the left moves nothing."""
    return (attention_mask.cumsum(1) - 1).clamp(min=0)


def pool(hidden: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """One vector a sequence, (B, T, H) -> (B, H), found from the mask and so on either side of the padding.

    pooling: "cls" (the first real token), "mean" (over the real ones) or "last". Raises ValueError for another.
    """
    if pooling == "mean":
        # bfloat16 can't count beyond 256 tokens, nor add them up.
        mask = attention_mask.unsqueeze(-1).to(torch.promote_types(hidden.dtype, torch.float32))  # (B, T, 1)
        return (hidden * mask).sum(1) / mask.sum(1)
    if pooling == "cls":
        index = attention_mask.argmax(1)  # (B,) the first real token
    elif pooling == "last":
        index = attention_mask.shape[1] - 1 - attention_mask.flip(1).argmax(1)  # (B,) the last real token
    else:
        raise ValueError(f'pooling must be "cls", "mean" or "last", got {pooling!r}')
    return hidden[torch.arange(len(hidden), device=hidden.device), index]
