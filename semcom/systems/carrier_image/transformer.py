"""Block of a vision transformer, in the parameters and arithmetic of timm's, whose import takes seconds."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-6  # of the normalizations of vision transformers; PyTorch's default is 1e-5


class Block(nn.Module):
    """Transformer block with normalization first: x + A(N(x)), then x + M(N(x)), attention A and perceptron M.

    Args:
        width: token width.
        heads: number of attention heads.

    Source: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; the names of the parameters are timm's.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = Perceptron(width)

    def forward(self, tokens: Float[Tensor, "tiles tokens width"]) -> Float[Tensor, "tiles tokens width"]:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Attention(nn.Module):
    """Multi-head self-attention, softmax(Q K^T / sqrt(width / heads)) V, followed by a linear layer.

    Args:
        width: token width.
        heads: number of attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "tiles tokens width"]) -> Float[Tensor, "tiles tokens width"]:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them; the hidden layer is four times as wide.

    Args:
        width: token width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Float[Tensor, "tiles tokens width"]) -> Float[Tensor, "tiles tokens width"]:
        return self.fc2(functional.gelu(self.fc1(tokens)))
