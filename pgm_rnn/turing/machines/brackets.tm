about: accepts the balanced words of brackets
alphabet: _ ( ) X
start: close
halt: accept reject
example: (()())

# The first closing bracket, and the opening one before it, are crossed out.
close (X -> R close
close )  -> X L open
close _  -> L check

open  X  -> L open
open  (  -> X R close
open  )_ -> S reject

check X  -> L check
check () -> S reject
check _  -> S accept
