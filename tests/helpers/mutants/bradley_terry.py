"""Notebook 01: edits of the solutions that make them wrong, and words that must be told about each."""

MUTANTS = {
    "1.1": [
        ("(wins[i, j] + wins[j, i])", "wins[i, j]", "a lost vote costs nothing"),
        ("(wins[i, j] + wins[j, i])", "wins[j, i]", "counts the votes lost"),
        ("if j != i", "if wins[i, j]", "the rivals that a response never beat"),
        ("if j != i", "if wins[i, j] and wins[j, i]", "the pairs in which one won every vote"),
        ("(strengths[i] + strengths[j])", "strengths[j]", "the rival's strength alone"),
        ("return np.log(strengths) - np.log(strengths).mean()", "return np.log(strengths) - np.log(strengths[0])",
         "zero for the first response"),
        ("return np.log(strengths) - np.log(strengths).mean()",
         "return strengths / np.exp(np.log(strengths).mean())", "the rewards are their logarithms"),
    ],
    "1.2": [
        ("[0, 0, 0, 1]", "[1, 0, 0, 1]", "the scores are finite"),
        ("[0, 1, 1, 0]", "[0, 1, 0, 0]", "refuses this table, and rightly"),
        ("[1, 0, 0, 0]", "[-1, 0, 0, 0]", "whole numbers, none below zero"),
        ("[0, 1, 1, 0]", "[1, 1, 1, 0]", "the diagonal has to be zero"),
        ("[0, 1, 1, 0], [1, 0, 0, 0],", "[0, 1, 1, 0],", "a row and a column for each response"),
        ("[1, 0, 0, 0]", "[0, 0, 0, 0]", "row 1 (from 0) never won"),
        ("    return", "    return [[0, 30, 0], [0, 0, 1], [0, 0, 0]]\n    return", "`chain`"),
        ("    return", "    return [[0, 1, 1], [0, 0, 1], [0, 1, 0]]\n    return", "row 0 (from 0) never lost"),
        ("    return", "    rows = '01000', '20000', '33012', '33203', '33100'\n"
         "    return [[int(votes) for votes in row] for row in rows]\n    return", "`subtle`"),
    ],
    "1.3": [
        ("100 if order.index(winner) < order.index(loser) else 1", "50", "two are equal"),
        ("order.index(winner) < order.index(loser)", "order.index(loser) - order.index(winner) == 1", "two are equal"),
        ("<", ">", "from behind"),
        ("100 if", "1000 if", "from 1 to 100"),
        ("100 if order.index(winner) < order.index(loser) else 1", "order.index(winner) < order.index(loser)",
         "from 1 to 100"),
        ("order.index(winner) < order.index(loser)", "winner == order[0]", "a pair with many votes"),
    ],
    "1.4": [
        ("2 * math.sqrt(variance)", "math.sqrt(variance)", "one standard error"),
        ("abs(total)", "total", "either way"),
        ("2 * math.sqrt(variance)", "2 * variance", "take the root"),
        ("1 / won + 1 / lost for", "1 / won for", "1/lost as well"),
        ("1 / won + 1 / lost for", "1 / (won + lost) for", "it is 1/(n p (1 - p))"),
        ("1 / won + 1 / lost for", "won * lost / (won + lost)**3 for", "the variance of a share"),
        ("1 / won + 1 / lost for", "won * lost / (won + lost) for", "the inverses of the variances"),
        ("<= 2 * math.sqrt(variance)", "== 0", "luck or not"),
        ("in (ab, bc, ca))\n    variance", "in (ab, bc, ca[::-1]))\n    variance", "walked backwards"),
        ('"can\'t tell" if fits else "no scores fit"', '"no scores fit" if fits else "can\'t tell"', "exchanged"),
    ],
}
