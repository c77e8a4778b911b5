"""What became of the flows of each set."""

from peerburst.analysis.bursts.features.sets import Sets
from peerburst.analysis.hosts.flow_facts import ANSWERED, MUTE, REFUSED
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Int64s, Records, UInt8s

TINY_PACKETS = 2  # a question, or a question and its answer


@kernel
def measure_answers(packets: Int64s, outcome: UInt8s, sets: Sets, features: Records) -> None:
    """How many were answered, refused, heard no word, or had hardly a packet."""
    for g in range(sets.begins.size):
        tiny, answers, refusals, mutes = 0, 0, 0, 0
        for i in range(sets.begins[g], sets.stops[g]):
            tiny += packets[i] <= TINY_PACKETS
            answers += outcome[i] & ANSWERED != 0
            refusals += outcome[i] & REFUSED != 0
            mutes += outcome[i] & MUTE != 0
        row, share = features[g], 1.0 / max(sets.stops[g] - sets.begins[g], 1)
        row["tiny_share"] = tiny * share
        row["answered_share"] = answers * share
        row["refused_share"] = refusals * share
        row["mute_share"] = mutes * share
