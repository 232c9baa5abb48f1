"""The whole method in one file: only torch, no package. Run it: `python examples/minimal.py`.

Mask timesteps of a sequence, encode the visible ones, and predict what the target encoder, an
exponential moving average of the encoder, outputs at the masked ones.

Shapes: `B` batch, `T` timesteps, `C` channels, `K` visible and `M` masked tokens, `D` width.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def draw_mask(
    batch: int, length: int, ratio: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Positions of visible `(B, K)` and masked `(B, M)` timesteps; M = round(ratio * length)."""
    order = torch.rand(batch, length, generator=generator).argsort(1)
    count = round(ratio * length)
    return order[:, count:].sort(1).values, order[:, :count].sort(1).values


def positions(index: Tensor, width: int) -> Tensor:
    """Sines and cosines of the positions `(B, K)` at falling frequencies: `(B, K, D)`."""
    angle = index[..., None] * 10000.0 ** (-torch.arange(width // 2) / (width // 2))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Block(nn.Module):
    """A pre-norm transformer block: attention over all tokens, then an MLP on each token."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor) -> Tensor:
        """`(B, K, D)` -> `(B, K, D)`."""
        q, k, v = (
            p.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for p in self.qkv(self.norm1(h)).chunk(3, dim=-1)
        )
        h = h + self.out(
            F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )
        h = h + self.mlp(self.norm2(h))
        return h


class Encoder(nn.Module):
    """A token per timestep. Masked timesteps are dropped, so they cannot reach the output."""

    def __init__(self, channels: int, width: int, depth: int, heads: int):
        super().__init__()
        self.tokenize = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """The timesteps of `x (B, T, C)` at `index (B, K)` -> `(B, K, D)`."""
        tokens = self.tokenize(x.take_along_dim(index[..., None], dim=1))
        encoded: Tensor = self.norm(
            self.blocks(tokens + positions(index, tokens.shape[-1]))
        )
        return encoded


class Predictor(nn.Module):
    """A narrow transformer: mask tokens at the masked positions attend to the visible tokens."""

    def __init__(self, width: int, narrow: int, depth: int, heads: int):
        super().__init__()
        self.proj_in = nn.Linear(width, narrow)
        self.proj_out = nn.Linear(narrow, width)
        self.norm = nn.LayerNorm(narrow)
        self.mask_token = nn.Parameter(torch.randn(narrow) * 0.02)
        self.blocks = nn.Sequential(*(Block(narrow, heads) for _ in range(depth)))

    def forward(self, context: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Tokens `(B, K, D)` at `visible (B, K)` -> predictions at `masked (B, M)`."""
        known = self.proj_in(context)
        mask_tokens = self.mask_token.expand(*masked.shape, -1)
        tokens = torch.cat([known, mask_tokens], dim=1)
        h = tokens + positions(torch.cat([visible, masked], dim=1), tokens.shape[-1])
        predicted: Tensor = self.proj_out(
            self.norm(self.blocks(h))[:, visible.shape[1] :]
        )
        return predicted


def variance_covariance(
    tokens: Tensor, index: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """VICReg: keep the variance over sequences and over time, and decorrelate the dimensions."""
    shape = (len(tokens), length, tokens.shape[-1])
    visible = torch.zeros(*shape[:2], 1).scatter(1, index[..., None], 1.0)  # (B, T, 1)
    grid = torch.zeros(shape).scatter(1, index[..., None].expand_as(tokens), tokens)
    variance = torch.zeros(())
    for axis in (
        0,
        1,
    ):  # over sequences at one position; over the positions of one sequence
        count = visible.sum(axis, keepdim=True)
        centered = (grid - grid.sum(axis, keepdim=True) / count.clamp(min=1)) * visible
        square = centered.square().sum(axis) / (count.squeeze(axis) - 1).clamp(min=1)
        std = (square + 1e-4).sqrt()
        variance = variance + F.relu(1 - std)[count.squeeze((axis, 2)) >= 2].mean() / 2
    off_diagonal = tokens.flatten(0, 1).T.cov().fill_diagonal_(0)
    return variance, off_diagonal.square().sum() / tokens.shape[-1]


class JEPA(nn.Module):
    """Context encoder and predictor learn by gradient; the target encoder is a moving average."""

    def __init__(
        self,
        channels: int,
        width: int = 64,
        narrow: int = 32,
        depth: int = 2,
        heads: int = 4,
    ):
        super().__init__()
        self.context = Encoder(channels, width, depth, heads)
        self.target = copy.deepcopy(self.context).requires_grad_(False)
        self.predictor = Predictor(width, narrow, depth, heads)

    def forward(
        self, x: Tensor, visible: Tensor, masked: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss to minimize, and its prediction term."""
        context = self.context(x, visible)  # (B, K, D)
        with torch.no_grad():  # the target encoder sees all timesteps
            everything = torch.arange(x.shape[1]).expand(x.shape[:2])
            target = self.target(x, everything).take_along_dim(masked[..., None], 1)
        predicted = self.predictor(context, visible, masked)  # (B, M, D)
        prediction = F.smooth_l1_loss(
            predicted, F.layer_norm(target, target.shape[-1:])
        )
        variance, covariance = variance_covariance(context, visible, x.shape[1])
        return prediction + variance + 0.04 * covariance, prediction

    @torch.no_grad()
    def update_target(self, momentum: float) -> None:
        """Target = momentum * target + (1 - momentum) * context, after the optimizer's step."""
        for target, context in zip(
            self.target.parameters(), self.context.parameters(), strict=True
        ):
            target.lerp_(context, 1 - momentum)

    @torch.no_grad()
    def embed(self, x: Tensor) -> Tensor:
        """One vector per sequence, the mean of all tokens: `(B, T, C)` -> `(B, D)`."""
        tokens: Tensor = self.target(x, torch.arange(x.shape[1]).expand(x.shape[:2]))
        return tokens.mean(1)


def train(
    model: JEPA,
    x: Tensor,
    steps: int,
    batch: int = 32,
    lr: float = 2e-3,
    ratio: float = 0.75,
) -> None:
    """AdamW with warm-up and cosine; the momentum of the target rises from .99 to 1."""
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr, weight_decay=0.05
    )
    generator = torch.Generator().manual_seed(0)
    for step in range(1, steps + 1):
        done = (math.cos(math.pi * step / steps) + 1) / 2  # 1 -> 0
        optimizer.param_groups[0]["lr"] = lr * min(1, 10 * step / steps) * done
        rows = torch.randint(len(x), (batch,), generator=generator)
        loss, prediction = model(
            x[rows], *draw_mask(batch, x.shape[1], ratio, generator)
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.update_target(1 - 0.01 * done)
        if step % 100 == 0:
            print(
                f"step {step:4d}  loss {loss.item():.3f}  prediction {prediction.item():.3f}"
            )


def probe(train_z: Tensor, train_y: Tensor, test_z: Tensor, test_y: Tensor) -> float:
    """Linear probe of frozen features: accuracy of ridge regression on the one-hot classes."""
    mean = train_z.mean(0)
    std = train_z.std(0) + 1e-6
    train_z = F.pad((train_z - mean) / std, (0, 1), value=1.0)
    test_z = F.pad((test_z - mean) / std, (0, 1), value=1.0)
    gram = train_z.T @ train_z + torch.eye(train_z.shape[1])
    weights = torch.linalg.solve(gram, train_z.T @ F.one_hot(train_y).float())
    return float(((test_z @ weights).argmax(1) == test_y).float().mean())


def waves(count: int, length: int = 32) -> tuple[Tensor, Tensor]:
    """Noisy sines `(count, length, 1)` of six frequencies and random phase, and their classes."""
    kind = torch.randint(6, (count,))
    phase = torch.rand(count, 1) * 2 * math.pi
    frequency = torch.tensor([0.06, 0.09, 0.12, 0.16, 0.20, 0.25])[kind, None]
    clean = torch.sin(2 * math.pi * frequency * torch.arange(length) + phase)
    return (clean + 0.3 * torch.randn(count, length))[..., None], kind


def main(steps: int = 400) -> None:
    """Pretrain on 900 waves without labels, then probe the classes of 900 others."""
    torch.manual_seed(0)
    x, kind = waves(1800)
    model = JEPA(channels=1)
    features = {"raw values": x.flatten(1), "untrained encoder": model.embed(x)}
    train(model, x[:900], steps)
    features["trained encoder"] = model.embed(x)
    print("linear probe, accuracy on unseen waves (chance .167)")
    for name, z in features.items():
        print(f"  {name:18} {probe(z[:900], kind[:900], z[900:], kind[900:]):.3f}")


if __name__ == "__main__":
    main()
