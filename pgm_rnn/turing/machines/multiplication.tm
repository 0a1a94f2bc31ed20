about: multiplies two unary numbers
alphabet: _ 1 * = X
start: outer
halt: done garbled
example: 111*11=

# For every 1 of the first factor ...
outer   1   -> _ R second
outer   *   -> _ R wipe
outer   _=X -> S garbled

second  1   -> R second
second  *   -> R inner
second  _=X -> S garbled

# ... every 1 of the second one is marked and copied to the end.
inner   1   -> X R append
inner   =   -> L restore
inner   _*X -> S garbled

append  1=  -> R append
append  _   -> 1 L return
append  *X  -> S garbled

return  1=  -> L return
return  X   -> R inner
return  _*  -> S garbled

restore X   -> 1 L restore
restore *   -> L home
restore _1= -> S garbled

home    1   -> L home
home    _   -> R outer
home    *=X -> S garbled

wipe    1   -> _ R wipe
wipe    =   -> _ R done
wipe    _*X -> S garbled
