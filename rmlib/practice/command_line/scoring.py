"""`python -m rmlib score`: a JSON line of rewards for each row; and `export`."""

import argparse
import json
import logging
from collections.abc import Iterator
from itertools import islice

import numpy as np
from accelerate import PartialState

from rmlib.encoding import EncodedPair
from rmlib.model import RewardModel
from rmlib.model.scoring import encode_responses, score_encoded_distributed
from rmlib.pairs import BadRow, LeftOut
from rmlib.practice.candidates import Candidates
from rmlib.practice.command_line.sources import ToScore, rows_of
from rmlib.practice.export import export

_log = logging.getLogger("rmlib")
SCORE_CHUNK = 1024  # rows held in memory at a time


def run_score(options: argparse.Namespace) -> int:
    model = RewardModel.from_pretrained(options.model).to(PartialState().device)
    rows = rows_of(options.pairs)
    told = failed = 0
    while chunk := list(islice(rows, SCORE_CHUNK)):
        for scored in _score_rows(model, chunk, options.token_budget):
            told, failed = told + 1, failed + ("error" in scored)
            if PartialState().is_main_process:
                print(json.dumps(scored))
    if failed:
        _log.warning("%s: %d of %d rows have no score; their lines say why", options.pairs, failed, told)
    if failed == told:
        raise ValueError(f"{options.pairs}: no row can be used")
    return 0


def run_export(options: argparse.Namespace) -> int:
    if PartialState().is_main_process:
        _log.info("%s", export(options.model, options.out))
    return 0


def _score_rows(model: RewardModel, rows: list[ToScore], token_budget: int) -> Iterator[dict]:
    encoded = [_encoded(model, row) for row in rows]
    told = [each for each in encoded if isinstance(each, list)]
    rewards = iter(score_encoded_distributed(model, [pair for each in told for pair in each], token_budget).T)
    if cut := sum(each[0].prompt_cut > 0 for each in told):
        _log.warning("%d of %d prompts lost their oldest tokens, %d of these a response its end", cut, len(told),
                     sum(any(pair.response_cut for pair in each) for each in told))
    for row, each in zip(rows, encoded):
        if isinstance(row, BadRow | LeftOut) or not isinstance(each, list):
            yield {"line": each.line, "error": each.message}  # type: ignore[union-attr]
            continue
        found = np.concatenate(list(islice(rewards, len(each)))).tolist()  # two in each encoded pair
        name = {} if row.id is None else {"id": row.id}
        if isinstance(row, Candidates):
            found = found[: len(row.responses)]
            yield name | {"rewards": found, "best": found.index(max(found))}
        else:
            yield name | dict(zip(("chosen", "rejected"), found))


def _encoded(model: RewardModel, row: ToScore) -> list[EncodedPair] | BadRow | LeftOut:
    """Two responses in each pair; a row that the model's chat template refuses is a bad one."""
    if isinstance(row, BadRow | LeftOut):
        return row
    responses = row.responses if isinstance(row, Candidates) else [row.chosen, row.rejected]
    try:
        return encode_responses(model.tokenizer, row.turns, responses, model.encoding)
    except ValueError as error:
        return BadRow(row.line or 0, "can't be used", str(error))
