"""Matrix products and their seconds, by a clock that is known; and the sigmoid in its tails."""

import numpy as np
import pytest
import tiny
import torch

from rmlib.course import matrix_products as products
from rmlib.course.logistic import logit, sigmoid

LENGTHS = [5, 17, 17]  # of tiny's BERT: 2 layers, 4 heads of 8, hidden 32, inner 64, one more linear layer on top


@pytest.fixture
def done(monkeypatch) -> list[tuple[tuple, tuple, torch.dtype]]:
    """(left shape, right shape, dtype) of every product, in order."""
    found, real = [], torch.matmul
    monkeypatch.setattr(torch, "matmul", lambda a, b: found.append((tuple(a.shape), tuple(b.shape), a.dtype)) or
                        real(a, b))
    return found


def ticking(*seconds: float):
    """A clock of which each measured span takes the next of these, and the last again and again."""
    now, asked, spans = [0.0], [0], list(seconds)

    def clock() -> float:
        if asked[0] % 2:
            now[0] += spans.pop(0) if len(spans) > 1 else spans[0]
        asked[0] += 1
        return now[0]

    return clock


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_a_linear_layer_the_quickest_chunk_counts_by_the_token(done, monkeypatch, dtype):
    monkeypatch.setitem(products.CHUNKS, True, (2, 8))
    backbone, _ = tiny.build("bert")
    weights = [tuple(weight.shape) for weight in products.linear_weights(backbone)]
    # three spans for chunks of 2, three for chunks of 8: the best are 3 / 2 and 4 / 8 seconds a token
    assert products.linear_seconds(backbone, 10, dtype, ticking(6, 3, 7, 9, 9, 4)) == pytest.approx(10 * 4 / 8)
    assert products.linear_seconds(backbone, 10, dtype, ticking(6, 0.5, 7, 9, 9, 4)) == pytest.approx(10 * 0.5 / 2)
    once = [product for out, inner in weights for product in (
        ((2, inner), (inner, out), dtype), ((2, out), (out, inner), dtype), ((out, 2), (2, inner), dtype))]
    assert done[: len(once)] == once and len(done) == 2 * 6 * len(once)


def test_an_attention_is_two_products_that_are_wide_and_four_that_are_square(done):
    backbone, _ = tiny.build("bert")
    # of either length the quicker of two spans, for 2 layers: 3 s of one sequence of 5, 2 s of each of two of 17
    assert products.attention_seconds(backbone, LENGTHS, torch.float32, ticking(4, 3, 2, 5)) == 2 * (3 + 2 * 2)
    wide, tall, square = (4, 5, 8), (4, 8, 5), (4, 5, 5)
    assert [each[:2] for each in done[:6]] == [(wide, tall)] * 2 + [(square, wide)] * 4
    assert [each[0][1] for each in done] == [5] * 12 + [17] * 12


def test_two_of_the_square_products_read_their_square_by_columns(monkeypatch):
    steps = []
    monkeypatch.setattr(torch, "matmul", lambda a, b: steps.append((a.stride(-1), b.stride(-1))))
    products.attention_seconds(tiny.build("bert")[0], [5], torch.float32, ticking(1))
    assert steps[:6] == [(1, 8)] * 2 + [(1, 1), (5, 1)] * 2  # 8 numbers of a head, 5 tokens


def test_on_a_gpu_sixty_four_sequences_are_one_product(done, monkeypatch):
    monkeypatch.setitem(products.TOGETHER, True, products.TOGETHER[False])
    backbone, _ = tiny.build("bert")
    assert products.attention_seconds(backbone, [5], torch.bfloat16, ticking(64)) == 2
    assert done[0] == ((256, 5, 8), (256, 8, 5), torch.bfloat16)
    assert products.TOGETHER[False] == 64 and products.CHUNKS == {
        True: (256, 512, 1024, 2048), False: (4096, 16_384, 65_536)}


def test_all_products_are_those_of_the_tokens_and_those_of_the_sequences(monkeypatch):
    monkeypatch.setattr(products, "linear_seconds", lambda backbone, tokens, *_: 100 * tokens)
    monkeypatch.setattr(products, "attention_seconds", lambda backbone, lengths, *_: len(lengths))
    assert products.seconds(None, LENGTHS, torch.float32, ticking(1)) == 100 * 39 + 3


def test_a_listing_has_every_shape_and_the_sum():
    backbone, _ = tiny.build("distilbert")
    lengths = [1000, 250, 1750]  # 2 layers of 4 matrices of 32 by 32, one of 64 by 32, one of 32 by 64
    billions = (6 * 3000 * 2 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 12 * (1000**2 + 250**2 + 1750**2) * 32) / 1e9
    assert products.listing(backbone, lengths) == [
        "matrix products over N = 3000 tokens:",
        "  8 linear layers: (N, 32) (32, 32); (N, 32) (32, 32); (32, N) (N, 32)",
        "  2 linear layers: (N, 32) (32, 64); (N, 64) (64, 32); (64, N) (N, 32)",
        "  2 linear layers: (N, 64) (64, 32); (N, 32) (32, 64); (32, N) (N, 64)",
        "  2 attentions of 3 sequences, T from 250 to 1750: 2 x (4, T, 8) (4, 8, T); 4 x (4, T, T) (4, T, 8)",
        f"  {billions:.0f} billion floating-point operations",
    ]
    assert round(billions) == 3


def test_a_family_that_is_not_known_is_told_with_those_that_are():
    with pytest.raises(ValueError) as refused:
        products.attention_shape(tiny.build("gpt2")[0])
    assert str(refused.value) == (
        "the matrix products of gpt2 are not known here, only those of the encoders bert, distilbert, roberta: "
        "decoders attend to one side alone, and not all have nn.Linear layers")


def test_a_clock_waits_for_a_gpu_and_for_no_cpu(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: waited.append(True))
    monkeypatch.setattr(products.time, "perf_counter", lambda: 7.0)
    assert products.clock_of(torch.device("cpu"))() == 7.0 and not waited
    assert products.clock_of(torch.device("cuda"))() == 7.0 and waited == [True]


def test_the_sigmoid_and_its_inverse_are_exact_in_both_tails():
    points = np.array([-745.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0])
    with np.errstate(all="raise", under="ignore"):
        found = sigmoid(points)
    assert found == pytest.approx([np.exp(-745), np.exp(-40), 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1, 1], rel=1e-14)
    assert found[1] > 0 and sigmoid(0) == 0.5 and sigmoid([1, -1]).sum() == 1 and sigmoid(-800.0) == 0
    assert logit(found[1:5]) == pytest.approx(points[1:5], rel=1e-14)
    with np.errstate(all="ignore"):
        assert logit(np.array([0.0, 1.0])).tolist() == [-np.inf, np.inf]
        assert np.isnan(logit(np.array([-0.1, 1.1]))).all()
    assert logit(1e-17) == pytest.approx(np.log(1e-17), rel=1e-14)
