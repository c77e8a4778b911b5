"""Made captures: a scenario file played out, packet by packet, with the truth about each kept beside it.

The same scenario and seed give the same packets on every machine. Addresses outside are drawn at random and stand for
nobody; bodies that would be ciphertext are zero bytes; sizes, timing and dialogues follow published measurements,
each cited where it is used.
"""

from peerburst.capture.synth.writing import SynthResult, write_scenario

__all__ = ["SynthResult", "write_scenario"]
