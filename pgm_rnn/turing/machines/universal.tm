about: Minsky's universal machine with seven states and four symbols: runs the 2-tag system that stands on its tape
alphabet: 0 1 y A
start: find
halt: halt
example: 1101011100000100110011yyAyyAyy

# Minsky, Computation (1967), 14.8; found as written here in several places and checked by running tag systems.
# The tape is the productions, the last one first, then 11 and the word. Symbol i is y N_i times, with N_1 = 1 and
# N_(i+1) = N_i + the number of symbols that i produces; A stands between symbols. The production of i is 11 and then
# N_j zeros for every symbol j of it, the last one first, with 01 in between; to halt is 110101, and counts as three.

# Not Minsky's: walks from the first production to the word.
find 01A -> R find
find y   -> S q1

q1 y -> 0 L q1
q1 0 -> L q1
q1 1 -> L q2
q1 A -> 1 L q1

q2 y -> 0 L q1
q2 0 -> y R q2
q2 1 -> A R q2
q2 A -> y R q6

q3 y -> L q3
q3 0 -> S halt
q3 1 -> A L q3
q3 A -> 1 L q4

q4 y -> L q4
q4 0 -> y R q5
q4 1 -> L q7
q4 A -> 1 L q4

q5 y -> R q5
q5 0 -> y L q3
q5 1 -> A R q5
q5 A -> 1 R q5

q6 y -> R q6
q6 0 -> A L q3
q6 1 -> A R q6
q6 A -> 1 R q6

q7 y -> 0 R q7
q7 0 -> y R q6
q7 1 -> R q7
q7 A -> 0 R q2
