"""The reward model: a transformer backbone, pooling from the attention mask, one linear head."""

import copy
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from rmlib.encoding import EncodedPair, EncodingSpec, collate, read_spec
from rmlib.model import trials, unpadded
from rmlib.model.backbone import accepted, check_kind, check_tokenizer, first_position, load_backbone, unpooled, window
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
    encoding: that of a model which has been tried; this one is not, and its pooling has to be said.

    Weights are kept in float32. A few short texts are tried at once. Raises ValueError for an unknown pooling or
    rendering, "auto" beside an encoding, a max_length the backbone can't take, and a backbone that is neither encoder
    nor decoder, would lose its head, fails, gives a text other vectors beside other texts, or unlike texts the same;
    OSError (from transformers) where model_name can't be loaded.
    """

    def __init__(
        self, model_name: str = "distilbert-base-uncased", pooling: str = "auto", max_length: int | None = None,
        rendering: str = "auto", *, backbone: PreTrainedModel | None = None, tokenizer=None,
        encoding: EncodingSpec | None = None,
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {pooling!r}")
        if encoding is not None and pooling == "auto":
            raise ValueError("with an encoding say which pooling: 'auto' is found by trials, which are left out then")
        if backbone is None:
            backbone, found = load_backbone(model_name)
            tokenizer = found if tokenizer is None else tokenizer
        elif tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(model_name, trust_remote_code=False)
        if not isinstance(backbone, PreTrainedModel) and not hasattr(backbone, "get_base_model"):
            raise ValueError(f"the backbone should be a model of transformers, not a {type(backbone).__name__}: wrap "
                             "or compile what RewardModel makes of it")
        check_kind(backbone.config, model_name, [type(backbone).__name__])
        check_tokenizer(tokenizer, backbone, model_name)
        self.tokenizer = tokenizer
        if isinstance(tokenizer.chat_template, dict):  # several would be saved as a directory
            self.tokenizer = copy.deepcopy(tokenizer)
            self.tokenizer.chat_template = None if rendering == "transcript" else tokenizer.get_chat_template()
        self.backbone = unpooled(backbone)
        unpadded.enable(self.backbone)
        self.first_position = first_position(backbone)
        self.accepts = accepted(backbone)
        self.eval()  # as transformers' from_pretrained does: dropout is for those who ask for it
        width, causal = backbone.config.hidden_size, False
        if encoding is None:  # what was saved has been tried, and proves itself by its canaries
            alone = trials.vectors_alone(self)
            width, causal = alone.shape[-1], trials.is_causal(alone)
        self.experts: list[nn.Parameter] = []  # filled by freeze_unused
        self.head = nn.Linear(width, 1)
        # Small, so that the first margins are near zero and the loss starts near log 2.
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        spec = encoding or read_spec(self.tokenizer, window(backbone, max_length), causal, rendering)
        if spec.segment >= getattr(backbone.config, "type_vocab_size", sys.maxsize):
            spec = replace(spec, segment=0)
        cls_is_last = spec.suffix[-1:] == (tokenizer.cls_token_id,)  # as in XLNet's
        self.pooling = ("last" if causal or cls_is_last else "cls") if pooling == "auto" else pooling
        self.encoding = spec
        if encoding is None:
            trials.check_batches(self, alone)
            if pooling == "auto":  # a choice of one's own may be a bad one
                trials.check_pooled(pool(alone, alone.new_ones(alone.shape[:2]), self.pooling), self.pooling)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Rewards (B,) in the head's dtype (float32) of sequences (B, T) padded on either side."""
        pooled = self.pooled(input_ids, attention_mask, token_type_ids)
        with torch.autocast(pooled.device.type, enabled=False):
            rewards = self.head(pooled.to(self.head.weight.dtype)).squeeze(-1)  # (B,)
        # An expert that no token was sent to has a gradient of zero then, and not none.
        return rewards + 0 * sum(weight.flatten()[0] for weight in self.experts) if self.experts else rewards

    def pooled(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """What the head sees, one vector (B, H) of each sequence (B, T) padded on either side."""
        # Padding goes to the right, where every backbone that can take it at all takes it.
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        input_ids, attention_mask = input_ids.gather(1, order), attention_mask.gather(1, order)
        types = None if token_type_ids is None else token_type_ids.gather(1, order)
        return pool(self.hidden(input_ids, attention_mask, types), attention_mask, self.pooling)

    def hidden(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The backbone's vectors (B, T, H) of sequences (B, T) padded on the right; at padding they mean nothing."""
        inputs: dict[str, Tensor | bool] = {}
        if "position_ids" in self.accepts:
            inputs["position_ids"] = position_ids(attention_mask) + self.first_position
        if token_type_ids is not None and "token_type_ids" in self.accepts:
            inputs["token_type_ids"] = token_type_ids
        if "use_cache" in self.accepts:
            inputs["use_cache"] = False
        return unpadded.last_hidden_state(self.backbone, input_ids, attention_mask, **inputs)

    def score(self, prompt, responses: Sequence[str]) -> list[float]:
        """Rewards of one prompt's responses, in order; they are compared with each other, not with other prompts'.

        prompt: text (one human turn, or a transcript), or messages ({"role", "content"} each). Where prompt and
        response are too long, all responses see the cut of the prompt that the longest one needs.
        Raises ValueError where there is no response, or one is no text, or the prompt can't be read.
        """
        encoded = encode_responses(self.tokenizer, read_prompt(prompt), responses, self.encoding)
        if cut := encoded[0].prompt_cut:
            ends = ", and a response its end" if any(pair.response_cut for pair in encoded) else ""
            logging.getLogger("rmlib").warning("the prompt lost its %d oldest tokens%s", cut, ends)
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
    def from_pretrained(cls, directory: str | os.PathLike) -> "RewardModel":
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
