"""The small policy: its samples, their log-probabilities and the losses that train it, against slow references."""

import copy
import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
import transformers
from tiny import TOKENIZERS
from transformers import GPT2Config, GPT2LMHeadModel

from rmlib.course.policy import (
    Texts,
    chances_of_best,
    dpo_loss,
    encode_responses,
    kl_terms,
    learn,
    load_policy,
    log_probs,
    rloo_advantages,
    rloo_loss,
    sample,
    token_log_probs,
)
from rmlib.course.world import World
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_REWARD_MODEL

A, B_, END = 5, 6, 3  # two words and [SEP]
PROMPTS = ["What is the capital of France?", "Is grass green?"]


def tiny_policy(vocabulary: int = 0, dtype=torch.float32):
    """A causal model with large random weights, and the tests' BERT tokenizer; of few words where asked."""
    tokenizer = TOKENIZERS["distilbert"]()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=vocabulary or len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=4,
                        bos_token_id=2, eos_token_id=END, pad_token_id=0)
    policy = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return policy.to(dtype), tokenizer


def rows(responses: list[list[int]], side: str = "right", prompt=(2, 4, 3)) -> Texts:
    """Texts of one prompt and these responses, as token ids, padded on either side."""
    whole = [[*prompt, *response] for response in responses]
    longest = max(map(len, whole))
    pads = [[0] * (longest - len(row)) for row in whole]
    ids = [row + pad if side == "right" else pad + row for row, pad in zip(whole, pads)]
    mask = [[1] * len(row) + pad if side == "right" else pad + [1] * len(row) for row, pad in zip(whole, pads)]
    return Texts(torch.tensor(ids), torch.tensor(mask), torch.full((len(whole),), len(prompt)))


def by_loop(policy, prompt: list[int], response: list[int]) -> float:
    """log π(y|x), one token after the other, without batch, mask or padding."""
    total = 0.0
    for t, token in enumerate(response):
        logits = policy(torch.tensor([[*prompt, *response[:t]]])).logits[0, -1]
        total += logits.log_softmax(-1)[token].item()
    return total


@pytest.mark.parametrize("side", ["right", "left"])
def test_log_probs_are_those_of_a_loop_on_either_side_of_the_padding(side):
    policy, _ = tiny_policy()
    responses = [[5, 6, 7, 8, END], [9, END], [END], [7, 7, 7]]  # the last one has no end
    found = log_probs(policy, rows(responses, side))
    wanted = [by_loop(policy, [2, 4, 3], response) for response in responses]
    assert torch.allclose(found, torch.tensor(wanted), atol=1e-5, rtol=1e-5)


def test_token_log_probs_stand_at_the_response_alone():
    policy, _ = tiny_policy()
    each = token_log_probs(policy, rows([[5, 6, END], [END]]))
    assert (each != 0).tolist() == [[False, False, True, True, True], [False, False, True, False, False]]


def test_samples_come_from_the_policy_itself():
    """Frequencies of whole responses of at most two tokens against all that there are, by their log-probabilities."""
    policy, tokenizer = tiny_policy(vocabulary=len(TOKENIZERS["distilbert"]()))
    with torch.no_grad():  # nearly all on few words: so each is drawn often
        policy.lm_head = torch.nn.Linear(32, len(tokenizer))
        policy.lm_head.bias.fill_(-30.0)
        policy.lm_head.bias[[A, B_, END]] = 0.0
    texts = sample(policy, tokenizer, [PROMPTS[0]], 4000, seed=1, max_new_tokens=2)
    drawn = [tuple(row[mask].tolist()) for row, mask in zip(texts.input_ids, texts.response_mask)]
    every = [(END,), *((first, then) for first, then in product((A, B_), (A, B_, END)))]
    prompt = tokenizer(PROMPTS[0]).input_ids
    for response in every:
        p = math.exp(by_loop(policy, prompt, list(response)))
        assert abs(drawn.count(response) / 4000 - p) < 4 * math.sqrt(p * (1 - p) / 4000) + 1e-3, response
    assert set(drawn) == set(every)


def test_samples_know_where_they_begin_and_end_and_the_seed_decides():
    policy, tokenizer = tiny_policy()
    texts, again, other = (sample(policy, tokenizer, PROMPTS, 3, seed, max_new_tokens=7) for seed in (1, 1, 2))
    assert torch.equal(texts.input_ids, again.input_ids) and not torch.equal(texts.input_ids, other.input_ids)
    asked = [tokenizer(prompt).input_ids for prompt in PROMPTS for _ in range(3)]
    for row, mask, start, prompt in zip(texts.input_ids, texts.attention_mask, texts.response_start, asked):
        real = row[mask.bool()].tolist()
        assert real[:start] == prompt and END not in real[start:-1]
        assert real[-1] == END or len(real) - start == 7
    assert texts.lengths.tolist() == [(mask.sum() - start).item() for mask, start in
                                      zip(texts.attention_mask, texts.response_start)]
    assert torch.allclose(log_probs(policy, texts), torch.tensor(
        [by_loop(policy, prompt, row[mask].tolist()) for prompt, row, mask in
         zip(asked, texts.input_ids, texts.response_mask)]), atol=1e-4)


def test_what_the_policy_writes_is_the_reward_models_own_input():
    """Scored as it stands, a sample gets what its text gets."""
    policy, tokenizer = load_policy()
    model, world = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL), World()
    assert tokenizer.get_vocab() == model.tokenizer.get_vocab()
    prompts = world.prompts("validation")[::40]
    texts = sample(policy, tokenizer, prompts, 4, seed=0)
    asked = [prompt for prompt in prompts for _ in range(4)]
    words = texts.responses(tokenizer)
    again = encode_responses(model, asked, words, words)
    assert torch.allclose(again.score(model), texts.score(model).repeat(2), atol=1e-4)
    assert torch.equal(again.lengths, texts.lengths.repeat(2))
    assert torch.allclose(log_probs(policy, again), log_probs(policy, texts).repeat(2), atol=1e-3)


def test_chances_of_best_by_enumeration_of_all_draws():
    rewards = torch.tensor([[0.3, -1.0, 2.0, 0.5, 0.4], [1.0, 1.0, 1.0, 0.0, 2.0]], dtype=torch.float64)
    for n in (1, 2, 4, 5):
        draws = list(combinations(range(5), n))
        for row, found in zip(rewards.tolist(), chances_of_best(rewards, n)):
            best = [max(draw, key=lambda i: (row[i], i)) for draw in draws]  # of equal ones the later
            assert np.allclose(found, np.bincount(best, minlength=5) / len(draws), atol=1e-12)


def test_kl_terms_against_the_exact_divergence_of_two_coins():
    p, q = torch.tensor([0.7, 0.3], dtype=torch.float64), torch.tensor([0.4, 0.6], dtype=torch.float64)
    k1, k2, k3 = ((p * term).sum().item() for term in kl_terms(p.log(), q.log()))
    exact = (p * (p / q).log()).sum().item()
    assert abs(k1 - exact) < 1e-12 and abs(k3 - exact) < 1e-12 and abs(k2 - exact) > 0.002
    assert (kl_terms(p.log(), q.log())[2] >= 0).all() and (kl_terms(p.log(), q.log())[0] < 0).any()


def test_leave_one_out_advantages_by_loop():
    rewards = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = [[row[i] - sum(row[j] for j in range(4) if j != i) / 3 for i in range(4)] for row in rewards.tolist()]
    assert torch.allclose(rloo_advantages(rewards), torch.tensor(wanted, dtype=torch.float64), atol=1e-12)
    for impossible in (torch.zeros(4), torch.zeros(4, 1)):
        with pytest.raises(ValueError, match="k >= 2"):
            rloo_advantages(impossible)


def test_the_policy_gradient_by_enumeration():
    """The mean of the loss's gradient over every pair of samples is the gradient of E r − β KL, exactly summed."""
    theta = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64, requires_grad=True)
    reward, reference = torch.tensor([1.0, -0.4, 2.0]).double(), torch.tensor([0.2, 0.5, 0.3]).double().log()
    log_p = theta.log_softmax(0)
    objective = (log_p.exp() * (reward - 0.3 * (log_p - reference))).sum()
    wanted, = torch.autograd.grad(objective, theta)
    mean = torch.zeros(3, dtype=torch.float64)
    for i, j in product(range(3), repeat=2):
        here = theta.log_softmax(0)
        drawn = torch.tensor([i, j])
        gradient, = torch.autograd.grad(
            rloo_loss(here[drawn], reference[drawn], reward[drawn], k=2, beta=0.3), theta)
        mean -= (here[i] + here[j]).exp().item() * gradient
    assert torch.allclose(mean, wanted, atol=1e-12)


def test_dpo_loss_is_bradley_terry_of_log_ratios():
    one, two, three, four = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, two = one.requires_grad_(), two.requires_grad_()
    wanted = bradley_terry_loss(0.3 * (one - three), 0.3 * (two - four))
    assert torch.allclose(dpo_loss(one, two, three, four, 0.3), wanted, atol=1e-15)
    assert torch.autograd.gradcheck(lambda c, r: dpo_loss(c, r, three, four, 0.3), (one, two))
    by_hand = -torch.sigmoid(0.3 * ((one - three) - (two - four))).log().mean()
    assert torch.allclose(wanted, by_hand, atol=1e-12)


def test_dpo_starts_at_log_2_and_its_first_gradient_is_known():
    policy, _ = tiny_policy(dtype=torch.float64)
    chosen, rejected, beta = rows([[5, 6, END], [7, END]]), rows([[8, END], [9, 9, END]]), 0.2
    c, r = log_probs(policy, chosen), log_probs(policy, rejected)
    loss = dpo_loss(c, r, c.detach(), r.detach(), beta)
    assert abs(loss.item() - math.log(2)) < 1e-12
    parameters = list(policy.parameters())
    found = torch.autograd.grad(loss, parameters, retain_graph=True)
    wanted = torch.autograd.grad(-beta / 2 * (c - r).mean(), parameters)
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(found, wanted))


def test_a_gradcheck_through_the_policy():
    """log π and the RLOO loss against central differences, along a random direction of all weights, in float64."""
    policy, _ = tiny_policy(dtype=torch.float64)
    texts = rows([[5, 6, END], [7, END], [8, 8, END], [END]])
    reward, parameters = torch.tensor([1.0, -1.0, 0.5, 2.0]).double(), list(policy.parameters())
    reference = log_probs(policy, texts).detach() - 0.1
    fixed = log_probs(policy, texts).detach()
    generator = torch.Generator().manual_seed(0)
    direction = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in parameters]

    def surrogate() -> torch.Tensor:  # the advantages are numbers: they do not move with the weights
        advantages = rloo_advantages((reward - 0.1 * (fixed - reference)).view(-1, 2)).flatten()
        return -(advantages * log_probs(policy, texts)).mean()

    gradient = torch.autograd.grad(rloo_loss(log_probs(policy, texts), reference, reward, 2, 0.1), parameters)
    slope = sum((one * other).sum() for one, other in zip(gradient, direction)).item()
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for weight, move in zip(parameters, direction):
                weight.add_(step * move)
            values.append(surrogate().item())
            for weight, move in zip(parameters, direction):
                weight.sub_(step * move)
    assert abs((values[0] - values[1]) / 2e-6 - slope) < 1e-6 * max(1.0, abs(slope))


def test_learning_moves_the_policy_to_what_is_rewarded_and_repeats():
    policies = [tiny_policy()[0] for _ in range(2)]
    tokenizer = tiny_policy()[1]

    def likes_short(texts: Texts) -> torch.Tensor:
        return -texts.lengths.float()

    histories = [[texts.lengths.float().mean().item() for texts in
                  learn(policy, tokenizer, likes_short, PROMPTS, 40, 0.01, 3e-3, seed=0)] for policy in policies]
    assert histories[0] == histories[1] and histories[0][-1] < 0.5 * histories[0][0]
    before = copy.deepcopy(tiny_policy()[0]).state_dict()
    assert any(not torch.equal(weight, before[name]) for name, weight in policies[0].state_dict().items())


def test_what_is_always_rewarded_alike_moves_no_weight_and_each_step_draws_anew():
    policy, tokenizer = tiny_policy()
    before = copy.deepcopy(policy.state_dict())
    steps = [(texts.responses(tokenizer), texts.input_ids.shape[0]) for texts in learn(
        policy, tokenizer, lambda texts: torch.ones(len(texts.input_ids)), PROMPTS[:1], 3, 0.1, 1e-2, 0, 2, 3)]
    assert all(torch.equal(weight, before[name]) for name, weight in policy.state_dict().items())
    assert [rows for _, rows in steps] == [6, 6, 6]  # 2 prompts a step, 3 samples each
    assert steps[0][0] != steps[1][0] != steps[2][0] != steps[0][0]


@pytest.mark.parametrize("scale, clipped", [(1e6, True), (1e-6, False)])
def test_a_long_gradient_is_clipped_to_length_one_and_a_short_one_is_not(scale, clipped):
    policy, tokenizer = tiny_policy()
    for _ in learn(policy, tokenizer, lambda texts: -scale * texts.lengths.float(), PROMPTS, 1, 0.0, 1e-3, seed=0):
        norm = torch.stack([each.grad.norm() for each in policy.parameters()]).norm().item()
    assert norm == pytest.approx(1.0, rel=1e-3) if clipped else 0 < norm < 0.5


def test_loading_the_policy_leaves_no_bar_on_the_page(capsys):
    transformers.logging.enable_progress_bar()
    load_policy()
    assert capsys.readouterr() == ("", "")
