"""AdamW (Loshchilov and Hutter, 2019) with a global norm clip, in place and in blocks that fit the cache."""

import numpy as np

from ftspec.engine.model import Parameters

BLOCK = 1 << 15


class AdamW:
    """Decay touches matrices only, gains and gates stay free of it."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        betas: tuple[float, float] = (0.9, 0.95),
        epsilon: float = 1e-8,
        decay: float = 0.01,
        clip: float = 1.0,
    ) -> None:
        self.betas, self.epsilon, self.decay, self.clip = betas, epsilon, decay, clip
        self.mean = np.zeros_like(parameters.flat)
        self.square = np.zeros_like(parameters.flat)
        self.steps = 0

    def step(self, parameters: Parameters, gradient: Parameters, rate: float) -> float:
        """Move `parameters` in place; `gradient` is overwritten. Returns its norm before the clip."""
        self.steps += 1
        f = parameters.flat.dtype.type
        norm = float(np.sqrt(np.vdot(gradient.flat, gradient.flat)))
        first, second = self.betas
        shrink = f(min(1.0, self.clip / (norm + 1e-9)))
        size, matrices = parameters.size, parameters.matrices
        starts = [*range(0, matrices, BLOCK), *range(matrices, size, BLOCK)]
        for start, stop in zip(starts, [*starts[1:], size], strict=True):
            p, g = parameters.flat[start:stop], gradient.flat[start:stop]
            m, v = self.mean[start:stop], self.square[start:stop]
            g *= shrink
            m *= f(first)
            m += g * f(1 - first)
            g *= g
            g *= f(1 - second)
            v *= f(second)
            v += g
            if start < matrices:
                p *= f(1 - rate * self.decay)
            np.multiply(v, f(1 / (1 - second**self.steps)), out=g)
            np.sqrt(g, out=g)
            g += f(self.epsilon)
            np.divide(m, g, out=g)
            g *= f(rate / (1 - first**self.steps))
            p -= g
        return norm
