"""The engine of the exercises, on made-up ones: what is right, what is wrong, what is not attempted."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from rmlib.course.exercises import check, engine
from rmlib.course.exercises.engine import Exercise, WrongAnswer


def decay(x, y):
    return x * np.exp(-y)


def square(x):
    return np.mean(x**2)


def draw(rng: np.random.Generator) -> tuple:
    size = rng.integers(3, 9)
    return rng.normal(size=size), rng.normal(size=size)


DECAY = Exercise("9.1", answer=decay, draw=draw)
SQUARE = Exercise("9.1", answer=square, draw=lambda rng: draw(rng)[:1])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exercise, Callable], str]:
    """What a wrong answer to a made-up exercise is told."""
    def ask(exercise: Exercise, function: Callable) -> str:
        monkeypatch.setenv("RMLIB_STRICT_EXERCISES", "1")
        monkeypatch.setattr(engine, "find", lambda number: exercise)
        with pytest.raises(WrongAnswer) as wrong:
            check("9.1", function)
        return str(wrong.value)

    return ask


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[[Exercise, Callable], str]:
    """What a reader sees in the notebook."""
    def ask(exercise: Exercise, function: Callable) -> str:
        monkeypatch.delenv("RMLIB_STRICT_EXERCISES", raising=False)
        monkeypatch.setattr(engine, "find", lambda number: exercise)
        check("9.1", function)
        return capsys.readouterr().out

    return ask


# --- right ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("function", [
    decay,
    lambda x, y: torch.tensor(x) * torch.exp(-torch.tensor(y)),
    lambda x, y: [one * math.exp(-other) for one, other in zip(x, y, strict=True)],
], ids=["array", "tensor", "list"])
def test_the_kind_of_container_does_not_matter(printed: Callable, function: Callable):
    assert printed(DECAY, function) == "9.1: right, on 12 inputs drawn just now.\n"


def test_a_single_number_may_be_a_0d_tensor_and_back(printed: Callable):
    assert "right, on" in printed(SQUARE, lambda x: torch.tensor(x).square().mean())
    tensor = replace(SQUARE, answer=lambda x: torch.tensor(x).square().mean())
    assert "right, on" in printed(tensor, lambda x: float(np.mean(x**2)))


def test_a_number_may_be_a_fraction(printed: Callable, told: Callable):
    third = Exercise("9.1", answer=lambda k: k / 3, draw=lambda rng: (int(rng.integers(1, 99)),))
    assert "right, on" in printed(third, lambda k: Fraction(k, 3))
    assert "not right" in told(third, lambda k: Fraction(k, 4))


def test_the_tolerance_is_no_finer_than_the_dtype_that_is_wanted(printed: Callable, told: Callable):
    single = replace(SQUARE, answer=lambda x: torch.tensor(x, dtype=torch.float32).square().mean())
    assert "right, on" in printed(single, square)
    assert "not right" in told(single, lambda x: square(x) * (1 + 1e-4))


def test_tensors_keep_that_they_require_a_gradient(printed: Callable):
    def slope(x: torch.Tensor) -> torch.Tensor:
        (x**3).sum().backward()
        return x.grad

    cubes = Exercise("9.1", answer=lambda x: 3 * x.detach() ** 2,
                     draw=lambda rng: (torch.tensor(rng.normal(size=4), requires_grad=True),))
    assert "right, on" in printed(cubes, slope)


def test_an_error_may_be_the_right_answer(printed: Callable, told: Callable):
    roots = Exercise("9.1", answer=math.sqrt, draw=lambda rng: (rng.uniform(),), edges=((-1.0,),))
    assert printed(roots, math.sqrt) == "9.1: right, on 12 inputs drawn just now, 1 more at the edges.\n"
    assert "an error of class ValueError" in told(roots, lambda x: math.sqrt(abs(x)))


def test_inputs_are_drawn_anew_so_that_a_remembered_answer_is_wrong(printed: Callable, told: Callable):
    remembered = []

    def first_time(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        remembered.append(decay(x, y))
        return remembered[-1]

    assert "right, on" in printed(DECAY, first_time)
    replay = iter(remembered)
    assert "not right yet" in told(DECAY, lambda x, y: next(replay))


# --- not attempted -------------------------------------------------------------------------------------------------

def test_a_stub_is_not_attempted(monkeypatch: pytest.MonkeyPatch, printed: Callable, capsys: pytest.CaptureFixture):
    def stub(x, y):
        """Says what to do."""
        raise NotImplementedError

    line = "9.1: not attempted yet. Replace `raise NotImplementedError` by your lines and run the cell again.\n"
    assert printed(DECAY, stub) == printed(DECAY, torch.no_grad()(stub)) == line
    assert printed(Exercise("9.1", judge=lambda function, rng: function(1, 2)), stub) == line
    monkeypatch.setenv("RMLIB_STRICT_EXERCISES", "1")
    check("9.1", stub)
    assert capsys.readouterr().out == line


class Unfinished(NotImplementedError):
    """What a library raises for a part that it lacks."""


def with_a_class_of_its_own(x, y):
    raise Unfinished


def library(*arguments):
    raise NotImplementedError


def with_a_message(x, y):
    raise NotImplementedError("no kernel for this dtype")


@pytest.mark.parametrize("function", [
    lambda x, y: library(x), with_a_message, with_a_class_of_its_own, lambda x, y: torch.nn.Module()(x),
    lambda x, y: (one for one in x).throw(NotImplementedError),
], ids=["helper", "message", "class", "torch", "builtin"])
def test_a_not_implemented_error_from_elsewhere_is_an_error_of_the_attempt(told: Callable, function: Callable):
    assert re.search("It stopped with (NotImplementedError|Unfinished)", told(DECAY, function))


def test_half_an_attempt_is_an_attempt(told: Callable):
    def only_large(x, y):
        if x[0] < 0:
            raise NotImplementedError
        return decay(x, y)

    assert "not right yet" in told(replace(DECAY, trials=60), only_large)


# --- wrong ---------------------------------------------------------------------------------------------------------

def test_a_wrong_answer_is_told_expected_and_got_at_the_simplest_input(printed: Callable):
    line = Exercise("9.1", answer=lambda a, b: 2 * a + b, draw=lambda rng: (0.5, 1.25), edges=((1.123456, 1.123456),))

    def wrong(slope, start):
        return 3 * slope * start

    assert printed(line, wrong).splitlines()[:4] == [
        "9.1: not right yet, at 13 of 13 inputs.",
        "  given     slope = 0.5, start = 1.25",
        "  expected  2.25",
        "  got       1.875",
    ]


def test_the_simplest_input_has_the_fewest_numbers_and_is_told_in_full(printed: Callable):
    many, few = np.arange(99.0), [np.array([[0.5, 1]]), np.array([2.0])]
    parts = Exercise("9.1", answer=lambda parts, state: len(parts), draw=lambda rng: (few, {"step": 3}),
                     edges=((list(many), {"step": 3}),))
    assert "  given     parts = [[[0.5, 1]], [2]], state = {'step': 3}\n" in printed(parts, lambda parts, state: 0.5)


def test_numbers_that_look_the_same_are_told_with_more_digits(printed: Callable):
    third = Exercise("9.1", answer=lambda: 1 / 3, draw=lambda rng: ())
    assert printed(third, lambda: 1 / 3) == "9.1: right.\n"
    assert "not right yet.\n  expected  0.333333333333\n  got       0.3333334\n" in printed(third, lambda: 0.3333334)


def test_what_an_attempt_prints_is_shown_once_and_only_where_it_is_wrong(printed: Callable):
    assert printed(DECAY, lambda x, y: print("so far") or 0.0).count("so far") == 1
    assert "so far" not in printed(DECAY, lambda x, y: print("so far") or decay(x, y))


def test_the_readers_own_error_is_told_with_its_line(told: Callable):
    def slip(x, y):
        return x.total()

    text = told(DECAY, slip)
    assert "AttributeError: 'numpy.ndarray' object has no attribute 'total', in the line `return x.total()`" in text
    assert "takes 1 positional argument but 2 were given" in told(DECAY, lambda x: x)


def test_a_changed_argument_is_wrong_even_where_the_result_is_right(told: Callable):
    def sorts(x, y):
        result = decay(x, y)
        x.sort()
        return result

    assert "The result is right. It changes `x` in place" in told(DECAY, sorts)


def test_a_change_that_is_the_arguments_purpose_is_none(printed: Callable):
    noise = Exercise("9.1", answer=lambda rng: rng.normal(), draw=lambda rng: (np.random.default_rng(rng.integers(9)),))
    assert "right, on" in printed(noise, lambda generator: generator.normal())


RING: list = []
RING.append(RING)


@pytest.mark.parametrize("result", [
    RING, (RING, RING),
    object(), "a word", {}, [], [1, [2, 3]], np.array(["a", "b"]), np.ma.masked_all(4), math.nan, math.inf, 1j, print,
    torch.zeros(4, device="meta"), torch.eye(4).to_sparse(), range(4), (0.0,) * 4, np.zeros((4, 4)), DECAY,
], ids=lambda result: type(result).__name__)
def test_whatever_comes_back_is_told_wrong(told: Callable, result: object):
    four = replace(DECAY, draw=lambda rng: rng.normal(size=(2, 4)))
    assert "not right yet" in told(four, lambda x, y: result)
    assert "not right yet" in told(replace(four, answer=lambda x, y: "down"), lambda x, y: result)


def test_one_wrong_result_among_many_is_enough(told: Callable):
    calls = iter(range(12))
    assert "at 1 of 12 inputs" in told(DECAY, lambda x, y: decay(x, y) * (2 if next(calls) == 7 else 1))


def test_a_slow_function_is_spared_some_inputs_but_never_all(monkeypatch: pytest.MonkeyPatch, printed: Callable):
    monkeypatch.setattr(engine, "PATIENCE", 0.0)
    assert "right, on 4 inputs drawn just now." in printed(DECAY, decay)
    edges = ((np.ones(3), np.ones(3)),) * 6
    assert "right, on 4 inputs drawn just now, 6 more at the edges." in printed(replace(DECAY, edges=edges), decay)


@pytest.mark.parametrize("value", ["0", "", "no"])
def test_only_1_makes_wrong_answers_raise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, value: str):
    monkeypatch.setattr(engine, "find", lambda number: DECAY)
    monkeypatch.setenv("RMLIB_STRICT_EXERCISES", value)
    check("9.1", lambda x, y: 0.0)
    assert "not right yet" in capsys.readouterr().out


def test_a_judge_says_what_is_wrong_and_none_where_all_is_well(told: Callable, printed: Callable):
    def judge(function: Callable, rng: np.random.Generator) -> str | None:
        return None if function() > 3 else f"{function()} is not more than 3."

    larger = Exercise("9.1", judge=judge)
    assert printed(larger, lambda: 5) == "9.1: right.\n"
    assert "not right yet. 2 is not more than 3." in told(larger, lambda: 2)
    assert "using what it returned, stopped with TypeError" in told(larger, lambda: "two")


def test_a_judge_asks_for_a_return_only_where_every_call_gave_none_and_none_is_no_answer(told: Callable):
    def judge(function: Callable, rng: np.random.Generator) -> str | None:
        return f"That makes {function(1) + (function(2) or 0)}." if function(0) is None else "Zero has no root."

    exercise = Exercise("9.1", judge=judge)
    assert told(exercise, lambda x: None) == "9.1: not right yet. Nothing was returned (None): is there a `return`?"
    assert "That makes 1." in told(exercise, lambda x: x if x == 1 else None)
    assert "TypeError" in told(replace(exercise, silent=True), lambda x: None)


# --- asked in the wrong way ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", ["99.1", "nonsense", 2.1])
def test_an_unknown_number_is_told(number: object):
    with pytest.raises(ValueError, match="there is no exercise"):
        check(number, print)


def test_a_result_in_place_of_the_function_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "find", lambda number: DECAY)
    with pytest.raises(ValueError, match="takes the function itself"):
        check("9.1", 3.0)


@pytest.mark.parametrize("parts", [{}, {"answer": abs}, {"answer": abs, "draw": draw, "judge": max}])
def test_an_exercise_has_an_answer_or_a_judge(parts: dict):
    with pytest.raises(ValueError, match="needs answer and draw, or else judge"):
        Exercise("9.1", **parts)
