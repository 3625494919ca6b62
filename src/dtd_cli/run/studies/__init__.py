"""Studies: what the literature measured, computed beside the relevances of a run.

Each is one table, ``NAME.csv``, and one picture drawn from it.
"""

from dtd_cli.run.studies.agreement import agreement
from dtd_cli.run.studies.continuity import continuity
from dtd_cli.run.studies.nested_roots import nested_roots
from dtd_cli.run.studies.output_scaling import output_scaling
from dtd_cli.run.studies.published_roots import published_roots
from dtd_cli.run.studies.rank_collapse import rank_collapse
from dtd_cli.run.studies.region_size import region_size
from dtd_cli.run.studies.study import Study
from dtd_cli.run.studies.summed_root import summed_root
from dtd_cli.run.studies.upper_relevance import upper_relevance

STUDIES: dict[str, Study] = {
    "agreement": agreement,
    "continuity": continuity,
    "output_scaling": output_scaling,
    "published_roots": published_roots,
    "rank_collapse": rank_collapse,
    "region_size": region_size,
    "nested_roots": nested_roots,
    "summed_root": summed_root,
    "upper_relevance": upper_relevance,
}
"""The name of a study in the configuration, and the study."""

__all__ = ["STUDIES", "Study"]
