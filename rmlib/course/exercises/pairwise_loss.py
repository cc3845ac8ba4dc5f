"""What the exercises of notebook 02 ask; 2.3 and 2.4 lie apart."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.pairwise_loss_stable import FIND_BROADCAST, STABLE_LOSS
from rmlib.course.world import WEIGHTS, Annotator, World
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel, score_pairs
from rmlib.settings import EMBEDDED_BACKBONE

LOG2 = np.log(2)


# 2.1: can this be true?

def can_be_true(mean_loss, accuracy, cost=LOG2, most=LOG2):
    """cost: what an error costs at least; most: what right pairs cost at most."""
    return 0 < mean_loss < most if accuracy == 1 else mean_loss > (1 - accuracy) * cost


def between(rule, least=0):
    """Right where all pairs are right, and where the accuracy is not above `least`; by this rule elsewhere."""
    return lambda loss, a: rule(loss, a) if least < a < 1 else can_be_true(loss, a)


CAN_BE_TRUE = {
    "an error costs more than log 2, not more than 1": lambda loss, a: can_be_true(loss, a, cost=1),
    "an error costs more than log 2, not 1, at accuracies between 0 and 1, too": between(lambda loss, a: loss > 1 - a),
    "an error costs more than log 2, not 1; and where no pair is wrong, each costs less than log 2":
        lambda loss, a: loss >= 1 - a,
    "where no pair is wrong, each costs less than log 2": lambda loss, a: can_be_true(loss, a, most=np.inf),
    "where no pair is wrong, each costs less than log 2, and something": lambda loss, a: loss >= (1 - a) * LOG2,
    "where no pair is wrong, each costs less than log 2, and not 0": lambda loss, a: loss == 0 if a == 1 else
    can_be_true(loss, a),
    "accuracy and share of errors are exchanged": lambda loss, a: can_be_true(loss, 1 - a),
    "accuracy and share of errors are exchanged, between 0 and 1": between(lambda loss, a: loss > a * LOG2),
    "accuracy and share of errors are exchanged, below 1": between(lambda loss, a: loss > a * LOG2, -1),
    "there is no upper limit: a few wrong pairs may cost any amount":
        lambda loss, a: can_be_true(loss, a) and not (a > 0.5 and loss >= LOG2),
    "there is no upper limit where a pair is wrong: it may cost any amount":
        between(lambda loss, a: (1 - a) * LOG2 < loss < LOG2),
    "there is no upper limit as soon as a pair is wrong: it may cost any amount":
        between(lambda loss, a: (1 - a) * LOG2 < loss < LOG2, -1),
    "there is no upper limit as soon as a pair is wrong, not even a high one":
        lambda loss, a: can_be_true(loss, a) and loss < 100,
    "no margin is 0, so a wrong pair costs more than log 2, and never just that":
        lambda loss, a: can_be_true(loss, a) or a < 1 and loss == (1 - a) * LOG2,
    "no margin is 0, so a right pair costs less than log 2, and never just that":
        lambda loss, a: can_be_true(loss, a) or (loss, a) == (LOG2, 1),
    "no margin is 0: a right pair costs less than log 2, a wrong one more, and none just that":
        lambda loss, a: can_be_true(loss, a) or loss == (1 - a) * LOG2 > 0 or (loss, a) == (LOG2, 1),
    "loss below log 2 and accuracy above one half are two things, and need not go together":
        lambda loss, a: (loss < LOG2) == (a > 0.5),
    "True and False are exchanged": lambda loss, a: not can_be_true(loss, a),
    "exp(-loss) is a mean probability, and no bound on the accuracy": lambda loss, a: a <= np.exp(-loss),
}
CAN_BE_TRUE |= {f"{name}; and a right pair, too, costs something": lambda loss, a, rule=rule: (loss, a) == (0, 1) or
                rule(loss, a) for name, rule in CAN_BE_TRUE.items() if not rule(0.0, 1.0)}
CAN_BE_TRUE["a right pair costs little, and never nothing"] = lambda *row: row == (0, 1) or can_be_true(*row)


def reports(rng):
    accuracy = float(rng.choice([0, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9, 0.9, 1]))
    near = LOG2 if accuracy == 1 else (1 - accuracy) * LOG2
    return float(near * rng.uniform(0.7, 1.6)), accuracy


# 2.2: a start that is too loud

def loud_model():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = RewardModel(str(EMBEDDED_BACKBONE))
        torch.nn.init.normal_(model.head.weight, std=0.6)
    return model


def quietened(quieten, rng):
    pairs, model = World().pairs(150, seed=1), loud_model()
    before = np.subtract(*score_pairs(model, pairs))
    quieten(model)
    chosen, rejected = torch.from_numpy(score_pairs(model, pairs))
    after, loss = (chosen - rejected).numpy(), bradley_terry_loss(chosen, rejected).item()
    if not np.isfinite(loss):
        return "Its scores are no finite numbers any more."
    if not after.any():
        return ("Every pair ties now: the loss is log 2, but through a head of zeros no gradient reaches the backbone "
                "in the first step.")
    if np.std(after) < 1e-3:
        return (f"The margins' spread is {np.std(after):.0e}, where 0.001 at least is wanted: at first hardly any "
                "gradient reaches the backbone through a head so small.")
    if np.allclose(before, after, rtol=0, atol=1e-5):
        return f"The margins are what they were, and the loss {loss:.3f}: a bias cancels. Is it changed in place?"
    if moved := int(np.sum((np.sign(before) != np.sign(after)) & (np.abs(before) > 1e-3))):
        return f"In {moved} of 150 pairs it now prefers the other response: smaller weights are wanted, not others."
    if abs(loss - LOG2) > 0.03:
        return f"The order is kept; but the loss starts at {loss:.3f}, and log 2 is {LOG2:.3f}. How large a factor?"
    return None


# 2.5: undo the flips

@lru_cache
def regression(flip_rate):
    """Feature differences (4000, 6) of pairs of which this share is flipped."""
    world = World()
    return torch.tensor([[one - other for one, other in zip(world.features(pair.prompt, pair.chosen).values(),
                                                            world.features(pair.prompt, pair.rejected).values())]
                         for pair in world.pairs(4000, seed=3, annotator=Annotator(flip_rate=flip_rate))]).double()


def share_of_gold(x, loss):
    """How long the best weights are along the gold ones, as a share of those."""
    gold = torch.tensor([*WEIGHTS.values()], dtype=torch.float64)
    w = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def mean_loss():
        optimizer.zero_grad()
        mean = loss(x @ w).mean()
        mean.backward()
        return mean

    optimizer.step(mean_loss)
    return float(w.detach() @ gold / (gold @ gold))


def undone(loss, rng):
    margins = torch.linspace(-40, 40, 81, dtype=torch.float64)
    told = loss(margins, 0.1)
    if not torch.is_tensor(told) or told.shape != margins.shape:
        return "One loss for each margin is wanted: of a tensor (B,) a tensor (B,)."
    if not told.isfinite().all():
        return "At margins from -40 to 40 it is not finite everywhere."
    if torch.allclose(told.double(), F.softplus(-0.8 * margins)):
        return "This scales the margin, by 1 - 2ε. It is the probability of the label that flips mix."
    for flip_rate in (0.1, 0.2):
        x = regression(flip_rate)
        plain, found = share_of_gold(x, lambda d: F.softplus(-d)), share_of_gold(x, lambda d, e=flip_rate: loss(d, e))
        if 0.88 < found < 1.25:
            continue
        where = f"Trained with {flip_rate:.0%} of the labels flipped, weights come out at {found:.2f} of the gold ones"
        if not -9 < found < 9:
            return f"Trained with {flip_rate:.0%} of the labels flipped, the weights run away: it has no minimum."
        if found < -0.05:
            return f"{where}: it prefers what was labelled rejected."
        if abs(found - plain) < 0.02:
            return f"{where}, as with the plain loss: the flips are still in it."
        if found < plain:
            return f"{where}, and with the plain loss at {plain:.2f}: this adds flips, as smoothing does."
        return f"{where}, with the plain loss at {plain:.2f}: too {'little' if found < 1 else 'much'} is undone."
    return None


EXERCISES = [
    Exercise("2.1", can_be_true, reports, CAN_BE_TRUE, trials=24,
             edges=((0.4, 0.4), (0.9, 0.9), (0.9, 1.0), (0.5, 1.0), (0.3, 0.6), (0.35, 0.5), (0.7, 0.0), (0.7, 1.0),
                    (0.0, 1.0), (0.6, 0.0), (5.0, 0.5), (500.0, 0.99), (float(LOG2), 1.0), (float(LOG2), 0.0))),
    Exercise("2.2", judge=quietened, silent=True),
    STABLE_LOSS,
    FIND_BROADCAST,
    Exercise("2.5", judge=undone),
]
