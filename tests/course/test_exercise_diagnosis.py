"""Which mistake was it? Each kind is made on purpose, in made-up exercises, and has to be told by its name alone."""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from rmlib.course.exercises import check, engine, explanations
from rmlib.course.exercises.engine import Exercise, WrongAnswer


def draw(rng: np.random.Generator) -> tuple:
    size = rng.integers(3, 9)
    return rng.normal(size=size), rng.normal(size=size)


def decay(x, y):
    return x * np.exp(-y)


def square(x):
    return np.mean(np.square(x))


def chance(x):
    return 1 / (1 + np.exp(-x))


def surprise(z):
    return float(np.logaddexp(0, z))


def both(x, y):
    return x + y, float(x @ y)


DECAY = Exercise("9.1", answer=decay, draw=draw)
SQUARE = Exercise("9.1", answer=square, draw=lambda rng: draw(rng)[:1])
CHANCE = Exercise("9.1", answer=chance, draw=lambda rng: (rng.normal(),))
SURPRISE = Exercise("9.1", answer=surprise, draw=lambda rng: (rng.normal(),), edges=((0.0,), (800.0,), (-800.0,)))
BOTH = Exercise("9.1", answer=both, draw=draw)
TABLE = Exercise("9.1", answer=lambda x, y: np.outer(x, y**2), draw=lambda rng: rng.normal(size=(2, 4)))
HEAT = Exercise("9.1", answer=lambda x, heat: x / heat, draw=lambda rng: (rng.normal(size=4), rng.uniform(2, 3)))
THREE = Exercise("9.1", answer=lambda x, y, z: x * y + z, draw=lambda rng: tuple(rng.normal(size=3)))
PAIR = Exercise("9.1", answer=lambda x: x - x.mean(), draw=lambda rng: (rng.normal(size=rng.integers(2, 4)),))
PULLS = Exercise("9.1", answer=lambda x: (-x, x), draw=lambda rng: (rng.normal(size=5),), edges=((np.ones(2),),))
RATING = Exercise("9.1", answer=lambda x, k: x + k, draw=lambda rng: (rng.uniform(1e3, 2e3), rng.uniform(1, 10)))
POSITIVE = Exercise("9.1", answer=lambda x, y: bool(x > y), draw=lambda rng: tuple(rng.normal(size=2)))
NAME = Exercise("9.1", answer=lambda x: "up" if x > 0 else "down", draw=lambda rng: (rng.normal(),))


def told(exercise: Exercise, function: Callable) -> list[str]:
    """The sentences that name the mistake."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(WrongAnswer) as wrong:
        patch.setenv("RMLIB_STRICT_EXERCISES", "1")
        patch.setattr(engine, "find", lambda number: exercise)
        check("9.1", function)
    facts = ("  given", "  expected", "  got")
    lines = [line for line in str(wrong.value).splitlines()[1:] if not line.startswith(facts)]
    return [re.sub("^Or: (.)", lambda match: match[1].upper(), line.strip()) for line in lines]


MISTAKES = [
    (DECAY, lambda x, y: 0 * x, "It is zero everywhere."),
    (DECAY, lambda x, y: -decay(x, y), "The sign is turned round."),
    (CHANCE, lambda x: 1 - chance(x), "It is 1 minus the right answer."),
    (DECAY, lambda x, y: np.abs(decay(x, y)), "It is the absolute value of the right answer."),
    (CHANCE, lambda x: math.log(chance(x)), "It is the logarithm of the right answer."),
    (CHANCE, lambda x: -math.log(chance(x)), "It is minus the logarithm of the right answer."),
    (SURPRISE, lambda z: np.exp(surprise(z)), "It is the exponential of the right answer."),
    (SURPRISE, lambda z: np.exp(-surprise(z)), "It is exp(-x), where x is the right answer."),
    (CHANCE, lambda x: 1 + np.exp(-x), "It is the reciprocal of the right answer: 1 divided by it."),
    (DECAY, lambda x, y: decay(x, y) ** 2, "It is the square of the right answer."),
    (SQUARE, lambda x: np.sqrt(square(x)), "It is the square root of the right answer."),
    (DECAY, lambda x, y: chance(decay(x, y)), "It is the sigmoid of the right answer."),
    (CHANCE, lambda x: x, "It is the logit of the right answer, log(p / (1 - p))."),
    (DECAY, lambda x, y: np.clip(decay(x, y), 0, 1), "It is clipped: what lies outside 0 to 1 is cut off."),
    (DECAY, lambda x, y: np.maximum(decay(x, y), -0.1), "It is clipped: what is less than -0.1 becomes -0.1."),
    (DECAY, lambda x, y: np.minimum(decay(x, y), 0.1), "It is clipped: what is more than 0.1 becomes 0.1."),
    (DECAY, lambda x, y: np.round(decay(x, y)), "It is rounded to a whole number."),
    (DECAY, lambda x, y: np.trunc(decay(x, y)), "It is cut off to a whole number."),
    (DECAY, lambda x, y: np.round(decay(x, y), 3), "It is rounded to 3 decimals."),
    (DECAY, lambda x, y: decay(x, y)[::-1], "The order along the first axis is turned round."),
    (TABLE, lambda x, y: np.outer(y**2, x), "It is transposed."),
    (DECAY, lambda x, y: np.sort(decay(x, y)), "The numbers are right, their order is not."),
    (DECAY, lambda x, y: decay(x, y) * np.sign(x[0]), "The sizes are right, the signs are not."),
    (DECAY, lambda x, y: decay(x, y) - decay(x, y).mean(), "Within one call all numbers are off by the same amount"),
    (DECAY, lambda x, y: decay(x, y) / np.abs(x).sum(), "Within one call all numbers are off by the same factor"),
    (DECAY, lambda x, y: decay(x, y).sum(), "It is the sum of what is wanted, in one number."),
    (DECAY, lambda x, y: decay(x, y).mean(), "It is the mean of what is wanted, in one number."),
    (SQUARE, lambda x: x**2, "It is many numbers, and their mean is wanted."),
    (SQUARE, lambda x: x**2 / len(x), "It is many numbers, and their sum is wanted."),
    (DECAY, lambda x, y: decay(x, y)[:, None], "The numbers are right, the shape is not."),
    (POSITIVE, lambda x, y: not x > y, "True and False are exchanged."),
    (SQUARE, lambda x: np.sum(x**2), "With n = x.shape[0] it is n times the right answer: a sum in place of a mean?"),
    (SQUARE, lambda x: square(x) / len(x), "With n = x.shape[0] it is 1/n times the right answer"),
    (SQUARE, lambda x: np.sum(x**2) / (len(x) - 1), "With n = x.shape[0] it is n/(n-1) times the right answer"),
    (SQUARE, lambda x: 2 * square(x), "It is the right answer times 2."),
    (SQUARE, lambda x: -square(x) / 2, "It is the right answer times minus 1/2."),
    (SURPRISE, lambda z: np.logaddexp2(0, z / np.log(2)), "It is the right answer times 1/log 2 (log2 in place"),
    (SQUARE, lambda x: 2 * square(x) / 3, "It is the right answer times 2/3."),
    (SQUARE, lambda x: 1.23 * square(x), "It is the right answer times 1.23."),
    (SQUARE, lambda x: square(x) + 0.5, "It is the right answer plus 1/2, at every input."),
    (SURPRISE, lambda z: surprise(z) - np.log(2), "It is the right answer minus log 2, at every input."),
    (THREE, lambda x, y, z: x * z + y, "It is the right answer with `y` and `z` exchanged."),
    (PAIR, lambda x: x - x[0], "Within one call all numbers are off by the same amount"),
    (HEAT, lambda x, heat: x * 1.0, "`x` comes back as it was given."),
    (HEAT, lambda x, heat: x / heat**2, "It is the right answer divided by `heat`."),
    (HEAT, lambda x, heat: x / heat + heat, "It is the right answer plus `heat`."),
    (DECAY, lambda x, y: decay(x, -y), "It is the right answer with the sign of `y` turned round."),
    (DECAY, lambda x, y: decay(y, x), "It is the right answer with `x` and `y` exchanged."),
    (DECAY, lambda x, y: np.exp(-y), "It is the right answer with 1 for `x`: is it used?"),
    (DECAY, lambda x, y: np.float32(decay(x, y)), "It agrees to a relative error of"),
    (SQUARE, lambda x: 3.0, "The same came back whatever the arguments were."),
    (NAME, lambda x: "up", "The same came back whatever the arguments were."),
    (BOTH, lambda x, y: both(x, y)[::-1], "The results are right, their order is turned round."),
    (SQUARE, lambda x: None, "Nothing was returned (None): is there a `return`?"),
    (SQUARE, lambda x: "one", "Wanted is a single number, not a str."),
    (DECAY, lambda x, y: x[0], "A single number came back, the shape"),
    (POSITIVE, lambda x, y: 1.0, "Wanted is a single truth value, not a single number."),
    (BOTH, lambda x, y: x + y, "Wanted are 2 results, not numbers of shape"),
    (SQUARE, lambda x: square(x) + np.random.default_rng().normal(), "Called again with the same arguments"),
]


@pytest.mark.parametrize("exercise, function, sentence", MISTAKES, ids=[sentence[:50] for *_, sentence in MISTAKES])
def test_a_mistake_is_named(exercise: Exercise, function: Callable, sentence: str):
    assert any(line.startswith(sentence) for line in told(exercise, function)), told(exercise, function)


def test_each_simple_explanation_is_among_them():
    assert set(explanations.SIMPLE) <= {sentence for *_, sentence in MISTAKES}


@pytest.mark.parametrize("function", [lambda x: -x, lambda x: list(-x), lambda x: torch.tensor(-x)])
def test_one_result_is_not_taken_for_two_where_its_length_is_two(function: Callable):
    assert told(PULLS, function) == ["Wanted are 2 results, not numbers of shape (2,)."]


def test_zero_is_told_as_zero_and_not_as_rounded():
    assert told(BOTH, lambda x, y: (np.zeros(len(x)), float(x @ y))) == ["Result 1 of 2 is wrong.",
                                                                         "It is zero everywhere."]
    assert told(DECAY, lambda x, y: np.zeros(len(x))) == ["It is zero everywhere."]


def test_close_is_measured_against_what_is_added_to_an_argument():
    noise = np.random.default_rng()
    close = told(RATING, lambda x, k: x + k * noise.uniform(1.005, 1.008))
    assert close[0].startswith("It is close")
    far = told(RATING, lambda x, k: x + k * (1.2 + np.sin(1e3 * x) / 10))
    assert far == ["None of the mistakes known here explains it."]


def test_an_error_at_another_input_is_told():
    later = replace(SQUARE, draw=lambda rng: (rng.normal(size=rng.integers(3, 5)),), edges=((np.ones(9),),))
    sentences = told(later, lambda x: np.sin(x[0]) if len(x) < 5 else 1 / 0)
    assert sentences[0] == "None of the mistakes known here explains it."
    assert sentences[1].startswith("At another input: It stopped with ZeroDivisionError")


# --- no more than is true ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("function", [lambda x, n: x / np.sqrt(n), lambda x, n: 3 * x - n])
def test_a_count_is_not_said_to_have_the_wrong_sign_or_to_be_zero(function: Callable):
    share = Exercise("9.1", answer=lambda x, n: x * (n > 3), draw=lambda rng: (rng.normal(), int(rng.integers(4, 9))))
    assert not any("sign" in line or "0 for" in line for line in told(share, function))
    assert not any("0 for" in line for line in told(share, lambda x, n: 0.0))


@pytest.mark.parametrize("function, words", [(lambda n: n * n + n % 2, "never off by more than 1:"),
                                             (lambda n: n**2.0 * (1 + 1e-6), "never off by more than")])
def test_counts_are_not_said_to_come_from_float32(function: Callable, words: str):
    squares = Exercise("9.1", answer=lambda n: n * n, draw=lambda rng: (int(rng.integers(600, 1200)),))
    assert all("float32" not in line for line in told(squares, function)) and words in told(squares, function)[-1]


def test_float32_is_claimed_of_numbers_that_it_can_hold():
    noise = lambda x: chance(x) * (1 + 3e-7 * np.sin(1e3 * x))  # noqa: E731
    assert "float32" not in told(CHANCE, noise)[0] and "no better" in told(CHANCE, noise)[0]


def test_another_shape_belongs_to_the_input_that_is_shown_or_is_said_to_be_another():
    ragged = Exercise("9.1", answer=lambda x: x, draw=lambda rng: (np.arange(1.0, rng.integers(3, 6)),),
                      edges=((np.ones(1),), (np.ones(7),)))
    told_so = told(ragged, lambda x: x + 0.3 if len(x) == 1 else x[:2])
    assert told_so[0].startswith("At another input: The shape is (2,)")


def test_a_mistake_that_fits_all_inputs_but_one_is_not_claimed():
    calls = iter(range(12))
    sentences = told(DECAY, lambda x, y: decay(x, y) * (-1 if next(calls) else 3))
    assert sentences == ["Within one call all numbers are off by the same factor, which differs from call to call: "
                         "a normalisation?"]


def test_an_argument_is_not_said_to_be_unused_where_it_is_used():
    """A share that an argument moves little: with 0 in its place the same comes back, of this part of the results."""
    two = Exercise("9.1", answer=lambda x, y: (x @ x + y, np.mean(x > y)), draw=lambda rng: (
        rng.choice([-2.0, -1.0, 1.0, 2.0], size=6), float(rng.choice([-1.5, 1.5]))))
    wrong = lambda x, y: (x @ x * 3 + y**3, np.mean(x > y / 9))  # noqa: E731
    assert not any("is it used" in line for line in told(two, wrong))
    assert any("0 for `y`: is it used" in line for line in told(two, lambda x, y: (x @ x + y, np.mean(x > 0))))


def test_a_sign_is_not_said_to_be_turned_where_turning_it_again_does_not_help():
    step = Exercise("9.1", answer=lambda x, y: x + y, draw=lambda rng: (rng.normal(), rng.uniform(1, 2)))
    assert any("sign of `y` turned" in line for line in told(step, lambda x, y: x - y))
    assert not any("turned" in line for line in told(step, lambda x, y: x - abs(y)))


def test_one_wrong_number_is_too_few_for_what_is_made_everywhere():
    one = Exercise("9.1", answer=lambda x: x / 2, draw=lambda rng: (rng.uniform(0, 2),), edges=((3.0,),))
    assert not any("clipped" in line for line in told(one, lambda x: min(x / 2, 1.0)))
    several = replace(one, edges=((3.0,), (4.0,), (5.0,)))
    assert any("clipped" in line for line in told(several, lambda x: min(x / 2, 1.0)))


def test_what_is_right_wherever_it_does_not_stop_is_told_so():
    stops = replace(SQUARE, mistakes={"halved": lambda x: square(x) / 2}, trials=60,
                    draw=lambda rng: (rng.normal(size=rng.integers(3, 9)),))
    assert told(stops, lambda x: square(x) if len(x) > 4 else {}["key"])[0] == "Wherever it does not stop it is right."
    halved = told(stops, lambda x: square(x) / 2 if len(x) > 4 else {}["key"])
    assert halved[:2] == ["The mistake: halved.", "That is so wherever it does not stop."]


def test_one_number_is_too_few_to_measure_a_factor_or_an_offset():
    half = Exercise("9.1", answer=lambda: 0.5, draw=lambda rng: ())
    assert told(half, lambda: 0.6) == ["None of the mistakes known here explains it."]


def test_one_number_in_a_list_is_not_many():
    sentences = told(SQUARE, lambda x: [square(x)])
    assert sentences == ["The shape is (1,), a single number is wanted.", "The numbers are right, the shape is not."]


def test_what_is_close_to_zero_is_not_told_as_zero_or_as_always_the_same():
    sentences = told(CHANCE, lambda x: 1e-7 * (2 + np.sin(x)))
    assert sentences == ["None of the mistakes known here explains it."]


def test_the_root_of_a_negative_number_is_not_told_as_an_overflow():
    root = Exercise("9.1", answer=lambda x: math.sqrt(x * x), draw=lambda rng: (rng.normal(),), trials=60)
    [sentence] = told(root, lambda x: np.sqrt(x) ** 2)
    assert "the root of a negative number" in sentence
    assert sentence.endswith("On the way numpy warned: invalid value encountered in sqrt.")


def test_rounding_is_not_told_as_a_shift_or_a_constant():
    small = Exercise("9.1", answer=lambda x: np.exp(-x), draw=lambda rng: (rng.uniform(0, 9, size=2),), rtol=1e-13,
                     atol=0)
    sentences = told(small, lambda x: (5 + np.exp(-x)) - 5)
    assert all(re.fullmatch("It is (off by .* at most, as rounding is; .*|right at .*)", one) for one in sentences)


def test_yes_and_no_that_agree_with_a_known_mistake_at_ordinary_inputs_alone_are_not_named():
    larger = replace(POSITIVE, mistakes={"never": lambda x, y: False}, edges=((2.0, 1.0), (1.0, 2.0)))
    assert not any("mistake:" in line for line in told(larger, lambda x, y: (x, y) == (2.0, 1.0)))


def test_a_wrong_shape_is_told_with_what_it_would_broadcast_to():
    exercise = replace(DECAY, draw=lambda rng: (rng.normal(size=5), rng.normal(size=5)))
    sentences = told(exercise, lambda x, y: decay(x, y)[:, None])
    assert sentences[0] == ("The shape is (5, 1), (5,) is wanted: in a difference the two would broadcast to (5, 5), "
                            "in silence.")


# --- the exercise's own mistakes -----------------------------------------------------------------------------------

KNOWN = replace(SURPRISE, mistakes={"z has the wrong sign": lambda z: surprise(-z), "it says one": lambda z: 1.0})


def test_a_known_mistake_comes_before_the_general_ones():
    assert told(KNOWN, lambda z: surprise(-z)) == ["The mistake: z has the wrong sign."]
    assert told(SURPRISE, lambda z: surprise(-z))[0] == "It is the right answer with the sign of `z` turned round."


def test_a_known_mistake_is_recognised_in_float32():
    single = lambda z: torch.nn.functional.softplus(torch.tensor(-z, dtype=torch.float32))  # noqa: E731
    assert told(KNOWN, single) == ["The mistake: z has the wrong sign."]


def test_a_known_mistake_is_recognised_where_the_edges_break_it():
    assert told(KNOWN, lambda z: math.log(1 + math.exp(-z)))[:2] == [
        "The mistake: z has the wrong sign.", "It does not explain what came back at an edge."]


def test_a_known_mistake_that_raises_is_recognised_by_its_error():
    known = replace(SURPRISE, mistakes={"exp overflows": lambda z: math.log(1 + math.exp(z))})
    sentences = told(known, lambda z: math.log1p(math.exp(z)))
    assert sentences[:1] == ["The mistake: exp overflows."]


def test_a_mistake_may_change_its_arguments():
    def in_place(x):
        x *= 2
        return x

    known = replace(SQUARE, mistakes={"a vector": in_place, "cubes": lambda x: np.mean(x**3)})
    assert told(known, lambda x: np.mean(x**3)) == ["The mistake: cubes."]


# --- at the edges, and in parts ------------------------------------------------------------------------------------

def test_what_overflows_is_told_as_right_at_ordinary_inputs():
    edge = "It is right at the ordinary inputs that were drawn, and wrong at an edge."
    assert told(SURPRISE, lambda z: np.log(1 + np.exp(z)))[0] == edge
    assert told(SURPRISE, lambda z: np.log(1 + np.exp(z)))[1].startswith("An infinity came back")
    assert told(SURPRISE, lambda z: z + np.log(1 + np.exp(-z)) if z > -9 else np.inf * 0)[0] == edge
    assert told(SURPRISE, lambda z: np.log(np.exp(z) / (1 + np.exp(z))) * -1 + z)[1].startswith("nan came back")


def test_one_wrong_result_of_several_is_found():
    sentences = told(BOTH, lambda x, y: (x + y, -float(x @ y)))
    assert sentences[:2] == ["Result 2 of 2 is wrong.", "The sign is turned round."]
