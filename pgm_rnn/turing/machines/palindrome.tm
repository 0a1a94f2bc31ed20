about: accepts the words that read the same from both ends
alphabet: _ 0 1
start: first
halt: accept reject
example: 10101

first  0  -> _ R with-0
first  1  -> _ R with-1
first  _  -> S accept

with-0 01 -> R with-0
with-0 _  -> L want-0
with-1 01 -> R with-1
with-1 _  -> L want-1

want-0 0  -> _ L back
want-0 1  -> S reject
want-0 _  -> S accept
want-1 1  -> _ L back
want-1 0  -> S reject
want-1 _  -> S accept

back   01 -> L back
back   _  -> R first
