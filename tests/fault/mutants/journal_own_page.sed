# hd_slots.c: the page with the last good record is erased, not the other one
s/s->second ? 0 : f->sector/s->second ? f->sector : 0/
