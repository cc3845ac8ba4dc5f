"""Whether a reward model can be used: its rivals on the same pairs, and the answer that the report begins with.

The rule: with 20 conversations or more, *usable* is a model that is shown to be right more often than a coin and than
each rival, which are the two rules by length and both bags of words, fitted to the pairs it was trained on, by pairs
that are new to it but for one in 20. *Not usable* is one that is shown to be right less often than a coin or a rival.
All else is *not shown to be usable*.

To be ahead of every rival it has to be ahead of each, which luck with one doesn't help: SIGNIFICANT serves for each
(intersection-union test, Berger, 1982, Technometrics 24, 295-300). To be behind one of K it has K chances: there p has
to be below SIGNIFICANT / K (Bonferroni). Either way the interval of the lead, over conversations, has to agree.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict

import numpy as np

from rmlib.evaluation import extra_characters, mcnemar, pair_accuracies
from rmlib.evaluation.accuracy import Z
from rmlib.pairs import PreferencePair, conversation_keys
from rmlib.practice.conservative_interval import conservative_interval
from rmlib.practice.rivals import Rivals

RULES = {"longer": 1, "shorter": -1}  # the sign with which a response's length is its reward
NAMES = {"longer": "always the longer response", "shorter": "always the shorter response",
         "bag of words": "the bag of words", "bag of words, no prompt": "the bag of words that sees no prompt"}
NO_BAGS = ("no bags of words are kept with these weights; python -m rmlib train fits them to the pairs that it trains "
           "on, and keeps them")
SIGNIFICANT = 0.05
ENOUGH = 20  # conversations: of fewer an interval depends too much on how unlike they happen to be
MOST_SEEN = 0.05  # share of the pairs: some conversations of unlike origin begin alike, with "Hello"
BEYOND = ("That is about ranking responses like these; not about length, calibration, other kinds of questions, or a "
          "policy that is trained to please it.")
LEAST_LEAD = 0.02  # a smaller one is hardly worth the cost of a model
Z_POWER = 0.8416212335729143  # 80% quantile of the normal law
USABLE, OPEN, NO = "usable", "not shown to be usable", "not usable"


def compare(margins: np.ndarray, pairs: Sequence[PreferencePair], rivals: Rivals | None) -> dict:
    """Accuracy of margins, (N,), each rival's and the lead over it, and whether the model is usable; for json.

    Raises ValueError as `conservative_interval`.
    """
    conversations, right = conversation_keys(pairs), pair_accuracies(margins)
    length, by_rule = extra_characters(pairs), rivals.margins(pairs) if rivals else {}
    by_rule |= {name: sign * length for name, sign in RULES.items()}
    found = {
        "pairs": len(pairs), "conversations": len(set(conversations)), "accuracy": float(right.mean()),
        **ends("interval", conservative_interval(right, conversations)),
        "rules": {name: _against(margins, rule, conversations) for name, rule in by_rule.items()},
        "bags": {"reason": NO_BAGS} if rivals is None else {"fitted_to": rivals.pairs},
        "seen": rivals.seen(pairs) if rivals else None,
    }
    return found | {"usable": _answer(found)}


def ends(name: str, interval: tuple[float, float]) -> dict[str, float]:
    return {f"{name}_low": interval[0], f"{name}_high": interval[1]}


def hardest(rules: dict[str, dict]) -> str:
    """The rule that is right most often on these very pairs."""
    return max(rules, key=lambda name: rules[name]["accuracy"])


def pairs_needed(pairs: int, lead: float, lead_low: float) -> tuple[int, float]:
    """How many pairs would show the lead four times in five, and that lead: `lead`, or LEAST_LEAD where it is less.

    n' = n ((z_0.975 + z_0.8) s / lead)², where s = (lead - lead_low) / z_0.975 is the standard error of n pairs. The
    interval that it comes from draws whole conversations: n' supposes others as large and as much alike as these. The
    true lead may be another than that seen, and half of it costs four times the pairs.
    Source: Lachin (1981), Control. Clin. Trials 2, 93-113, with one variance for both hypotheses.
    """
    wanted = max(lead, LEAST_LEAD)
    return int(np.ceil(pairs * ((Z + Z_POWER) / Z * (lead - lead_low) / wanted) ** 2)), wanted


def told(compared: dict) -> str:
    """Lines for a terminal: how often each bag of words is right, the model's lead, and whether it can be used."""
    bags = [f"{NAMES[name]}: {rule['accuracy']:.3f}, and the model's lead over it {rule['lead']:z.3f} (95% "
            f"interval {rule['lead_low']:z.3f} to {rule['lead_high']:z.3f})"
            for name, rule in compared["rules"].items() if name not in RULES]
    return "\n".join([*bags, "{answer}: {why}".format(**compared["usable"])])


def _against(margins: np.ndarray, rule: np.ndarray, conversations: Sequence[Hashable]) -> dict:
    """A rule's accuracy from its margins, (N,), the model's lead over it, which is paired, and McNemar's test."""
    by_rule, lead = pair_accuracies(rule), pair_accuracies(margins) - pair_accuracies(rule)
    return {
        "accuracy": float(by_rule.mean()), **ends("accuracy", conservative_interval(by_rule, conversations)),
        "lead": float(lead.mean()), **ends("lead", conservative_interval(lead, conversations, least=-1)),
        **asdict(mcnemar(margins, rule)),
    }


def _answer(found: dict) -> dict:
    """The answer, why, and where more pairs would settle it: against which rule, how many in all, for which lead."""
    rules, conversations = found["rules"], found["conversations"]
    ahead = {name: rule for name, rule in rules.items()
             if rule["p_value"] < SIGNIFICANT / len(rules) and rule["lead_high"] < 0}
    right = f"right on {_percent(found['accuracy'])} ({_interval(found, 'interval')})"
    if conversations < ENOUGH:
        few = ("all pairs are of one conversation, which says nothing of others" if conversations == 1 else
               f"the pairs are of {conversations} conversations, and {ENOUGH} are the least")
        return {"answer": OPEN, "why": f"too few conversations to tell: {few}."}
    if found["interval_high"] < 0.5:
        return {"answer": NO, "why": f"{right}, it is worse than a coin. Are chosen and rejected swapped, here or in "
                                     "what it learned from?"}
    if ahead:
        return {"answer": NO, "why": f"{right}, it is right less often than {_named(hardest(ahead), rules)}."}
    if (found["seen"] or 0) > MOST_SEEN * found["pairs"]:
        return {"answer": OPEN, "why": f"{found['seen']:,} of the {found['pairs']:,} pairs are of conversations that "
                                       "it learned from, or that its weights were chosen by. Take pairs that are new "
                                       "to it, such as held_out.jsonl beside the model."}
    doubt = _still_open(found, right)
    if "reason" in found["bags"]:
        besides = f"{doubt['why']} Besides, " if doubt else f"{right}, it beats the rules by length, but "
        return doubt | {"answer": OPEN, "why": f"{besides}{found['bags']['reason']}."}
    return doubt or {"answer": USABLE, "why": f"{right}, it beats each of {len(rules)} rules that only count; the best "
                                              f"of them is {_named(hardest(rules), rules)}. {BEYOND}"}


def _still_open(found: dict, right: str) -> dict:
    """What is not shown, though it may be so; nothing where all is shown."""
    rules = {name: rule for name, rule in found["rules"].items()
             if not (rule["p_value"] < SIGNIFICANT and rule["lead_low"] > 0)}
    if not rules and found["interval_low"] > 0.5:
        return {}
    if not rules:
        return {"answer": OPEN, "why": f"{right}, it is not shown to be better than a coin."}
    pairs = found["pairs"]
    needs = {name: pairs_needed(pairs, rule["lead"], rule["lead_low"]) for name, rule in rules.items()}
    name = max(needs, key=needs.__getitem__)  # the one that needs most
    (needed, wanted), lead = needs[name], rules[name]["lead"]
    more = f"Its lead, if it has one, may be as large as {rules[name]['lead_high']:.1%}: the end of the 95% interval."
    if lead < 0:
        more = ("On these pairs it is behind, though not beyond doubt: try more epochs, more pairs to learn from or "
                f"another backbone. To show a lead of {wanted:.0%} would take about {_about(needed)} pairs like these.")
    elif needed > pairs:
        which = "This lead, if it is the true one," if lead == wanted else f"A lead of {wanted:.0%}, if there is one,"
        more = (f"{which} would show four times in five with about {_about(needed)} pairs, {_about(needed - pairs)} "
                "more than these, from conversations like these.")
    return {"answer": OPEN, "why": f"{right}, it is not shown to beat {_named(name, rules)}. {more}",
            "rule": name, "pairs_needed": needed, "lead_assumed": wanted}


def _named(name: str, rules: dict[str, dict]) -> str:
    rule = rules[name]
    return (f"{NAMES[name]}, with {_percent(rule['accuracy'])} (lead {_percent(rule['lead'])}, "
            f"{_interval(rule, 'lead')})")


def _interval(figures: dict, name: str) -> str:
    return f"95% interval {_percent(figures[f'{name}_low'])} to {_percent(figures[f'{name}_high'])}"


def _percent(share: float) -> str:
    return f"{share:z.1%}".replace("-", "\N{MINUS SIGN}")


def _about(count: int) -> str:
    return f"{float(f'{count:.2g}'):,.0f}"
