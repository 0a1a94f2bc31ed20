about: adds one to a binary number
alphabet: _ 0 1
start: right
halt: done
example: 1011

right  01 -> R right
right  _  -> L carry

carry  1  -> 0 L carry
carry  0_ -> 1 S done
