"""Which layers carry the factor ``a_i``, and as what (theory, section 3.3)."""

from __future__ import annotations

from dtd.networks.layers.layer import AnyLayer
from dtd.relevance.plan import Plan
from dtd.relevance.slopes.factor_layer import FactorLayer
from dtd.relevance.slopes.pooling_layer import PoolingLayer


def factor_layer(layer: AnyLayer, plan: Plan) -> FactorLayer | None:
    """From how the layer is decomposed; None where its roots have another form."""
    mask = plan.finder.factor_mask(plan.rule)
    if mask is None:
        return None
    never_cancels = plan.rule.never_cancels(plan.domain)
    parts = layer, layer.mask(mask), layer.product(mask), layer.product_balls(mask), never_cancels
    constant = layer.constant_mask(mask)
    if constant is None:
        return FactorLayer(*parts)
    return PoolingLayer(*parts, constant_step=1 / constant)
