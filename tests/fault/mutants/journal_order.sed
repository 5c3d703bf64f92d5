# hd_slots.c: the last record by place counts, not by number
s/|| r\[SEQ\] <= s->seq)/|| r[SEQ] == 0)/
