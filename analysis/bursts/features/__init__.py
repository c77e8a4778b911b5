"""What a set of one host's flows looks like, in numbers: what classes are decided on."""

from peerburst.analysis.bursts.features.measure import measure, measure_sets
from peerburst.analysis.bursts.features.record import ALL, FEATURES, Feature, Features, Unit, of_rows

__all__ = ["ALL", "FEATURES", "Feature", "Features", "Unit", "measure", "measure_sets", "of_rows"]
