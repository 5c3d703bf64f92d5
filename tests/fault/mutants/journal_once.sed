# hd_slots.c: the first record of a page is written once
s/first = s->journal_next == 0;/first = false;/
