"""What `python -m rmlib` does, by the name of the command. Data goes to stdout, talk to stderr."""

from rmlib.practice.command_line.evaluating import run_evaluate
from rmlib.practice.command_line.scoring import run_export, run_score
from rmlib.practice.command_line.training import run_train

COMMANDS = {"train": run_train, "evaluate": run_evaluate, "score": run_score, "export": run_export}
