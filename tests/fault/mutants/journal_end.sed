# hd_slots.c: the end of a page is not seen
s/(next \& (f->sector - 1)) == 0 ? 0 : next/next/
