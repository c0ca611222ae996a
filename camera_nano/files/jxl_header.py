"""The header of a JPEG XL codestream: size and colours of the picture, which the decoder that is used does not tell."""

from __future__ import annotations

from dataclasses import dataclass, replace

_HEAD_BYTES = 64
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
_SIDE_BITS = (9, 13, 18, 30)
_CUSTOM, _GREY, _XYB = 2, 1, 2
_PRIMARIES = {9: 9, 11: 12}  # to those of ITU-T H.273; the transfer functions already have its numbers

_Choice = int | tuple[int, int]  # a value; or an offset, and the number of bits that are read and added to it


@dataclass(frozen=True, slots=True)
class JxlHeader:
    """Width and height in pixels; primaries and transfer by ITU-T H.273, None for sRGB and what has no number there.

    `is_rare` is set where the colours are given in a way that is not read here: by a profile, or by custom values.
    `is_animated` is set where there may be more than one frame.
    """

    size_wh: tuple[int, int]
    primaries: int | None = None
    transfer: int | None = None
    is_rare: bool = False
    is_animated: bool = False


class _Bits:
    """Reads bits, the lowest of each byte first (ISO/IEC 18181-1, annex B); zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, n_bits: int = 1) -> int:
        value, self._rest = self._rest & ((1 << n_bits) - 1), self._rest >> n_bits
        return value

    def one_of(self, *choices: _Choice) -> int:
        choice = choices[self.take(2)]
        return choice if isinstance(choice, int) else choice[0] + self.take(choice[1])

    def enum(self) -> int:
        return self.one_of(0, 1, (2, 4), (18, 6))

    def size_wh(self) -> tuple[int, int]:
        is_small = self.take()

        def side() -> int:
            return 8 * (self.take(5) + 1) if is_small else self.take(_SIDE_BITS[self.take(2)]) + 1

        height = side()
        ratio = self.take(3)
        if ratio == 0:
            return side(), height
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height


def read_header(codestream: bytes) -> JxlHeader:
    """The header of a codestream, from its mark FF 0A on (ISO/IEC 18181-1, annex D: SizeHeader, ImageMetadata)."""
    bits = _Bits(codestream[2:_HEAD_BYTES])
    size_wh = bits.size_wh()
    if bits.take():  # all defaults
        return JxlHeader(size_wh)
    if bits.take():  # extra fields
        bits.take(3)  # orientation
        if bits.take():
            bits.size_wh()  # intrinsic
        if bits.take():  # a preview
            return JxlHeader(size_wh, is_rare=True)
        if bits.take():  # an animation: ticks of its clock, loops, whether there are time codes
            bits.one_of(100, 1000, (1, 10), (1, 30)), bits.one_of(1, 1001, (1, 8), (1, 10))
            bits.one_of(0, (0, 3), (0, 16), (0, 32)), bits.take()
            return replace(_samples_and_colours(bits, size_wh), is_animated=True)
    return _samples_and_colours(bits, size_wh)


def _samples_and_colours(bits: _Bits, size_wh: tuple[int, int]) -> JxlHeader:
    if bits.take():  # float samples
        bits.one_of(32, 16, 24, (1, 6))
        bits.take(4)
    else:
        bits.one_of(8, 10, 12, (1, 6))
    bits.take()  # whether buffers of 16 bits suffice
    for _ in range(bits.one_of(0, 1, (2, 4), (1, 12))):  # extra channels
        if not bits.take():  # not the default, which is alpha
            return JxlHeader(size_wh, is_rare=True)
    bits.take()  # whether coded as XYB
    return _colours(bits, size_wh)


def _colours(bits: _Bits, size_wh: tuple[int, int]) -> JxlHeader:
    if bits.take():  # sRGB
        return JxlHeader(size_wh)
    has_profile, space = bits.take(), bits.enum()
    white = _CUSTOM if has_profile or space == _XYB else bits.enum()
    primaries = 1 if space == _GREY or white == _CUSTOM else bits.enum()
    if white == _CUSTOM or primaries == _CUSTOM:
        return JxlHeader(size_wh, is_rare=True)
    if bits.take():  # a power law
        return JxlHeader(size_wh, _PRIMARIES.get(primaries), is_rare=True)
    return JxlHeader(size_wh, _PRIMARIES.get(primaries), bits.enum())
