"""Wrong answers to the exercises of notebook 04: (text of the solution, what stands there instead, what is told)."""

MUTANTS = {
    "4.1": [
        ("rpartition", "partition", "cut at the first turn"),
        ("return before + marker", "return before", "the marker is missing"),
        ("return before + marker, response", "return before, marker + response", "belongs to the prompt, not"),
        ("response.strip()", "response", "white space around it"),
        ("return before + marker", "return (before + marker).strip()", "has lost white space"),
        ("response.strip()", "response.strip().upper()", "in another way"),
        ("if not marker:\n        raise ValueError(\"no turn of the assistant\")", "pass", "has to be a ValueError"),
    ],
    "4.2": [
        ("brier = p * q", "brier = np.minimum(p, q) ** 2", "what is paid when the likelier one is chosen"),
        ("brier = p * q", "brier = q ** 2", "(1-p)² is paid when"),
        ("np.maximum(p, q)", "(p > 0.5)", "how often the first is the likelier"),
        ("-p * np.log(np.where(p > 0, p, 1)) - q * np.log(np.where(q > 0, q, 1))", "-np.log(p)", "-log p is paid"),
        ("accuracy.mean()", "max(p.mean(), q.mean())", "the maximum comes before the mean"),
        ("np.maximum(p, q)", "p", "always naming the first"),
        (" - q * np.log(np.where(q > 0, q, 1))", "", "half of the entropy"),
    ],
    "4.3": [
        ("(1 + math.sqrt(2 * agreement - 1)) / 2", "math.sqrt(agreement)", "agree when both are wrong"),
        ("1 + math.sqrt", "1 - math.sqrt", "the smaller solution"),
        ("(1 + math.sqrt(2 * agreement - 1)) / 2", "math.sqrt(2 * agreement - 1)", "this is |2p - 1|"),
        ("(1 + math.sqrt(2 * agreement - 1)) / 2", "agreement", "the lower edge"),
        ("math.sqrt(2 * agreement - 1)", "agreement", "a stands where the root"),
        ("2 * agreement - 1", "agreement", "under the root stands"),
        ("(1 + math.sqrt(2 * agreement - 1)) / 2", "2 * agreement - 1", "squared"),
    ],
    "4.4": [
        ("prompt[max(0, len(prompt) - keep):]", "prompt[-keep:]", "the bug is still there"),
        ("max(0, len(prompt) - keep):", "len(prompt) - keep:", "counts from the end"),
        ("prompt[max(0, len(prompt) - keep):]", "prompt[:keep]", "the newest tokens are cut"),
        ("room - max(", "room - min(", "the shorter response decides"),
        ("return kept + chosen, kept + rejected",
         "return prompt[max(0, len(prompt) - room + len(chosen)):] + chosen, "
         "prompt[max(0, len(prompt) - room + len(rejected)):] + rejected", "a cut of its own"),
    ],
    "4.5": [
        ("len(batch) * max(batch)", "len(batch) * max(lengths)", "longest of all"),
        ("return 1 - sum(lengths) / full", "return full / sum(lengths) - 1", "divide by tokens and pads"),
        ("len(batch) * max(batch)", "batch_size * max(batch)", "the last batch counts as a full one"),
        ("return 1 - sum(lengths) / full", "return sum(lengths) / full", "the share of tokens"),
    ],
    "4.6": [
        ("((np.sign(margins) + 1) / 2).mean()", "(margins >= 0).mean()", "a tie counts as right"),
        ("((np.sign(margins) + 1) / 2).mean()", "(margins > 0).mean()", "a tie counts as wrong"),
        ("((np.sign(margins) + 1) / 2).mean()", "(margins[margins != 0] > 0).mean()", "ties are left out"),
        ("((np.sign(margins) + 1) / 2).mean()", "np.sign(margins).mean()", "the mean of the signs"),
    ],
    "4.7": [
        ("np.isin(keys, different[:wanted])", "rng.permutation(len(keys)) < round(share * len(keys))", "on both sides"),
        ("rng.permutation(sorted(set(keys)))", "sorted(set(keys))", "the same rows"),
        ("different[:wanted]", "different[:1]", "was asked for"),
        ("round(share * len(different))", "round(0.3 * len(different))", "was asked for"),
        ("rng.permutation(sorted(set(keys)))", "np.random.permutation(sorted(set(keys)))", "the second time"),
        ("min(max(1, round(share * len(different))), len(different) - 1)", "round(share * len(different))",
         "both sides have to have rows"),
        ("np.isin(keys, different[:wanted])", "np.flatnonzero(np.isin(keys, different[:wanted]))", "truth values"),
    ],
}
