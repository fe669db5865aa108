"""Makes the files beside it and the npy files of ../codes, with numpy 2 and safetensors 0.5.

Every array holds 0 to 5 in two rows of three, less 2 where its type has a sign; bool holds `x % 2 == 1`.
The tests compare with exactly that.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

here = Path(__file__).parent


def values(dtype):
    x = np.arange(6).reshape(2, 3)
    kind = np.dtype(dtype).kind
    return (x % 2 == 1) if kind == "b" else (x - (0 if kind == "u" else 2)).astype(dtype)


kinds = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
arrays = {"bool": values("bool")}
for kind in kinds:
    arrays[f"little_{kind}"] = values("<" + kind)
    arrays[f"big_{kind}"] = values(">" + kind)
arrays["fortran"] = np.asfortranarray(values("<f4"))
arrays["fortran_big"] = np.asfortranarray(values(">i2"))
np.savez_compressed(here / "numbers.npz", **arrays)
np.savez(here / "stored.npz", x=values("<f8"), label=np.array([1, 0]))

save_file(
    {kind: np.ascontiguousarray(values(kind)) for kind in ["bool", *kinds]},
    here / "numbers.safetensors",
)

for code, dtype in [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]:
    data = bytes([0, 0, code, 2]) + struct.pack(">II", 2, 3) + values(dtype).tobytes()
    (here / f"{dtype.strip('>')}.idx").write_bytes(data)
(here / "u1.idx.gz").write_bytes(gzip.compress((here / "u1.idx").read_bytes(), mtime=0))

codes = here.parent / "codes"
points = np.loadtxt(codes / "points.csv", delimiter=",")
np.save(codes / "points.npy", points)
(codes / "cut.npy").write_bytes((codes / "points.npy").read_bytes()[:-8])
np.save(codes / "complex.npy", points.astype("c16"))
