# hd_slots.c: the page with the last good record is erased, not the other one
s/s->journal_page ? 0 : f->sector/s->journal_page ? f->sector : 0/
