"""What `python -m rmlib` takes: its commands, their arguments and what may be given for each."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

from rmlib.rendering import RENDERINGS

# As in rmlib.model and rmlib.training, which would load torch: --help should not wait for it. A test holds them equal.
_POOLINGS = ("auto", "cls", "mean", "last")
_PRECISIONS = ("auto", "fp32", "bf16")


def parser() -> argparse.ArgumentParser:
    """What each command takes; `command` is the name of the one that was given."""
    whole = argparse.ArgumentParser(prog="python -m rmlib", description="Train, evaluate and use a reward model.")
    count = _number(int, 0)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    pairs_help = ("preference pairs: JSON lines or an array, CSV, parquet, hf:owner/name:split (README has the forms), "
                  "or the word `world` for the gold world")

    budget_help = "padded tokens of a forward: less for less memory"
    command = commands.add_parser("train", help="train a reward model and evaluate it on held-out pairs")
    command.add_argument("pairs", metavar="PAIRS", help=pairs_help)
    command.add_argument("--out", required=True, metavar="DIR", help="where model, checkpoint and held-out rows go")
    command.add_argument("--backbone", metavar="NAME_OR_DIR", help="hub id or directory (default: see RMLIB_BACKBONE)")
    command.add_argument("--pooling", choices=_POOLINGS, default="auto")
    command.add_argument("--rendering", choices=RENDERINGS, default="auto",
                         help="of conversations: in the tokenizer's chat template (the default where there is one), or "
                              "as marked text")
    command.add_argument("--eval", metavar="PAIRS", help="evaluate on these; default: hold out whole conversations")
    share = _number(float, 0, 1)
    command.add_argument("--held-out", type=share, default=0.2, metavar="SHARE", help="of the pairs (default 0.2)")
    command.add_argument("--validation", metavar="PAIRS", help="judge the training as it goes on these, and keep the "
                         "weights that did best; default: whole conversations of the rest")
    command.add_argument("--validation-share", type=_number(float, 0, 1, closed=True), metavar="SHARE",
                         help="of the pairs (default 0.1); 0: none, and the last weights are kept")
    command.add_argument("--validate-every", type=count, metavar="STEPS", help="default: at the end of each epoch")
    command.add_argument("--patience", type=count, metavar="N", help="stop when N validations in a row were no better")
    command.add_argument("--start-from", metavar="DIR", help="begin with a saved model, head included, in place of a "
                         "backbone")
    command.add_argument("--epochs", type=count, default=1, help="passes over the pairs (default 1)")
    command.add_argument("--batch-size", type=count, default=16, help="pairs an optimizer step (default 16)")
    rate = _number(float, 0)
    command.add_argument("--learning-rate", type=rate, help="peak (default 5e-5; 5e-4 for the embedded backbone)")
    command.add_argument("--use-target-margin", action="store_true", help="want of each pair the gap in its `margin`")
    smoothing = _number(float, 0, 0.5, closed=True)
    command.add_argument("--label-smoothing", type=smoothing, default=0.0, metavar="S", help="share of labels in doubt")
    weight = _number(float, 0, sys.float_info.max, closed=True)
    command.add_argument("--centring", type=weight, default=0.0, metavar="LAMBDA", help="weight of (r_c + r_r)²")
    command.add_argument("--precision", choices=_PRECISIONS, default="auto", help="of the compute")
    command.add_argument("--seed", type=_number(int, -1, 2**32), default=0)
    command.add_argument("--max-length", type=count, metavar="L", help="tokens of prompt and response together")
    command.add_argument("--token-budget", type=count, metavar="N", help=budget_help)
    command.add_argument("--limit", type=count, metavar="N", help="use the first N good pairs")
    command.add_argument("--checkpoint-every", type=count, default=100, metavar="STEPS")
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    command.add_argument("--strict", action="store_true", help="stop at the first bad row")
    by_help = "take a pair's subset from this key of its row (default: subset)"
    command.add_argument("--by", metavar="KEY", help=f"{by_help}; held_out.jsonl keeps it")

    command = commands.add_parser("evaluate", help="accuracy, likelihood and calibration of a saved model",
                                  description="How good a saved model is. Intervals draw whole conversations, which "
                                              "are known by their first human turn.")
    command.add_argument("model", metavar="DIR")
    command.add_argument("pairs", metavar="PAIRS", help=pairs_help)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout: all figures of the report")
    command.add_argument("--validation", metavar="PAIRS", help="fit a temperature on these, and tell what it does")
    command.add_argument("--token-budget", type=count, default=8192, metavar="N", help=budget_help)
    command.add_argument("--by", metavar="KEY", help=f"{by_help}, and tell the accuracy of each, in report and --json")
    command.add_argument("--report", metavar="FILE", help="write a page for the browser, with figures: report.html")
    command.add_argument("--strict", action="store_true", help="stop at the first bad row")

    command = commands.add_parser("score", help="rewards of responses, a JSON line for each line")
    command.add_argument("model", metavar="DIR")
    command.add_argument("pairs", metavar="ROWS", help="rows of a prompt (or messages) and responses: "
                         '{"prompt": "...", "responses": ["...", "..."]}; or ' + pairs_help)
    command.add_argument("--token-budget", type=count, default=8192, metavar="N", help=budget_help)

    command = commands.add_parser("export", help="a saved model as one that AutoModelForSequenceClassification loads")
    command.add_argument("model", metavar="DIR")
    command.add_argument("out", metavar="OUT", help="a new directory")
    return whole


def check_report(options: argparse.Namespace) -> None:
    """Raise ValueError, before the work, where --report can't be written or would overwrite what is to be read."""
    path = Path(options.report).resolve()
    if path.is_dir() or path.exists() and not path.is_file():
        raise ValueError(f"--report {options.report} is {'a directory' if path.is_dir() else 'no file'}; give a file")
    read = [Path(options.model), Path(options.pairs), Path(options.validation or options.pairs)]
    if {path, *path.parents} & {each.resolve() for each in read}:
        raise ValueError(f"--report {options.report} is, or is in, what this command reads; give another place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"--report {options.report} can't be written in {path.parent}: {error.strerror}") from error


def _number(kind: type, low: float, high: float = math.inf, closed: bool = False) -> Callable[[str], float]:
    """A reader of numbers for argparse: above `low` and below `high`; `closed`: or one of them."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low < value < high or closed and value in (low, high)):
            whole = "whole " if kind is int else ""
            limit = f" and below {high}" if high < math.inf else ""
            limits = f"from {low} to {high:.4g}" if closed else f"above {low}{limit}"
            raise argparse.ArgumentTypeError(f"should be a {whole}number {limits}, not {text!r}")
        return value

    return read
