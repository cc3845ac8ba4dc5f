"""Rows of a file in three forms, and figures of them by hand, for the tests of evaluate and its report."""


import numpy as np

WORDS = "Paris London blue green seven five hot cold water sky".split()


def rows(count):
    """(row of the file, number of its conversation): three forms of rows, one to four pairs a conversation."""
    rng = np.random.default_rng(0)
    conversation = turn = 0
    for i in range(count):
        turn += 1
        if rng.random() < 0.4:
            conversation, turn = conversation + 1, 1
        chosen, rejected = (" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(2))
        if i % 25 == 0:
            chosen, rejected = "\x01", "\x02"  # the tokenizer drops both: a tie
        if i % 40 == 7:
            rejected = ""  # a bad row
        question = f"Is it {conversation}?"
        earlier = "".join(f"\n\nAssistant: no {t}\n\nHuman: and now?" for t in range(turn))
        if conversation % 3 == 0:
            yield {"prompt": question, "chosen": chosen, "rejected": rejected}, conversation
        elif conversation % 3 == 1:
            opening = f"\n\nHuman: {question}{earlier}\n\nAssistant:"
            yield {"chosen": f"{opening} {chosen}", "rejected": f"{opening} {rejected}"}, conversation
        else:
            asked = [{"role": "user", "content": question}, {"role": "assistant", "content": f"no {turn}"},
                     {"role": "user", "content": "and now?"}]
            yield {"prompt": asked, **{side: [{"role": "assistant", "content": text}]
                                       for side, text in (("chosen", chosen), ("rejected", rejected))}}, conversation


def text_of(response):
    return response[0]["content"] if isinstance(response, list) else response.split("\n\nAssistant:")[-1]


def calibration_error(confidence, margins):
    """15 equal bins on [0.5, 1], each closed above; a tie is half right and in the first."""
    total, right = 0.0, (np.sign(margins) + 1) / 2
    for k in range(15):
        inside = (confidence > 0.5 + k / 30) & (confidence <= 0.5 + (k + 1) / 30) | (k == 0) & (confidence == 0.5)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(margins)
