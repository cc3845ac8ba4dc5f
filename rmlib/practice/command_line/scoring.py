"""`python -m rmlib score`: a JSON line of rewards for each row; and `export`."""

import argparse
import json
import logging
from collections.abc import Iterator
from itertools import islice

import numpy as np
from accelerate import PartialState

from rmlib.model import RewardModel, score_pairs_distributed
from rmlib.model.scoring import encode_responses, score_encoded_distributed
from rmlib.pairs import BadRow, LeftOut, PreferencePair
from rmlib.practice.candidates import Candidates
from rmlib.practice.command_line.sources import rows_of
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


def _score_rows(
    model: RewardModel, rows: list[PreferencePair | Candidates | BadRow | LeftOut], token_budget: int
) -> Iterator[dict]:
    pairs = [row for row in rows if isinstance(row, PreferencePair)]
    scores = iter(score_pairs_distributed(model, pairs, token_budget).T.tolist())
    asked = [encode_responses(model.tokenizer, row.turns, row.responses, model.encoding)
             for row in rows if isinstance(row, Candidates)]
    rewards = iter(score_encoded_distributed(model, [pair for each in asked for pair in each], token_budget).T)
    for row in rows:
        if isinstance(row, BadRow | LeftOut):
            yield {"line": row.line, "error": row.message}
            continue
        name = {} if row.id is None else {"id": row.id}
        if isinstance(row, Candidates):
            found = np.concatenate(list(islice(rewards, -(-len(row.responses) // 2))))  # two in each encoded pair
            rewards_of = found[: len(row.responses)].tolist()
            yield name | {"rewards": rewards_of, "best": rewards_of.index(max(rewards_of))}
        else:
            chosen, rejected = next(scores)
            yield name | {"chosen": chosen, "rejected": rejected}
