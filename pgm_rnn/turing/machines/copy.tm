about: writes a word a second time, after a blank
alphabet: _ 0 1 O I
start: next
halt: done garbled
example: 1101

# A digit that is copied becomes O or I.
next   0  -> O R with-0
next   1  -> I R with-1
next   _  -> L clean
next   OI -> S garbled

with-0 01 -> R with-0
with-0 _  -> R put-0
with-0 OI -> S garbled
with-1 01 -> R with-1
with-1 _  -> R put-1
with-1 OI -> S garbled

put-0  01 -> R put-0
put-0  _  -> 0 L home
put-0  OI -> S garbled
put-1  01 -> R put-1
put-1  _  -> 1 L home
put-1  OI -> S garbled

home   01 -> L home
home   _  -> L seek
home   OI -> S garbled

seek   01 -> L seek
seek   OI -> R next
seek   _  -> S garbled

clean  O  -> 0 L clean
clean  I  -> 1 L clean
clean  _  -> R done
clean  01 -> S garbled
