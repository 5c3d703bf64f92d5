# hd_slots.c: a page that was cut off is kept, and the sound one erased
s/^\tif (alone) .*/\tif (false)/
