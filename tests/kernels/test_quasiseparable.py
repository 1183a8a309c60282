"""The quasiseparable mixer in chunks against the matrix and the recurrences that define it."""

import pytest
import torch

from spacy_emerging.kernels.quasiseparable import quasiseparable, quasiseparable_reference


def sample(batch=2, length=13, heads=3, width=4, state=5, dtype=torch.float64, seed=0):
    """Random arguments of `quasiseparable`: x, dt, a, b, c, diagonal."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    x, dt, a = draw(batch, length, heads, width), draw(2, batch, length, heads).exp(), -draw(heads).exp()
    return x, dt, a, draw(2, batch, length, state), draw(2, batch, length, state), draw(batch, length, heads)


def matrix(dt, a, b, c, diagonal):
    """The (L, L) matrix of one sequence and head, entry by entry. dt: (2, L), a: (), b, c: (2, L, N), diagonal: (L,)."""
    length = dt.shape[1]
    found = torch.diag(diagonal)
    for row in range(length):
        for column in range(length):
            if column < row:
                decay = torch.exp(a * dt[0, column + 1 : row].sum())
                found[row, column] = decay * dt[0, column] * (c[0, row - 1] @ b[0, column])
            elif column > row:
                decay = torch.exp(a * dt[1, row + 1 : column].sum())
                found[row, column] = decay * dt[1, column] * (c[1, row + 1] @ b[1, column])
    return found


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_it_is_the_product_with_a_quasiseparable_matrix(chunk):
    x, dt, a, b, c, diagonal = sample(length=11)
    result = quasiseparable(x, dt, a, b, c, diagonal, chunk)
    for i in range(2):
        for head in range(3):
            dense = matrix(dt[:, i, :, head], a[head], b[:, i], c[:, i], diagonal[i, :, head])
            torch.testing.assert_close(result[i, :, head], dense @ x[i, :, head], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 13, 31])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 13, 64])
def test_any_chunk_size_gives_the_recurrences(length, chunk):
    arguments = sample(length=length)
    torch.testing.assert_close(quasiseparable(*arguments, chunk), quasiseparable_reference(*arguments), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [2, 3, 8])
def test_gradients_equal_finite_differences(chunk):
    arguments = [argument.requires_grad_() for argument in sample(batch=1, length=5, heads=2, width=2, state=3)]
    assert torch.autograd.gradcheck(lambda *given: quasiseparable(*given, chunk), arguments)


@pytest.mark.parametrize("chunk", [4, 7, 40])
def test_gradients_equal_those_of_the_recurrences(chunk):
    weighting = torch.randn(2, 29, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for kernel in (lambda *given: quasiseparable(*given, chunk), quasiseparable_reference):
        arguments = [argument.requires_grad_() for argument in sample(length=29)]
        gradients.append(torch.autograd.grad((kernel(*arguments) * weighting).sum(), arguments))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_sums_stay_in_float32(dtype):
    arguments = sample(dtype=torch.float32, length=40)
    expected = quasiseparable(*arguments, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = quasiseparable(*arguments, 8)
        from_half = quasiseparable(*(argument.to(dtype) for argument in arguments), 8)
    assert result.dtype == from_half.dtype == torch.float32
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("chunk", [3, 5, 64])
def test_padding_of_zeros_influences_no_token(chunk):
    """Given a sequence whose x ends in zeros, whatever B, C and steps stand there, its tokens get what they get without."""
    x, dt, a, b, c, diagonal = sample(length=12)
    x[:, 7:] = 0
    result = quasiseparable(x, dt, a, b, c, diagonal, chunk)[:, :7]
    alone = quasiseparable(x[:, :7], dt[:, :, :7], a, b[:, :, :7], c[:, :, :7], diagonal[:, :7], chunk)
    torch.testing.assert_close(result, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("step", [0.0, 1e-22, 50.0, 1e4])
def test_extreme_steps_and_decays_stay_finite(step):
    x, dt, a, b, c, diagonal = sample(length=2048, batch=1, dtype=torch.float32)
    arguments = [argument.requires_grad_() for argument in (x, torch.full_like(dt, step), a * 50, b, c, diagonal)]
    result = quasiseparable(*arguments, 64)
    gradients = torch.autograd.grad(result.sum(), arguments)
    assert all(tensor.isfinite().all() for tensor in (result, *gradients))
