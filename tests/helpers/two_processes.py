"""What each of two processes sees of one training, written down for test_distributed; torchrun starts it twice.

Usage: torchrun --nproc_per_node 2 two_processes.py DIRECTORY
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from training_parts import CONFIG, PAIRS, losses, run, tiny_model

from rmlib.evaluation import evaluate
from rmlib.model import score_pairs_distributed
from rmlib.training import Trainer

# Batches of pairs: even, uneven, a single one, and one whose long pairs all fall to the first process.
LENGTHS = [len(f"{pair.prompt} {max(pair.chosen, pair.rejected, key=len)}".split()) for pair in PAIRS]
BY_LENGTH = sorted(range(len(PAIRS)), key=LENGTHS.__getitem__)
BATCHES = {
    "even": [0, 1, 2, 3, 4, 5, 6, 7],
    "uneven": [8, 9, 10, 11, 12],
    "single": [13],
    "lopsided": [i for pair in zip(BY_LENGTH[7:], BY_LENGTH[:7]) for i in pair],
}
WITH_CHECKPOINTS = replace(CONFIG, checkpoint_every=2, dropout=True)


def gradients(trainer: Trainer, batch: list[int]) -> dict[str, torch.Tensor]:
    trainer.core.zero_grad()
    trainer.backward(batch)
    return {name: parameter.grad.clone() for name, parameter in trainer.core.named_parameters()}


class Interruption(Exception):
    pass


def stop_after_five(record: dict) -> None:
    if record["step"] == 5:
        raise Interruption


def interrupted_and_resumed(directory: Path):
    try:
        run(WITH_CHECKPOINTS, checkpoint_dir=directory, on_step=stop_after_five)
    except Interruption:
        pass
    return run(WITH_CHECKPOINTS, model=tiny_model(seed=1), checkpoint_dir=directory, resume=True)


def main(directory: Path) -> None:
    trainer = Trainer(tiny_model(), PAIRS, CONFIG)
    rank = trainer.accelerator.process_index
    for name, batch in BATCHES.items():
        save_file(gradients(trainer, batch), directory / f"{name}-{rank}.safetensors")
    del trainer
    seen = {}
    model, result = run()
    seen["losses"] = losses(result)
    seen["evaluations"] = [asdict(evaluate(model, PAIRS[:count])) for count in (14, 5, 1)]
    seen["scores"] = score_pairs_distributed(model, PAIRS).tolist()
    whole, _ = run(WITH_CHECKPOINTS, checkpoint_dir=directory / "whole")
    parts, resumed = interrupted_and_resumed(directory / "parts")
    seen["resumed"] = losses(resumed)
    seen["unequal after resume"] = [name for (name, a), b in zip(whole.named_parameters(), parts.parameters())
                                    if not torch.equal(a, b)]
    (directory / f"seen-{rank}.json").write_text(json.dumps(seen))
    save_file({name: tensor.contiguous() for name, tensor in model.named_parameters()}, directory / f"weights-{rank}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
