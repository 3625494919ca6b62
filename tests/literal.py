"""The theory written out once more: literal, slow, many digits, and nothing of ``src`` in it.

Relevance functions are nested Python functions of one component, every gradient is a central
difference, every one-sided limit is evaluated a little off the root. Numbers are Python's decimals,
which are several times as fast as mpmath's; with ``number=mpf`` they are mpmath's.

Steps. Limits nest, and the inner one is taken first: with the outermost ε = 1e-20, the next has
to be small beside everything that the first one left, activations as small as 1e-20 among them.
So each ε is 1e-20 of the product of those around it (``size``), and its error about 1e-20. A
difference quotient's step is 1e-10 of that product again, which keeps it on one side of every
kink, and its truncation error is about (1e-10)² of the result. Truncation errors are smooth, so
an outer quotient does not amplify them; rounding errors are not, and each quotient divides them
by its step. The digits below are the product of all steps, and 40 more.

A derivative of degree k is k central differences, one inside the other. So it divides rounding
by the k-th power of the step; and where relevance is 0/0 at the root, by ε^(k-1) all truncation
errors, for which the step is multiplied by that.
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal, localcontext
from itertools import pairwise
from math import comb, factorial, fsum
from operator import mul

import mpmath
from mpmath import mp, mpf

EPSILON_DIGITS = 20
STEP_DIGITS = 10
TIE = "1e-13"


@contextmanager
def digits(count):
    """Numbers of both kinds have so many decimal digits."""
    with localcontext(prec=count), mp.workdps(count):
        yield


def digits_for(depth: int, degree: int = 1, apart: int = 1) -> int:
    """Decimal digits for ``depth`` nested derivatives of ``degree``."""
    lost, size = 40, 0
    for _ in range(depth):
        size += apart * size + EPSILON_DIGITS
        lost += degree * (degree * size + STEP_DIGITS)
    return lost


def dot(u, v):
    return sum(map(mul, u, v))


class Literal:
    """Sections 2 and 3 for one network, one explained output and one rule a layer.

    ``weights[l]`` and ``biases[l]`` lead from layer l to layer l + 1, as nested lists of floats;
    ``rules[l]`` decomposes layer l + 1 onto layer l.
    """

    def __init__(
        self,
        weights,
        biases,
        rules,
        output=0,
        gamma=1.0,
        box=(0.0, 1.0),
        output_relu=True,
        degree=1,
        apart=1,
        number=Decimal,
    ):
        self.depth, self.degree, self.apart = len(weights), degree, apart
        self.digits = digits_for(self.depth, degree, apart)
        self.rules, self.output, self.output_relu = rules, output, output_relu
        self.limits = 0
        """How often a root was met where the derivative exists as a limit only."""
        self.number, self.zero, self.tie = number, number(0), number(TIE)
        with digits(self.digits):
            self.w = [[[number(x) for x in row] for row in weight] for weight in weights]
            self.b = [[number(x) for x in bias] for bias in biases]
            self.gamma, self.low, self.high = number(gamma), number(box[0]), number(box[1])
            self.inverse = [
                self.pseudo_inverse(w) if rule == "pinv" else None
                for w, rule in zip(self.w_explained(), rules, strict=True)
            ]

    def pseudo_inverse(self, rows):
        """The Moore-Penrose inverse by the singular value decomposition of mpmath."""
        matrix = mpmath.matrix([[mpf(str(x)) for x in row] for row in rows])
        wide = matrix.cols > matrix.rows
        u, s, v = mpmath.svd_r(matrix.T if wide else matrix)
        cutoff = max(s) * mpf(10) ** (-mp.dps // 2)
        scale = mpmath.diag([1 / x if x > cutoff else mpf(0) for x in s])
        inverse = v.T * scale * u.T
        rows = (inverse.T if wide else inverse).tolist()
        return [[self.number(str(x)) for x in row] for row in rows]

    def w_explained(self):
        return [*self.w[:-1], [self.w[-1][self.output]]]

    def b_explained(self):
        return [*self.b[:-1], [self.b[-1][self.output]]]

    def relevance(self, layer, a):
        """R_layer(a), a list of floats, for the anchor ``a`` given as floats."""
        with digits(self.digits):
            anchor = [self.number(x) for x in a]
            if layer == self.depth:
                return [float(x) for x in anchor]
            return [float(self.R(layer, anchor, i)) for i in range(len(anchor))]

    def terms(self, layer, a):
        """What each degree contributes to R_layer(a): a list for each degree."""
        with digits(self.digits):
            anchor = [self.number(x) for x in a]
            columns = [self.R_by_degree(layer, anchor, i) for i in range(len(anchor))]
            return [[float(x) for x in row] for row in zip(*columns, strict=True)]

    def relevances(self, x):
        """R_0, ..., R_{L-1} at the activations of the input ``x``."""
        return [self.relevance(layer, a) for layer, a in enumerate(self.activations(x)[:-1])]

    def activations(self, x):
        """a_0, ..., a_L without rounding; the last has the explained output alone."""
        with digits(self.digits):
            path = [[self.number(v) for v in x]]
            for layer in range(self.depth):
                path.append(self.f(layer, path[-1]))
            return path

    # The definition.

    def R(self, layer, a, i, size=1):
        """[R_layer(a)]_i inside limits whose ε have the product ``size``."""
        if layer == self.depth:
            return a[i]
        return sum(self.R_by_degree(layer, a, i, size))

    def R_by_degree(self, layer, a, i, size=1):
        """What each degree contributes to [R_layer(a)]_i."""
        total = [self.zero] * self.degree
        for j in range(len(self.w_explained()[layer])):
            root = self.root(layer, a, j)
            if root is not None:
                slopes = self.one_sided(layer, root, a, j, i, size)
                for k, slope in enumerate(slopes):
                    total[k] += slope * (a[i] - root[i]) / factorial(k + 1)
        return total

    def one_sided(self, layer, root, a, j, i, size):
        """∂_i D^(k-1) h_j[Δ, ..., Δ] at the root, for k = 1, 2, ..., one-sided, Δ constant."""
        self.limits += self.only_a_limit(layer, root, a, j)
        epsilon = size**self.apart * self.number(10) ** -EPSILON_DIGITS
        smaller = size * epsilon
        step = smaller**self.degree * self.number(10) ** -STEP_DIGITS
        delta = [p - r for r, p in zip(root, a, strict=True)]

        def partial(s):
            """∂_i h_j a little off the root, s steps further along the segment."""
            point = [r + (epsilon + s * step) * d for r, d in zip(root, delta, strict=True)]
            plus = [p + step * (k == i) for k, p in enumerate(point)]
            minus = [p - step * (k == i) for k, p in enumerate(point)]
            return (self.h(layer, plus, j, smaller) - self.h(layer, minus, j, smaller)) / (2 * step)

        # Central differences on steps of one half each way, every value once.
        values = {self.number(s) / 2: None for s in range(1 - self.degree, self.degree)}
        values = {s: partial(s) for s in values}
        return [
            sum((-1) ** m * comb(k, m) * values[self.number(k) / 2 - m] for m in range(k + 1))
            / step**k
            for k in range(self.degree)
        ]

    def h(self, layer, a, j, size=1):
        """The relevance of unit j of layer + 1 as a function of the activations in ``layer``."""
        return self.R(layer + 1, self.f(layer, a), j, size)

    def z(self, layer, a):
        w, b = self.w_explained()[layer], self.b_explained()[layer]
        return [dot(row, a) + bias for row, bias in zip(w, b, strict=True)]

    def f(self, layer, a):
        z = self.z(layer, a)
        linear = layer == self.depth - 1 and not self.output_relu
        return z if linear else [max(self.zero, value) for value in z]

    def only_a_limit(self, layer, root, a, j):
        """Another unit's tie at the root, or nobody left alive there for the layer above."""
        hinge = self.rules[layer] not in ("zero", "pinv")
        z = self.z(layer, root)
        tied = [abs(v) <= t and t > 0 for v, t in zip(z, self.threshold(layer, a), strict=True)]
        own = [hinge and k == j for k in range(len(z))]
        if any(t and not mine for t, mine in zip(tied, own, strict=True)):
            return True
        dead = [v <= 0 or mine for v, mine in zip(z, own, strict=True)]
        if layer + 1 < self.depth and all(dead):
            return True
        for above in range(layer + 1, self.depth):
            a, root = self.f(above - 1, a), self.f(above - 1, root)
            sizes = zip(self.z(above, root), self.threshold(above, a), strict=True)
            if any(abs(v) <= t and t > 0 for v, t in sizes):
                return True
        return False

    def threshold(self, layer, a):
        w, b = self.w_explained()[layer], self.b_explained()[layer]
        size = [abs(x) for x in a]
        return [
            self.tie * (dot([abs(x) for x in row], size) + abs(bias))
            for row, bias in zip(w, b, strict=True)
        ]

    # The table of rules.

    def root(self, layer, a, j):
        """ã_j(a), or None where unit j is inactive or its direction degenerate."""
        w, rule, z = self.w_explained()[layer][j], self.rules[layer], self.z(layer, a)
        if z[j] <= 0:
            return None
        if rule == "zero":
            return [self.zero for _ in a]
        if rule == "pinv":
            return [p - q for p, q in zip(a, self.direction(layer, a, j), strict=True)]
        v = self.direction(layer, a, j)
        along = dot(w, v)
        # Parallel up to rounding, which with these digits means exactly so: inside a limit a
        # direction may come as close to it as ε.
        parallel = sum(abs(p * q) for p, q in zip(w, v, strict=True))
        if abs(along) <= parallel * self.number(10) ** (10 - mp.dps):
            return None
        t = z[j] / along
        return [p - t * q for p, q in zip(a, v, strict=True)]

    def direction(self, layer, a, j):
        """v_j, one line a rule, straight from the table."""
        w, rule = self.w_explained()[layer][j], self.rules[layer]
        pairs = list(zip(a, w, strict=True))
        if rule == "z+":
            return [p if q >= 0 else self.zero for p, q in pairs]
        if rule == "w2":
            return list(w)
        if rule == "zB":
            return [p - (self.low if q > 0 else 0) - (self.high if q < 0 else 0) for p, q in pairs]
        if rule == "gamma":
            return [p * (1 + (self.gamma if q >= 0 else 0)) for p, q in pairs]
        if rule in ("x", "zero"):
            return list(a)
        if rule == "pinv":
            return [dot(row, self.z(layer, a)) for row in self.inverse[layer]]
        raise ValueError(rule)

    # Section 5.

    def train_free(self, x):
        """R_0, ..., R_L by the train-free approximation, as floats."""
        with digits(self.digits):
            path = self.activations(x)
            relevances = [path[-1]]
            for layer in reversed(range(self.depth)):
                relevances.insert(0, self.train_free_layer(layer, path[layer], relevances[0]))
            return [[float(v) for v in relevance] for relevance in relevances]

    def train_free_layer(self, layer, a, upper):
        relevance = [self.zero for _ in a]
        for j, w in enumerate(self.w_explained()[layer]):
            v = self.direction(layer, a, j)
            total = self.z(layer, a)[j] if self.rules[layer] == "zero" else dot(v, w)
            for i in range(len(a)):
                if total != 0:
                    relevance[i] += upper[j] * v[i] * w[i] / total
        return relevance


def conserves(relevances):
    """The largest difference between the sums of neighbouring layers."""
    sums = [fsum(relevance) for relevance in relevances]
    return max(abs(p - q) for p, q in pairwise(sums))
