"""Wrong answers to the exercises of notebook 08: (text of the solution, what stands there instead, what is told)."""

MUTANTS = {
    "8.1": [
        ("chosen * np.log(chosen / share)", "(np.log(n) - (n - 1) / n) * chosen", "here it is only a bound"),
        ("    levels", "    rewards = rewards + np.arange(len(rewards)) * 1e-9\n    levels", "broken by the order"),
        ("chosen * np.log(chosen / share)", "share * np.log(share / chosen)", "the two are exchanged"),
        ("chosen * np.log(chosen / share)", "share * np.log(chosen / share)", "the mean is over p here"),
        ("chosen * np.log(chosen / share)", "-chosen * np.log(chosen)", "the entropy of the pick"),
        ("chosen * np.log(chosen / share)", "chosen * np.log2(chosen / share)", "nats are wanted"),
    ],
    "8.2": [
        ("return middle", "return 1 / middle", "this is 1/β"),
        ("(weights * np.log(weights * len(rewards))).sum()", "-np.log(weights * len(rewards)).mean()",
         "this meets KL(π₀ ‖ π)"),
        ("(weights * np.log(weights * len(rewards))).sum()", "(weights * np.log2(weights * len(rewards))).sum()",
         "not right yet"),
        ("return middle", "return rewards.std() / np.sqrt(2 * budget)", "which holds for normal rewards"),
    ],
    "8.3": [
        ("log_p.detach()", "log_p", "the penalty still carries a gradient"),
        ("(worth.sum(1, keepdim=True) - worth) / (k - 1)", "worth.mean()", "a mean over all prompts"),
        ("(worth.sum(1, keepdim=True) - worth) / (k - 1)", "worth.mean(1, keepdim=True)", "the sample's own reward"),
        ("* mask).sum(2)", "* mask.roll(1, 2)).sum(2)", "off by one"),
        ("* mask).sum(2)", "* mask).sum(2) / mask.sum(2)", "averaged over tokens"),
        ("rewards - beta", "rewards + beta", "the wrong sign"),
        ("return -((", "return ((", "the sign is turned round"),
        ("(worth - others)", "worth", "There is no baseline"),
        ("* log_p).mean()", "* log_p.detach()).mean()", "no gradient"),
    ],
    "8.4": [
        ('"B", 40', '"A", 120', "has learned, and may go on"),
        ('"B", 40', '"C", 0', "the proxy doesn't rise"),
        ('"B", 40', '"B", 120', "what is being exploited"),
        ('"B", 40', '"B", 80', "not at its highest"),
        ('"B", 40', '"B"', "a step of the table"),
        ('"B", 40', '"B", 50', "has no step 50"),
    ],
    "8.5": [
        ("policy - reference", "policy", "the reference is missing"),
        ("(chosen - rejected)", "(rejected - chosen)", "are exchanged"),
        ("beta * (", "(", "β is missing"),
        ("beta * (", "1 / beta * (", "divided by β"),
        ("np.sign(margin) + 1) / 2", "margin > 0) * 1.0", "here it is wrong"),
    ],
}
