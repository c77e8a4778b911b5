"""Names for the arrays that kernels take: what an element is. Shapes stand in each kernel's docstring.

Arrays of records are `Records`: the dtype (PACKET, FLOW, SEGMENT, ...) is named where they are filled. One record of
them, as `flow = rows[i]`, is a `Record`: its fields are read and written by name.

What a kernel takes in larger numbers than eight comes in a `typing.NamedTuple` of these, which costs nothing compiled.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Bools: TypeAlias = npt.NDArray[np.bool_]
UInt8s: TypeAlias = npt.NDArray[np.uint8]
UInt16s: TypeAlias = npt.NDArray[np.uint16]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Int8s: TypeAlias = npt.NDArray[np.int8]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Float64s: TypeAlias = npt.NDArray[np.float64]
Records: TypeAlias = npt.NDArray[np.void]
Record: TypeAlias = Any  # numpy knows no type for one record by its fields

# Single values: what a record's field or an array's element is, or a plain number.
Int: TypeAlias = int | np.integer[Any]
Bool: TypeAlias = bool | np.bool_
