# hd_slots.c: after a boot records go behind those that are there
s/^\t\ts->second = second;/&\n\t\ts->journal_next = f->journal_at + at + HD_RECORD;/
