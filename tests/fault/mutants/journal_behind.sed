# hd_slots.c: after a boot records go behind those that are there
s/^\t\ts->journal_page = page;/&\n\t\ts->journal_next = f->journal_at + at + record_size(f);/
