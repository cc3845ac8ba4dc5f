"""A run that can be interrupted and resumed, for the tests of checkpoints."""

from pathlib import Path

from training_parts import made_up_pairs, tiny_model

from rmlib.training import TrainingConfig, train

CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-3, token_budget=150, precision="fp32", dropout=True,
                        checkpoint_every=2, seed=3)
PAIRS = made_up_pairs(10)  # three steps an epoch, the last one short


class Interruption(Exception):
    pass


def run(directory: Path, config: TrainingConfig = CONFIG, pairs=PAIRS, *, seed: int = 0, until: int | None = None,
        resume: bool = False):
    """Train a tiny model; interrupted after step `until`. Returns (model, result), or None where interrupted."""
    def on_step(record: dict) -> None:
        if record["step"] == until:
            raise Interruption

    model = tiny_model(seed)
    try:
        return model, train(model, pairs, config, checkpoint_dir=directory, resume=resume, on_step=on_step,
                            progress=False)
    except Interruption:
        return None


def checkpoint(directory: Path) -> Path:
    [path] = directory.iterdir()  # exactly one, and no leftovers
    return path
