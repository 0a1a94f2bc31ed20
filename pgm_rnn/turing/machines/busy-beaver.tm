about: writes 13 ones on an empty tape in 107 steps, more than any other machine with four states and two symbols
alphabet: 0 1
start: A
halt: H
example:

# Brady 1983
A 0 -> 1 R B
A 1 -> 1 L B
B 0 -> 1 L A
B 1 -> 0 L C
C 0 -> 1 R H
C 1 -> 1 L D
D 0 -> 1 R D
D 1 -> 0 R A
