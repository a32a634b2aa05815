"""Fields of bits, as video headers have them."""

from __future__ import annotations

from conformance.model import Failure


class Bits:
    """Reads bits from the first one on; raises Failure at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def u(self, count: int) -> int:
        if count > self.left:
            raise Failure("a header of the video ends too early")
        self.left -= count
        return self._value >> self.left & (1 << count) - 1

    def ue(self) -> int:
        """Exp-Golomb (H.264 9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise Failure("a header of the video has an impossible number")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def unescape(nal: bytes) -> bytes:
    """Without emulation prevention bytes (H.264 7.4.1)."""
    return nal.replace(b"\0\0\3", b"\0\0")
