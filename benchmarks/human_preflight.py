"""Look human comparisons over, once, for notebook 04: it shows the counts to who has none, and no text of theirs.

    python benchmarks/human_preflight.py --pairs HH --backbone MINILM --json rmlib/assets/studies/hh_preflight.json

The tokens, the window and the cuts are those of a reward model on this backbone. `rows_leak` holds, for each of five
draws, which share of a random quarter of the rows has a conversation that the other rows are of, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import numpy as np

from rmlib.files import atomic_write_text
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair, conversation_keys, read_pairs
from rmlib.practice.preflight import preflight_encoded

DRAWS = 5


def leaked_shares(pairs: Sequence[PreferencePair]) -> list[float]:
    """For each draw: of a quarter of the rows, drawn at random, the share whose conversation the others are of, too."""
    keys, shares = np.array(conversation_keys(pairs)), []
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(keys))
        held, others = np.split(keys[order], [len(keys) // 4])
        shares.append(float(np.isin(held, others).mean()))
    return shares


def looked_over(pairs: str, backbone: str, window: int) -> dict:
    """The study: the report, and what a split by rows leaks."""
    found, model = read_pairs(pairs), RewardModel(backbone, max_length=window)
    report = asdict(preflight_encoded(found, model.tokenizer, model.encoding))
    return {"report": report | {"name": ""}, "rows_leak": leaked_shares(found.pairs), "window": window,
            "date": date.today().isoformat()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", required=True, metavar="FILE")
    parser.add_argument("--backbone", required=True, metavar="NAME_OR_DIR")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--json", required=True, metavar="OUT")
    options = parser.parse_args(arguments)
    study = looked_over(options.pairs, options.backbone, options.max_length)
    atomic_write_text(options.json, json.dumps(study, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
