"""`python -m rmlib train`: pairs to a trained model, its figures, its rivals and its card, in one directory."""

import json
import logging
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from accelerate import PartialState
from accelerate.utils import set_seed

from rmlib.evaluation import reward_margins, summarise
from rmlib.files import atomic_write_text, sha256
from rmlib.model import RewardModel, score_pairs_distributed
from rmlib.pairs import PairSet, conversation_keys, read_pairs
from rmlib.practice.card import write_card
from rmlib.practice.command_line.evaluating import TRAINING, read_training, tell
from rmlib.practice.command_line.parts import training_data
from rmlib.practice.command_line.signals import STOPPED, stop_on_signals
from rmlib.practice.command_line.sources import WORLD, gold_margins
from rmlib.practice.preflight import preflight_encoded, tabulate
from rmlib.practice.rivals import Rivals, fit_rivals, hash_of_weights, read_rivals
from rmlib.practice.usable import compare, told
from rmlib.practice.writing import write_pairs
from rmlib.settings import is_embedded, learning_rate_for, read_settings
from rmlib.training import NEWEST, TrainingConfig, train

_log = logging.getLogger("rmlib")
HELD_OUT, STARTED = "held_out.jsonl", "checkpoints/started"  # the mark of a run, whose parts may be made anew


def run_train(options: Namespace) -> int:
    out, main = Path(options.out), PartialState().is_main_process
    _check_out(out, options.resume)
    set_seed(options.seed)
    training, held_out, validation = training_data(options)
    start, model = _model(options)
    for name, part in ((HELD_OUT, held_out), ("validation.jsonl", validation)):
        _put_aside(out, name, part, options.resume)
    data = {"name": training.name, "sha256": sha256(options.pairs) if Path(options.pairs).is_file() else None,
            "pairs": len(training.pairs), "conversations": len(set(conversation_keys(training.pairs))),
            "validation_pairs": len(validation.pairs), "held_out_pairs": len(held_out.pairs)}
    earlier = read_rivals(Path(start)) if options.start_from else None
    _tell_start(options, start, model, earlier, held_out)
    if main:
        _log.info("%s", tabulate({  # bad rows of a file that is split are told with the training part
            "training": preflight_encoded(training, model.tokenizer, model.encoding, held_out.pairs),
            "held out": preflight_encoded(held_out, model.tokenizer, model.encoding)}))
    config = _config(options, start)
    with stop_on_signals() as should_stop:
        result = train(model, training.pairs, config, validation=validation.pairs, checkpoint_dir=out / "checkpoints",
                       resume=options.resume, should_stop=should_stop)
    if result.interrupted:
        _log.warning("stopped after step %d, which is saved: the same command with --resume goes on", result.steps)
        return STOPPED
    if result.validation and result.validation[-1] == min(result.validation, key=lambda look: look["nll"]):
        _log.warning("the last look at the validation pairs was the best: more --epochs may do better")
    if main:
        model.save_pretrained(out)
        facts = {"weights": hash_of_weights(out), "backbone": start, "data": data, "settings": asdict(config),
                 "evaluated_on": Path(options.eval).name if options.eval else None}
        atomic_write_text(out / TRAINING, json.dumps(facts | asdict(result)) + "\n")
    _log.info("%d pairs in %.0f s (%s, %s); saved in %s", result.pairs_seen, result.seconds, result.device,
             result.precision, out)
    margins = reward_margins(score_pairs_distributed(model, held_out.pairs, options.token_budget or 8192))  # (N,)
    if main:
        rivals = fit_rivals(training.pairs, validation.pairs)
        if earlier:
            rivals = replace(rivals, conversations=np.union1d(rivals.conversations, earlier.conversations))
        rivals.save(out)
        compared = compare(margins, held_out.pairs, rivals)
        write_card(out, model, facts, summarise(margins, held_out.pairs), told(compared))
        from_world = options.pairs == WORLD and not options.eval
        tell(margins, held_out.pairs, gold_margins(held_out.pairs) if from_world else None, compared, "held out: ")
    return 0


def _put_aside(out: Path, name: str, part: PairSet, resume: bool) -> None:
    """Write a part before the training, when what can't be written shows; a run that goes on has it already.

    Raises ValueError where the part there is another: the model has been trained on some of this one.
    """
    if resume and (out / "checkpoints" / NEWEST).exists():
        if (read_pairs(out / name).pairs if (out / name).exists() else []) != part.pairs:
            raise ValueError(f"{out / name}: the run put other pairs aside; resume it with its own PAIRS, --seed, "
                             "--limit, --by, --held-out, --eval and --validation, or give another --out")
    elif PartialState().is_main_process:
        atomic_write_text(out / STARTED, "")
        (out / name).unlink(missing_ok=True)
        if part.pairs:
            write_pairs(out / name, part.pairs)


def _config(options: Namespace, start: str) -> TrainingConfig:
    origin = read_training(Path(start)).get("backbone", start) if options.start_from else start  # as far as it is told
    return TrainingConfig(
        epochs=options.epochs, batch_size=options.batch_size, seed=options.seed, precision=options.precision,
        learning_rate=options.learning_rate or learning_rate_for(origin),
        label_smoothing=options.label_smoothing, centring=options.centring, token_budget=options.token_budget,
        use_target_margin=options.use_target_margin, checkpoint_every=options.checkpoint_every,
        validate_every=options.validate_every, patience=options.patience,
    )


def _tell_start(options: Namespace, start: str, model: RewardModel, earlier: Rivals | None, held_out: PairSet) -> None:
    _log.info("%s %s, %s pooling, %d tokens at most; conversations are rendered as %s",
              "saved model" if options.start_from else "backbone", start, model.pooling, model.encoding.max_length,
              model.encoding)
    if is_embedded(start) and options.pairs != WORLD:
        _log.warning("the embedded backbone knows only the gold world's words and facts; for real text give "
                     "--backbone, for instance distilbert-base-uncased")
    if earlier and (seen := earlier.seen(held_out.pairs)):
        _log.warning("%d of the %d pairs held out are of conversations that %s has seen, so the figures will flatter: "
                     "give its own --seed and --held-out, or new pairs by --eval", seen, len(held_out.pairs), start)


def _model(options: Namespace) -> tuple[str, RewardModel]:
    """The model to train and what it is made from: a backbone, or a saved model."""
    if not options.start_from:
        backbone = options.backbone or read_settings().backbone
        return backbone, RewardModel(backbone, options.pooling, options.max_length, options.rendering)
    auto = {"backbone": None, "pooling": "auto", "max_length": None, "rendering": "auto"}
    if given := [name for name, default in auto.items() if getattr(options, name) != default]:
        raise ValueError(f"--{given[0].replace('_', '-')} is part of the model that --start-from gives: leave it out")
    return options.start_from, RewardModel.from_pretrained(options.start_from)


def _check_out(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; give a directory")
    kept = [name for name in ("config.json", "README.md", HELD_OUT, "validation.jsonl") if (out / name).exists()]
    can_resume = (out / "checkpoints" / NEWEST).exists()
    if kept and not can_resume and ("config.json" in kept or not (out / STARTED).exists()):
        raise ValueError(f"--out {out} holds {kept[0]} and no checkpoint; it would be lost: give another --out")
    if can_resume and not resume:
        raise ValueError(f"--out {out} holds an earlier run: --resume continues it, another --out keeps it")
