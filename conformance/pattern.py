"""H.264 pictures made without an encoder, for devices that the examiner streams to.

Every picture is an IDR picture whose macroblocks are sent as plain samples (I_PCM, H.264 7.3.5), so that any decoder shows it.
"""

from __future__ import annotations

PROFILE_BASELINE = 66
_PCM = 25
"""mb_type of I_PCM in an I slice (H.264 table 7-11)."""


class _Bits:
    """Writes an RBSP bit by bit."""

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def u(self, bits: int, value: int) -> None:
        self._value = self._value << bits | value
        self._count += bits

    def ue(self, value: int) -> None:
        """Unsigned Exp-Golomb (H.264 9.1)."""
        length = (value + 1).bit_length()
        self.u(2 * length - 1, value + 1)

    def se(self, value: int) -> None:
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align(self) -> None:
        """pcm_alignment_zero_bit."""
        self.u(-self._count % 8, 0)

    def samples(self, data: bytes) -> None:
        self.u(8 * len(data), int.from_bytes(data, "big"))

    def rbsp(self) -> bytes:
        """With rbsp_trailing_bits."""
        self.u(1, 1)
        self.align()
        return self._value.to_bytes(self._count // 8, "big")


def _nal(header: int, rbsp: bytes) -> bytes:
    """A NAL unit with emulation prevention (H.264 7.4.1)."""
    out = bytearray([header])
    zeros = 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def sps(width: int, height: int) -> bytes:
    """Sequence parameter set; width and height are multiples of 16."""
    bits = _Bits()
    bits.u(8, PROFILE_BASELINE)
    bits.u(8, 0xC0)
    bits.u(8, 30)
    bits.ue(0)  # seq_parameter_set_id
    bits.ue(0)  # log2_max_frame_num_minus4
    bits.ue(2)  # pic_order_cnt_type: order of output is order of decoding
    bits.ue(1)  # max_num_ref_frames
    bits.u(1, 0)
    bits.ue(width // 16 - 1)
    bits.ue(height // 16 - 1)
    bits.u(1, 1)  # frame_mbs_only_flag
    bits.u(1, 1)  # direct_8x8_inference_flag
    bits.u(1, 0)  # no cropping
    bits.u(1, 0)  # no VUI
    return _nal(0x67, bits.rbsp())


def pps() -> bytes:
    bits = _Bits()
    bits.ue(0)
    bits.ue(0)
    bits.u(1, 0)  # CAVLC
    bits.u(1, 0)
    bits.ue(0)
    bits.ue(0)
    bits.ue(0)
    bits.u(1, 0)
    bits.u(2, 0)
    bits.se(0)
    bits.se(0)
    bits.se(0)
    bits.u(1, 1)  # deblocking_filter_control_present_flag
    bits.u(1, 0)
    bits.u(1, 0)
    return _nal(0x68, bits.rbsp())


def idr(width: int, height: int, number: int) -> bytes:
    """One IDR picture; its grey moves with `number`."""
    bits = _Bits()
    bits.ue(0)  # first_mb_in_slice
    bits.ue(7)  # slice_type I, all slices
    bits.ue(0)
    bits.u(4, 0)  # frame_num
    bits.ue(number & 1)  # idr_pic_id: differs from one IDR picture to the next
    bits.u(1, 0)
    bits.u(1, 0)
    bits.se(0)  # slice_qp_delta
    bits.ue(1)  # no deblocking
    across, down = width // 16, height // 16
    for block in range(across * down):
        bits.ue(_PCM)
        bits.align()
        luma = 16 + (block * 11 + number * 5) % 200
        bits.samples(bytes([luma]) * 256 + b"\x80" * 128)
    return _nal(0x65, bits.rbsp())
