about: adds two binary numbers, digit by digit
alphabet: _ 0 1 + O I
start: right
halt: done garbled
example: 1011+110

right  01+ -> R right
right  _   -> L take
right  OI  -> S garbled

# The last digit of the second number goes, and the machine remembers it.
take   0   -> _ L with-0
take   1   -> _ L with-1
take   +   -> _ L clean
take   _OI -> S garbled

with-0 01  -> L with-0
with-0 +   -> L add-0
with-0 _OI -> S garbled
with-1 01  -> L with-1
with-1 +   -> L add-1
with-1 _OI -> S garbled

# Digits of the first number that are done are O and I.
add-0  OI  -> L add-0
add-0  0_  -> O R back
add-0  1   -> I R back
add-0  +   -> S garbled
add-1  OI  -> L add-1
add-1  0_  -> I R back
add-1  1   -> O L carry
add-1  +   -> S garbled

carry  0_  -> 1 R back
carry  1   -> 0 L carry
carry  +OI -> S garbled

back   01OI+ -> R back
back   _   -> L take

clean  O   -> 0 L clean
clean  I   -> 1 L clean
clean  01  -> L clean
clean  _   -> R done
clean  +   -> S garbled
