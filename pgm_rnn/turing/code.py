r"""Half a tape as one rational number: a stack of symbols, each of m bits, in base 4 (Siegelmann and Sontag 1995, 3.1).

A stack of bits :math:`a_1` (top), :math:`a_2, \dots` is :math:`q = \sum_i (2 a_i + 1) / 4^i`. Only the digits 1 and 3
occur, so between any two stacks that differ in their top bit lies a gap, which a saturated-linear unit can see across.
"""

from __future__ import annotations

from fractions import Fraction

from pgm_rnn.checks import reject


class Code:
    """The numbers of an alphabet's symbols and of stacks of them. The blank, which is first, has code 0.

    Args:
        alphabet: symbols of one character each.
        bits: bits m of a symbol.

    Example:
        >>> binary = Code("01", bits=1)
        >>> float(binary.number("101"))
        0.859375
        >>> binary.word(Fraction(55, 64))
        '101'
    """

    def __init__(self, alphabet: str, bits: int) -> None:
        self.alphabet, self.bits, self.base = alphabet, bits, 4**bits
        self.values = [self._value(code) for code in range(len(alphabet))]

    def _value(self, code: int) -> Fraction:
        digits = [2 * (code >> place & 1) + 1 for place in reversed(range(self.bits))]
        return sum((Fraction(digit, 4**i) for i, digit in enumerate(digits, 1)), Fraction(0))

    def value(self, symbol: str) -> Fraction:
        """The number v of a stack that holds this symbol alone; pushing it onto q gives ``q / 4^m + v``."""
        return self.values[self.alphabet.index(symbol)]

    def number(self, stack: str) -> Fraction:
        """The number of a stack, its top first."""
        q = Fraction(0)
        for symbol in reversed(stack):
            q = q / self.base + self.value(symbol)
        return q

    def word(self, q: Fraction) -> str:
        """The stack that a number stands for, its top first; InputError if there is none."""
        symbols = {value * self.base: symbol for symbol, value in zip(self.alphabet, self.values, strict=True)}
        stack, rest = "", q
        while rest:
            rest *= self.base
            top = rest.numerator // rest.denominator
            if Fraction(top) not in symbols:
                raise reject("q", f"the number of a stack over {' '.join(self.alphabet)}", str(q))
            stack += symbols[Fraction(top)]
            rest -= top
        return stack

    def significant_bits(self, depth: int, top: str) -> int:
        """Bits from the first 1 to the last in the number of a stack with ``depth`` symbols and this one on top.

        Every digit is odd, so the last bit is a 1; the first is a 1 exactly if the top bit is.
        """
        leading = self.alphabet.index(top) >> (self.bits - 1) & 1
        return 2 * self.bits * depth - (1 - leading) if depth else 0
